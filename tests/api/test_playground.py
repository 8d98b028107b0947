"""The playground over HTTP: files that are no good, plans that cannot run, results that are shown in time, and cautions."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select
from temporalio.client import Client as TemporalClient
from temporalio.client import WorkflowExecutionStatus

from activities.messages import PlaygroundInput
from activities.playing import ApartPlaygroundActivities
from api.errors import ErrorCode
from api.middleware import LARGE_BODY_LIMIT_BYTES
from api.schemas.playground import DISCLAIMER
from runtime.temporal_worker import make_worker
from storage.models import JobState, Order, OrderLog, PlaygroundDay, Run, RunEvent
from storage.repositories import playground
from tests.api.conftest import Client, Platform
from tests.api.rows import add_prices, add_result
from tests.waiting import eventually_asked
from trading.sessions import trading_date
from workflows.names import playground_workflow_id

PLAN = {"symbol": "SAMPLE", "quantity": 10, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss_percent": 1}
FIXED = {key: value for key, value in PLAN.items() if key != "stop_loss_percent"} | {"stop_loss": 990}
DAY = "time,open,high,low,close\n" + "".join(
    f"2026-11-19 {9 + (15 + n) // 60:02d}:{(15 + n) % 60:02d}:00,100,101,99.5,100.5\n" for n in range(375)
)


async def upload(user: Client, content: bytes | str, *, expect: int = 201, **query: Any) -> Any:
    query = {"symbol": "TCS", **query}
    options = {"content": content, "params": query, "headers": {"Content-Type": "text/csv"}}
    return (await user.call("POST", "/playground/data", expect=expect, **options)).json()


async def work(platform: Platform, user: Client, result_id: str) -> None:
    """What a worker would do, without Temporal between."""
    activities = ApartPlaygroundActivities(
        database=platform.services.database, calendar=platform.services.calendar, clock=platform.clock
    )
    await activities.reckon_now(PlaygroundInput(result_id, user.user_id))
    async with platform.services.database.transaction() as session:
        job = await playground.find_job(session, job_id=result_id, user_id=user.user_id)
    if job is not None and job.state is JobState.RUNNING:
        await activities.finish(result_id)


# --- files ------------------------------------------------------------------------------------------------------------


async def test_a_file_of_bars_is_read_listed_and_deleted(platform: Platform) -> None:
    user = await platform.user()
    answer = await upload(user, DAY, name="my day")
    assert {key: answer[key] for key in ("rows", "days", "bar_seconds", "first_day", "format", "symbol")} == {
        **{"rows": 375, "days": 1, "bar_seconds": 60, "first_day": "2026-11-19", "format": "csv", "symbol": "TCS"}
    }
    assert [item["name"] for item in (await user.get("/playground/data"))["items"]] == ["my day"]
    await user.call("DELETE", f"/playground/data/{answer['data_id']}", expect=200)
    assert (await user.get("/playground/data"))["items"] == []
    await user.refused("DELETE", f"/playground/data/{answer['data_id']}", 404, "PLAYGROUND_DATA_NOT_FOUND")


async def test_a_parquet_file_is_read(platform: Platform) -> None:
    table = pa.table({"timestamp": ["2026-11-19 09:15:00", "2026-11-19 09:16:00"], "ltp": [100.05, 100.1]})
    into = io.BytesIO()
    pq.write_table(table, into)
    answer = await upload(await platform.user(), into.getvalue())
    assert (answer["format"], answer["rows"], answer["bar_seconds"]) == ("parquet", 2, 0)


async def test_what_is_wrong_with_a_file_is_told_line_by_line(platform: Platform) -> None:
    user = await platform.user()
    content = "time,open,high,low,close\n2026-11-19 09:15:00,100,99,99,100\n2026-11-19 09:16:00,abc,1,1,1\n"
    answer = await upload(user, content, expect=400)
    assert answer["error"] == "BAD_DATA_FILE"
    assert [(found["field"], found["message"].split(":")[0]) for found in answer["details"]] == [
        ("line 2", "low, open, high and close contradict each other"),
        ("line 3", "'abc' is no price"),
    ]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PAR1", b"PAR1" + b"\xff" * 500 + b"PAR1", b"\xff\xfe", b"a,b\n1,2\n"])
async def test_a_file_that_is_nothing_is_refused(platform: Platform, content: bytes) -> None:
    assert (await upload(await platform.user(), content, expect=400))["error"] == "BAD_DATA_FILE"


async def test_a_file_above_16_mib_is_refused_and_other_bodies_stay_small(platform: Platform) -> None:
    user = await platform.user()
    answer = await upload(user, b"x" * (LARGE_BODY_LIMIT_BYTES + 1), expect=413)
    assert answer["error"] == "PAYLOAD_TOO_LARGE"
    large = json.dumps({"plans": [PLAN], "name": "x" * 70_000}).encode()
    response = await user.call("POST", "/playground/backtest", content=large, headers={"Content-Type": "application/json"})
    assert response.status_code == 413


async def test_one_user_keeps_twenty_files(platform: Platform) -> None:
    user = await platform.user()
    for _ in range(20):
        await add_prices(platform, user)
    assert (await upload(user, DAY, expect=409))["error"] == "PLAYGROUND_FULL"
    await upload(await platform.user(), DAY)


# --- what is asked ----------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any], int, ErrorCode]] = [
    ("backtest", {"plans": []}, 400, ErrorCode.INVALID_VALUE),
    ("backtest", {"plans": [{"symbol": "TCS"}]}, 400, ErrorCode.INVALID_VALUE),
    ("backtest", {"plans": [{**PLAN, "stop_loss": 5}]}, 400, ErrorCode.INVALID_VALUE),
    ("backtest", {"plans": [{**FIXED, "stop_loss": 990.02}]}, 400, ErrorCode.STOP_LOSS_OFF_TICK),
    ("backtest", {"plans": [{**PLAN, "buy_time": "09:00:00"}]}, 400, ErrorCode.BUY_BEFORE_OPEN),
    ("backtest", {"plans": [{**PLAN, "sell_time": "09:20:00"}]}, 400, ErrorCode.BUY_NOT_BEFORE_SELL),
    ("backtest", {"plans": [{**PLAN, "quantity": 10_000_000}]}, 400, ErrorCode.QUANTITY_ABOVE_FREEZE),
    ("backtest", {"plans": [PLAN], "colour": "red"}, 422, ErrorCode.INVALID_INPUT),
    ("backtest", {"plans": [PLAN], "data_id": "dat_nowhere"}, 404, ErrorCode.PLAYGROUND_DATA_NOT_FOUND),
    ("backtest", {"plans": [{"strategy_id": "str_nowhere"}]}, 404, ErrorCode.STRATEGY_NOT_FOUND),
    ("backtest", {"plans": [PLAN], "rules": {"slippage_bps": -1}}, 400, ErrorCode.INVALID_VALUE),
    (
        "backtest",
        {"plans": [PLAN] * 6, "sweep": {"stop_loss_percent": [n / 10 for n in range(1, 100)]}},
        400,
        ErrorCode.TOO_MANY_COMBINATIONS,
    ),
    ("backtest", {"plans": [PLAN], "sweep": {"buy_time": ["15:01:00"]}}, 400, ErrorCode.BUY_NOT_BEFORE_SELL),
    ("simulate", {"plan": {**FIXED, "target_price": 980}}, 400, ErrorCode.TARGET_NOT_ABOVE_STOP),
    ("simulate", {"plan": {**FIXED, "target_price": 1000.02}}, 400, ErrorCode.TARGET_PRICE_OFF_TICK),
    ("simulate", {"plan": {**FIXED, "target_price": 1000, "target_percent": 2}}, 400, ErrorCode.INVALID_TARGET_PRICE),
    ("simulate", {"plan": {**FIXED, "trailing_by": 5, "trailing_percent": 2}}, 400, ErrorCode.INVALID_TRAILING_STOP),
    ("backtest", {"plans": [FIXED], "sweep": {"target_price": [980]}}, 400, ErrorCode.BUY_NOT_BEFORE_SELL),
    ("simulate", {"plan": FIXED, "speed": 0.5}, 400, ErrorCode.INVALID_VALUE),
    ("simulate", {"plan": FIXED, "data_id": "dat_nowhere"}, 400, ErrorCode.INVALID_VALUE),
    ("simulate", {"plan": FIXED, "made_up": {"start_price": 0}}, 400, ErrorCode.INVALID_STOP_LOSS),
]


@pytest.mark.parametrize(("kind", "body", "status", "code"), REFUSED)
async def test_what_cannot_be_tried_is_refused(
    platform: Platform, kind: str, body: dict[str, Any], status: int, code: ErrorCode
) -> None:
    await (await platform.user()).refused("POST", f"/playground/{kind}", status, code.value, json=body)


async def test_prices_and_strategies_of_somebody_else_are_404(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    data, strategy_id = await add_prices(platform, owner), await owner.create()
    for body in ({"plans": [PLAN], "data_id": data.id}, {"plans": [{"strategy_id": strategy_id}]}):
        answer = await stranger.call("POST", "/playground/backtest", json=body)
        assert answer.status_code == 404, answer.text
    body = {"plan": FIXED, "data_id": data.id, "day": data.first_day.isoformat()}
    assert (await stranger.call("POST", "/playground/simulate", json=body)).status_code == 404


async def test_a_day_that_the_prices_do_not_reach_is_refused(platform: Platform) -> None:
    user = await platform.user()
    data = await add_prices(platform, user)
    body = {"plan": {**FIXED, "symbol": "TCS"}, "data_id": data.id, "day": "2020-01-01"}
    await user.refused("POST", "/playground/simulate", 400, "NO_SUCH_DAY", json=body)


async def test_without_temporal_nothing_is_started_and_nothing_is_left(platform: Platform) -> None:
    user = await platform.user()
    await user.refused("POST", "/playground/backtest", 503, "TEMPORAL_UNAVAILABLE", json={"plans": [PLAN]})
    assert (await user.get("/playground/results"))["items"] == []


async def test_three_at_once_are_enough_and_cancelling_makes_room(trading: Platform) -> None:
    user = await trading.user()
    started = [await user.post("/playground/backtest", {"plans": [PLAN]}, expect=202) for _ in range(3)]
    assert started[0]["disclaimer"] == DISCLAIMER
    await user.refused("POST", "/playground/backtest", 409, "PLAYGROUND_BUSY", json={"plans": [PLAN]})
    result_id = started[0]["result_id"]
    await user.refused("DELETE", f"/playground/results/{result_id}", 409, "RESULT_NOT_OVER")
    assert (await user.post(f"/playground/results/{result_id}/cancel"))["status"] == "cancelled"
    await user.refused("POST", f"/playground/results/{result_id}/cancel", 409, "RESULT_OVER")
    handle = trading.services.temporal.get_workflow_handle(playground_workflow_id(started[1]["result_id"]))
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await user.post("/playground/simulate", {"plan": FIXED}, expect=202)
    await user.call("DELETE", f"/playground/results/{result_id}", expect=200)
    await user.refused("GET", f"/playground/results/{result_id}", 404, "PLAYGROUND_RESULT_NOT_FOUND")


async def test_the_same_key_starts_one_backtest(trading: Platform) -> None:
    user = await trading.user()
    twice = [
        await user.post("/playground/backtest", {"plans": [PLAN]}, expect=202, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert len((await user.get("/playground/results"))["items"]) == 1


# --- what comes of it -------------------------------------------------------------------------------------------------


async def test_a_sweep_is_reckoned_ranked_paged_exported_and_warned_of(trading: Platform) -> None:
    user = await trading.user()
    body = {"plans": [PLAN], "sweep": {"stop_loss_percent": [0.5, 1, 2], "sell_time": ["14:00:00", "15:00:00"]}}
    result_id = (await user.post("/playground/backtest", body, expect=202))["result_id"]
    await work(trading, user, result_id)
    result = await user.get(f"/playground/results/{result_id}")
    assert (result["status"], result["progress"], result["finished"]) == ("completed", 1.0, 120)
    plans = result["backtest"]["plans"]
    assert [plan["rank"] for plan in plans] == [1, 2, 3, 4, 5, 6]
    chosen_by = [plan["net_of_first_days"] for plan in plans]
    assert chosen_by == sorted(chosen_by, reverse=True)
    assert {caution["code"] for caution in result["cautions"]} == {
        *("MADE_UP_PRICES", "NOT_LISTED", "MANY_COMBINATIONS", "FEW_DAYS"),
    }
    assert result["disclaimer"] == DISCLAIMER

    days = await pages(user, f"/playground/results/{result_id}/days")
    assert [day["sequence"] for day in days] == list(range(120))
    best = [day for day in days if day["number"] == plans[0]["number"]]
    assert sum(Decimal(str(day["net"])) for day in best) == Decimal(str(plans[0]["net"]))
    assert len(await pages(user, f"/playground/results/{result_id}/days", number=plans[0]["number"])) == 20

    response = await user.call("GET", f"/playground/results/{result_id}/days.csv", expect=200)
    lines = list(csv.DictReader(io.StringIO(response.text)))
    assert [line["net"] for line in lines] == [f"{Decimal(str(day['net'])):.2f}" for day in days]
    assert {line["note"] for line in lines} == {"hypothetical"}


async def pages(user: Client, path: str, **query: Any) -> list[Any]:
    found, cursor = [], None
    while True:
        page = await user.get(path, params={"limit": 50, **query, **({"cursor": cursor} if cursor else {})})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_reckoning_twice_changes_nothing(trading: Platform) -> None:
    user = await trading.user()
    result_id = (await user.post("/playground/backtest", {"plans": [PLAN]}, expect=202))["result_id"]
    activities = ApartPlaygroundActivities(
        database=trading.services.database, calendar=trading.services.calendar, clock=trading.clock
    )
    for _ in range(2):
        await activities.reckon_now(PlaygroundInput(result_id, user.user_id))
    assert len(await pages(user, f"/playground/results/{result_id}/days")) == 20


async def test_a_plan_is_tried_on_prices_of_its_own(trading: Platform) -> None:
    user = await trading.user()
    data = await upload(user, DAY)
    body = {"plans": [{**FIXED, "symbol": "TCS", "stop_loss": 99.4}], "data_id": data["data_id"], "rules": {"slippage_bps": 0}}
    result_id = (await user.post("/playground/backtest", body, expect=202))["result_id"]
    await work(trading, user, result_id)
    (day,) = (await user.get(f"/playground/results/{result_id}/days"))["items"]
    assert (day["outcome"], day["buy_price"], day["sell_price"], day["gross"]) == ("sold_at_time", 100.0, 100.0, 0.0)
    # By Zerodha's rates on two orders of ₹1,000.
    assert day["charges"] > 0
    assert day["net"] == -day["charges"]


async def test_prices_that_are_deleted_before_they_are_used_fail_in_words(trading: Platform) -> None:
    user = await trading.user()
    data = await upload(user, DAY)
    body = {"plans": [{**FIXED, "symbol": "TCS", "stop_loss": 99.4}], "data_id": data["data_id"]}
    result_id = (await user.post("/playground/backtest", body, expect=202))["result_id"]
    await user.call("DELETE", f"/playground/data/{data['data_id']}", expect=200)
    await work(trading, user, result_id)
    result = await user.get(f"/playground/results/{result_id}")
    assert (result["status"], result["failure"]) == ("failed", "the prices were deleted before they were used")


async def test_a_cancelled_backtest_is_not_reckoned(trading: Platform) -> None:
    user = await trading.user()
    result_id = (await user.post("/playground/backtest", {"plans": [PLAN]}, expect=202))["result_id"]
    await user.post(f"/playground/results/{result_id}/cancel")
    await work(trading, user, result_id)
    result = await user.get(f"/playground/results/{result_id}")
    assert (result["status"], result["backtest"]) == ("cancelled", None)


async def test_a_simulated_day_is_shown_no_faster_than_asked(trading: Platform) -> None:
    user = await trading.user()
    body = {"plan": {**FIXED, "stop_loss": 500}, "speed": 3_600, "made_up": {"seed": 7}, "depth": 6}
    result_id = (await user.post("/playground/simulate", body, expect=202))["result_id"]
    await work(trading, user, result_id)
    begun = await user.get(f"/playground/results/{result_id}")
    assert (begun["status"], begun["simulation"]["outcome"]) == ("playing", None)
    kinds = [event["kind"] for event in begun["simulation"]["events"]]
    assert (kinds.count("bought"), kinds.count("sold")) == (1, 0)
    # Half past nine to three is five and a half hours: two seconds show two of them.
    trading.clock.advance(seconds=2)
    later = await user.get(f"/playground/results/{result_id}")
    assert 0.3 < later["progress"] < 0.4
    bought = [event["quantity"] for event in later["simulation"]["events"] if event["kind"] == "bought"]
    assert bought == [6, 4], "the market gives six, and a second later what is missing"
    trading.clock.advance(seconds=10)
    whole = await user.get(f"/playground/results/{result_id}")
    assert (whole["simulation"]["outcome"], whole["progress"]) == ("sold_at_time", 1.0)
    assert [event["kind"] for event in whole["simulation"]["events"]][-1] == "sold"


async def test_a_strategy_with_a_target_and_a_stop_that_trails_is_tried_as_it_is(trading: Platform) -> None:
    user = await trading.user()
    strategy_id = await user.create(symbol="TCS", stop_loss=98, target_price=101, trailing_by=1)
    data = await upload(user, DAY)
    plan, rules = {"strategy_id": strategy_id}, {"slippage_bps": 0, "with_charges": False}
    many = {
        "plans": [plan],
        "data_id": data["data_id"],
        "rules": rules,
        "sweep": {"target_price": [100.6, 101], "stop_loss": [99]},
    }
    result_id = (await user.post("/playground/backtest", many, expect=202))["result_id"]
    await work(trading, user, result_id)
    result = await user.get(f"/playground/results/{result_id}")
    plans = {plan["target_price"]: plan for plan in result["backtest"]["plans"]}
    # A minute goes from 100 to 99.50, 101 and 100.50; from its high the stop stands at 100.
    assert {target: (plan["trailing_by"], list(plan["outcomes"])) for target, plan in plans.items()} == {
        100.6: (1.0, ["target"]),
        101.0: (1.0, ["target"]),
    }
    assert [plans[target]["gross"] for target in (100.6, 101.0)] == [6.0, 10.0]
    one = {"plan": plan, "data_id": data["data_id"], "day": data["first_day"], "rules": rules}
    result_id = (await user.post("/playground/simulate", one, expect=202))["result_id"]
    await work(trading, user, result_id)
    simulation = (await user.get(f"/playground/results/{result_id}"))["simulation"]
    assert (simulation["outcome"], simulation["gross"], simulation["day"]) == ("target", 10.0, "2026-11-19")
    assert "target_hit" in [event["kind"] for event in simulation["events"]]


async def test_percentages_of_a_simulated_day_become_prices_of_that_day(trading: Platform) -> None:
    user = await trading.user()
    body = {"plan": {**PLAN, "target_percent": 50}, "made_up": {"seed": 7, "step_percent": 0.5}}
    result_id = (await user.post("/playground/simulate", body, expect=202))["result_id"]
    await work(trading, user, result_id)
    result = await user.get(f"/playground/results/{result_id}")
    covered = next(event for event in result["simulation"]["events"] if event["kind"] == "exit_armed")
    bought = next(event["price"] for event in result["simulation"]["events"] if event["kind"] == "bought")
    assert float(covered["message"].rpartition(" ")[2]) == pytest.approx(bought * 0.99, rel=0.01)


async def test_a_cancelled_showing_keeps_its_end_to_itself(trading: Platform) -> None:
    user = await trading.user()
    result_id = (await user.post("/playground/simulate", {"plan": FIXED, "speed": 60}, expect=202))["result_id"]
    await work(trading, user, result_id)
    await user.post(f"/playground/results/{result_id}/cancel")
    trading.clock.advance(minutes=14)
    simulation = (await user.get(f"/playground/results/{result_id}"))["simulation"]
    assert simulation["outcome"] is None


async def test_texts_of_an_export_are_no_formulas(platform: Platform) -> None:
    user = await platform.user()
    variant = {"number": 0, "symbol": "=HYPERLINK(1)"}
    request = {"instrument": {"symbol": "X", "tick_size": "0.05"}, "is_listed": True, "variants": [variant]}
    job = await add_result(platform, user, request=request)
    async with platform.services.database.transaction() as session:
        session.add(
            PlaygroundDay(
                **{
                    "job_id": job.id,
                    "user_id": user.user_id,
                    "sequence": 0,
                    "variant": 0,
                    "outcome": "no_data",
                    "is_judged": False,
                },
                **{"trading_day": trading_date(platform.clock.now()), "quantity": 0, "has_gap": False},
                **dict.fromkeys(("gross", "charges", "net"), Decimal(-5)),
            )
        )
    response = await user.call("GET", f"/playground/results/{job.id}/days.csv", expect=200)
    (line,) = csv.DictReader(io.StringIO(response.text))
    assert (line["symbol"], line["net"]) == ("'=HYPERLINK(1)", "-5.00")


async def test_lists_are_paged_newest_first(platform: Platform) -> None:
    user = await platform.user()
    made = [(await add_result(platform, user)).id for _ in range(3)]
    first = await user.get("/playground/results", params={"limit": 2})
    rest = await user.get("/playground/results", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [item["result_id"] for item in (*first["items"], *rest["items"])] == made[::-1]
    assert rest["next_cursor"] is None
    await user.refused("GET", "/playground/results", 400, "INVALID_CURSOR", params={"cursor": "nonsense"})


async def test_users_at_the_limit_of_results_are_told_to_delete_some(platform: Platform) -> None:
    user = await platform.user()
    for _ in range(200):
        await add_result(platform, user)
    await user.refused("POST", "/playground/backtest", 409, "PLAYGROUND_FULL", json={"plans": [PLAN]})


# --- with a worker ----------------------------------------------------------------------------------------------------


async def over(user: Client, result_id: str) -> Any:
    """The result, once it is over."""
    return await eventually_asked(
        lambda: user.get(f"/playground/results/{result_id}"),
        lambda result: result["status"] in ("completed", "failed", "cancelled"),
        "the work is over",
    )


async def test_from_the_request_to_the_result_through_a_worker(trading: Platform, temporal_client: TemporalClient) -> None:
    user = await trading.user()
    services = trading.services
    playing = ApartPlaygroundActivities(database=services.database, calendar=services.calendar, clock=trading.clock)
    ids = [
        (await user.post("/playground/backtest", {"plans": [PLAN]}, expect=202))["result_id"],
        (await user.post("/playground/simulate", {"plan": {**FIXED, "stop_loss": 500}}, expect=202))["result_id"],
        (await user.post("/playground/simulate", {"plan": FIXED, "speed": 1}, expect=202))["result_id"],
    ]
    async with make_worker(temporal_client, services.settings, [playing.reckon, playing.end_playing]):
        backtest, at_once = await over(user, ids[0]), await over(user, ids[1])
        assert (backtest["status"], backtest["backtest"]["days"]) == ("completed", 20)
        assert (at_once["status"], at_once["simulation"]["outcome"]) == ("completed", "sold_at_time")
        # Shown in real time, for hours: until somebody has seen enough.
        await eventually_asked(
            lambda: user.get(f"/playground/results/{ids[2]}"), lambda result: result["status"] == "playing", "the day is shown"
        )
        await user.post(f"/playground/results/{ids[2]}/cancel")
        handle = services.temporal.get_workflow_handle(playground_workflow_id(ids[2]))
        await handle.result()
    assert (await user.get(f"/playground/results/{ids[2]}"))["status"] == "cancelled"


async def test_a_simulation_leaves_no_trace_in_anything_that_trades(trading: Platform) -> None:
    user = await trading.user()
    broker_id = await trading.connect(user)
    result_id = (await user.post("/playground/simulate", {"plan": {**FIXED, "symbol": "TCS", "stop_loss": 990}}, expect=202))[
        "result_id"
    ]
    await work(trading, user, result_id)
    async with trading.services.database.transaction() as session:
        for table in (Order, Run, RunEvent, OrderLog):
            assert (await session.scalars(select(func.count()).select_from(table))).one() == 0
    assert (await user.get(f"/broker/{broker_id}/orders"))["items"] == []


async def test_a_broker_account_without_history_is_told_apart(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    day = trading_date(platform.clock.now()).isoformat()
    wanted = {"broker_id": broker_id, "symbol": "TCS", "from_day": day, "to_day": day}
    await user.refused("POST", "/playground/data/from-broker", 409, "HISTORY_NOT_KEPT", json=wanted)
