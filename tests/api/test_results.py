"""Reports, the equity curve and exports, against the fills in the database."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from cache.prices import HotPrice, PriceCache
from storage.models import Order, Run
from tests.api.conftest import Client, Platform
from tests.api.fakes import TCS
from tests.api.rows import add_fill, add_run, ended_run, order_of
from trading.orders import Leg, Side
from trading.runs import EndReason, ExitReason, RunState


async def add_order(platform: Platform, run: Run, tag: str, *fills: tuple[int, str], **values: Any) -> None:
    """An order whose row counts all of `fills`; they are stored as well."""
    side = values.get("side", Side.BUY)
    quantity = sum(count for count, _ in fills)
    average = sum((count * Decimal(price) for count, price in fills), Decimal(0)) / quantity
    leg = Leg.ENTRY if side is Side.BUY else Leg.EXIT
    defaults = {"leg": leg, "quantity": quantity, "filled_quantity": quantity, "average_price": average}
    order: Order = order_of(run, tag, now=platform.clock.now(), **{**defaults, **values})
    async with platform.services.database.transaction() as session:
        session.add(order)
    for number, (count, price) in enumerate(fills):
        await add_fill(platform, order, price=price, quantity=count, trade_id=f"{tag}-{number}")


async def traded(
    platform: Platform, client: Client, broker_id: str, tag: str, *, buy: str, sell: str, days_ago: int = 0, **values: Any
) -> Run:
    run = await ended_run(platform, client, broker_id, pnl="0", days_ago=days_ago, **values)
    await add_order(platform, run, f"{tag}b", (4, buy), (6, buy), reference_price=Decimal(buy) - 1)
    await add_order(
        platform, run, f"{tag}s", (10, sell), side=Side.SELL, reason=ExitReason.STOP_LOSS, trigger_price=Decimal(sell) + 2
    )
    return run


async def test_a_report_adds_up_the_fills_by_any_group(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    first = await traded(platform, user, broker_id, "a", buy="100.00", sell="110.00", entry_late_ms=10, exit_late_ms=30)
    await traded(platform, user, broker_id, "b", buy="100.05", sell="90.00", days_ago=1, end_reason=EndReason.STOP_LOSS)
    await traded(platform, user, broker_id, "c", buy="50.00", sell="50.00", days_ago=25)
    for by, keys in {
        "day": ["2026-10-26", "2026-11-19", "2026-11-20"],
        "month": ["2026-10", "2026-11"],
        "account": [broker_id],
        "symbol": ["NSE:TCS"],
    }.items():
        report = await user.get(f"/analytics/report?by={by}")
        assert [group["key"] for group in report["groups"]] == keys
        assert report["total"]["realised_pnl"] == -0.5 == round(sum(group["realised_pnl"] for group in report["groups"]), 2)
        assert report["total"]["sold_value"] - report["total"]["bought_value"] == pytest.approx(-0.5)
    total = report["total"]
    assert (total["runs"], total["traded_runs"], total["winning_runs"], total["losing_runs"]) == (3, 3, 1, 2)
    assert (total["slippage"], total["slippage_runs"], total["unreconciled_runs"]) == (90.0, 3, 0)
    assert total["lateness"] == {"orders": 2, "median_ms": 10, "p95_ms": 30, "worst_ms": 30}
    assert total["end_reasons"] == {"sold_at_time": 2, "stop_loss": 1}
    assert total["net_pnl"] == round(total["realised_pnl"] - total["estimated_charges"], 2) < total["realised_pnl"]
    by_strategy = await user.get(f"/analytics/report?by=strategy&strategy_id={first.strategy_id}")
    assert [group["key"] for group in by_strategy["groups"]] == [first.strategy_id]
    assert by_strategy["total"]["realised_pnl"] == 100.0


async def test_the_summary_counts_ended_runs_by_their_fills_after_charges(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    broker_id = await platform.connect(user, "mine")
    await traded(platform, user, broker_id, "a", buy="1000.00", sell="1050.00")
    await traded(platform, user, broker_id, "b", buy="1000.00", sell="998.00", end_reason=EndReason.STOP_LOSS)
    # A profit before charges and a loss after them.
    await traded(platform, user, broker_id, "c", buy="1000.00", sell="1000.10", days_ago=800)
    await ended_run(platform, user, broker_id, pnl="0", bought=0, sold=0, end_reason=EndReason.ENTRY_SKIPPED)
    await add_run(platform, user, broker_id, realised_pnl=Decimal(999))
    await traded(platform, other, await platform.connect(other, "theirs"), "d", buy="1000.00", sell="5000.00")
    summary = await user.get("/analytics/summary")
    assert (summary["open_runs"], summary["ended_runs"], summary["traded_runs"]) == (1, 4, 3)
    assert (summary["winning_runs"], summary["losing_runs"], summary["win_rate"]) == (1, 2, 0.3333)
    assert (summary["realised_pnl"], summary["realised_pnl_today"]) == (481.0, 480.0)
    assert (summary["stopped_by_stop_loss"], summary["end_reasons"]["entry_skipped"]) == (1, 1)
    assert summary["strategies"] == 5
    assert summary["net_pnl"] == round(summary["realised_pnl"] - summary["estimated_charges"], 2)
    assert summary["net_pnl_today"] < summary["realised_pnl_today"]


async def test_summary_pnl_report_and_curve_name_the_same_figures(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await traded(platform, user, broker_id, "a", buy="1000.05", sell="1050.35", days_ago=2)
    await traded(platform, user, broker_id, "b", buy="999.95", sell="998.00", days_ago=1)
    await traded(platform, user, broker_id, "c", buy="500.10", sell="500.45", days_ago=1, exchange="BSE")
    # Fills of one order are missing: the order's own sums stand in, everywhere alike.
    short = await ended_run(platform, user, broker_id, pnl="777", days_ago=1)
    await add_order(platform, short, "sb", (10, "100.00"))
    await add_order(platform, short, "ss", (4, "101.00"), side=Side.SELL, quantity=10, filled_quantity=10)
    summary, pnl = await user.get("/analytics/summary"), await user.get("/analytics/pnl")
    report, curve = await user.get("/analytics/report?by=day"), await user.get("/analytics/equity")
    total = report["total"]
    for name in ("realised_pnl", "estimated_charges", "net_pnl"):
        assert summary[name] == pnl[name] == total[name], name
        assert [day[name] for day in pnl["days"]] == [group[name] for group in report["groups"]], name
    assert curve["points"][-1]["equity"] == summary["net_pnl"]
    assert [day["trading_day"] for day in pnl["days"]] == [point["trading_day"] for point in curve["points"]]
    assert summary["realised_pnl"] == pnl["days"][-1]["cumulative_pnl"] == 497.0
    for name in ("traded_runs", "winning_runs", "losing_runs", "win_rate", "end_reasons", "unreconciled_runs"):
        assert summary[name] == total[name], name
    assert summary["unreconciled_runs"] == 1


async def test_the_profit_by_day_adds_up(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    for tag, sell, days_ago in (("a", "101.00", 2), ("b", "99.55", 1), ("c", "100.10", 1), ("d", "100.70", 40)):
        await traded(platform, user, broker_id, tag, buy="100.00", sell=sell, days_ago=days_ago)
    answer = await user.get("/analytics/pnl")
    assert [(day["trading_day"], day["runs"], day["realised_pnl"], day["cumulative_pnl"]) for day in answer["days"]] == [
        ("2026-11-18", 1, 10.0, 10.0),
        ("2026-11-19", 2, -3.5, 6.5),
    ]
    assert answer["realised_pnl"] == 6.5
    assert answer["net_pnl"] == round(6.5 - answer["estimated_charges"], 2)
    longer = await user.get("/analytics/pnl?from_day=2026-10-01&to_day=2026-11-20")
    assert longer["realised_pnl"] == 13.5


async def test_the_curve_falls_from_its_peak(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await traded(platform, user, broker_id, "a", buy="100.00", sell="120.00", days_ago=2)
    await traded(platform, user, broker_id, "b", buy="100.00", sell="95.00", days_ago=1)
    await traded(platform, user, broker_id, "c", buy="100.00", sell="90.00")
    curve = await user.get("/analytics/equity")
    assert curve["is_net"] is True
    results = [point["result"] for point in curve["points"]]
    assert curve["points"][-1]["equity"] == pytest.approx(sum(results))
    assert curve["worst_drawdown"] == pytest.approx(-(results[1] + results[2]))
    assert results[0] < 200, "charges are taken off"


async def test_an_open_run_is_valued_at_the_last_price_or_not_at_all(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await add_order(platform, run, "a", (10, "3512.50"))
    total = (await user.get("/analytics/report"))["total"]
    assert (total["open_runs"], total["open_pnl"], total["unpriced_runs"]) == (1, None, 1)
    await PriceCache(platform.services.redis).write({TCS: HotPrice(Decimal("3520.00"), platform.clock.now())})
    total = (await user.get("/analytics/report"))["total"]
    assert (total["open_pnl"], total["realised_pnl"], total["unsold_cost"]) == (75.0, 0.0, 35125.0)


async def test_exports_hold_every_run_and_the_total(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    strategy_id = await user.create(name="=HYPERLINK(evil)")
    await traded(platform, user, broker_id, "a", buy="100.00", sell="110.00", strategy_id=strategy_id)
    await traded(platform, user, broker_id, "b", buy="100.00", sell="99.95", days_ago=1)
    response = await user.call("GET", "/analytics/runs.csv", expect=200)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="runs.csv"'
    lines = list(csv.DictReader(io.StringIO(response.text)))
    assert [(line["realised_pnl"], line["reconciled"]) for line in lines] == [("-0.50", "yes"), ("100.00", "yes")]
    assert lines[1]["strategy"] == "'=HYPERLINK(evil)", "a spreadsheet must not run it"
    parts = ("brokerage", "transaction_tax", "exchange_fee", "regulator_fee", "stamp_duty", "services_tax")
    assert sum(Decimal(lines[1][part]) for part in parts) == Decimal(lines[1]["estimated_charges"])
    text = (await user.call("GET", "/analytics/report.csv?by=day", expect=200)).text
    groups = list(csv.DictReader(io.StringIO(text)))
    assert [group["key"] for group in groups] == ["2026-11-19", "2026-11-20", "total"]
    assert groups[-1]["realised_pnl"] == "99.50"


async def test_nothing_of_anybody_else_is_in_a_report_whatever_is_asked_for(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    broker_id = await platform.connect(owner)
    run = await traded(platform, owner, broker_id, "a", buy="100.00", sell="110.00")
    for query in ("", f"?strategy_id={run.strategy_id}", f"?broker_id={broker_id}"):
        report = await stranger.get(f"/analytics/report{query}")
        assert (report["total"]["runs"], report["groups"]) == (0, [])
        assert (await stranger.get(f"/analytics/equity{query}"))["points"] == []
        for path in ("runs", "report"):
            assert run.id not in (await stranger.call("GET", f"/analytics/{path}.csv{query}", expect=200)).text


async def test_live_and_simulated_runs_can_be_told_apart(platform: Platform) -> None:
    user = await platform.user()
    await traded(platform, user, await platform.connect(user), "a", buy="100.00", sell="110.00")
    assert (await user.get("/analytics/report?environment=simulated"))["total"]["runs"] == 1
    assert (await user.get("/analytics/report?environment=live"))["total"]["runs"] == 0
    await user.call("GET", "/analytics/report?environment=paper", expect=400)


async def test_more_runs_than_can_be_summed_are_refused(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    for tag in ("a", "b"):
        await traded(platform, user, broker_id, tag, buy="1.00", sell="1.00", state=RunState.ENDED)
    monkeypatch.setattr("api.results.MOST_RUNS", 1)
    await user.refused("GET", "/analytics/report", 400, "INVALID_VALUE")
