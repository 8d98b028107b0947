"""Strategies as data."""

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from cache.prices import HotPrice, PriceCache
from storage.models import Run, Strategy, StrategyVersion
from tests.api.conftest import PLAN, Platform, make_settings, running
from tests.api.fakes import TCS, FakeAdapters
from tests.api.rows import add_run


async def strategies_stored(platform: Platform) -> int:
    async with platform.services.database.transaction() as session:
        return (await session.scalar(select(func.count()).select_from(Strategy))) or 0


async def test_the_usual_example_works_as_it_is(platform: Platform) -> None:
    user = await platform.user()
    answer = await user.post(
        "/strategy/create",
        {"symbol": "TCS", "buy_time": "09:30:00", "sell_time": "15:30:00", "stop_loss": 3500, "quantity": 10},
        expect=201,
    )
    assert answer["status"] == "created"
    assert (answer["exchange"], answer["product"], answer["repeat"], answer["version"]) == ("NSE", "MIS", "once", 1)
    assert (answer["buy_time"], answer["sell_time"], answer["stop_loss"]) == ("09:30:00", "15:30:00", 3500.0)
    assert answer["effective_sell_time"] == "15:10:00"
    assert [warning["code"] for warning in answer["warnings"]] == ["SELL_TIME_ADVANCED"]


@pytest.mark.parametrize("stop_loss", [3500.5, "3500.5", "3500.50"])
async def test_prices_are_taken_as_numbers_or_text_and_answered_as_numbers(platform: Platform, stop_loss: object) -> None:
    user = await platform.user()
    strategy_id = await user.create(stop_loss=stop_loss)
    response = await user.call("GET", f"/strategy/{strategy_id}")
    assert json.loads(response.text, parse_float=str)["stop_loss"] == "3500.5"
    async with platform.services.database.transaction() as session:
        assert (await session.get_one(Strategy, strategy_id)).stop_loss == Decimal("3500.5")


async def test_symbols_are_stripped_and_upper_cased(platform: Platform) -> None:
    user = await platform.user()
    answer = await user.post("/strategy/create", {**PLAN, "symbol": " tcs ", "exchange": "nse"}, expect=201)
    assert (answer["symbol"], answer["exchange"]) == ("TCS", "NSE")


BAD_PLANS: list[tuple[dict[str, Any], int, str]] = [
    ({"symbol": "NOSUCH"}, 400, "UNKNOWN_SYMBOL"),
    ({"exchange": "BSE"}, 400, "UNKNOWN_SYMBOL"),
    ({"symbol": ""}, 400, "INVALID_VALUE"),
    ({"symbol": "NIFTY 50"}, 400, "NOT_TRADABLE"),
    ({"quantity": 0}, 400, "INVALID_QUANTITY"),
    ({"quantity": -1}, 400, "INVALID_QUANTITY"),
    ({"quantity": 1_001}, 400, "QUANTITY_ABOVE_FREEZE"),
    ({"quantity": 10**12}, 400, "INVALID_QUANTITY"),
    ({"quantity": 10**400}, 400, "INVALID_QUANTITY"),
    ({"quantity": 1.5}, 422, "INVALID_INPUT"),
    ({"quantity": "ten"}, 422, "INVALID_INPUT"),
    ({"quantity": "10"}, 422, "INVALID_INPUT"),
    ({"quantity": None}, 422, "INVALID_INPUT"),
    ({"quantity": True}, 422, "INVALID_INPUT"),
    ({"symbol": "TCS26NOVFUT", "exchange": "NFO", "quantity": 100}, 400, "QUANTITY_NOT_IN_LOTS"),
    ({"symbol": "TCS26NOVFUT", "exchange": "NFO", "quantity": 175, "product": "CNC"}, 400, "PRODUCT_NOT_ALLOWED"),
    ({"product": "NRML"}, 400, "PRODUCT_NOT_ALLOWED"),
    ({"product": "BO"}, 400, "INVALID_VALUE"),
    ({"stop_loss": 0}, 400, "INVALID_STOP_LOSS"),
    ({"stop_loss": -3500}, 400, "INVALID_STOP_LOSS"),
    ({"stop_loss": "-0"}, 400, "INVALID_STOP_LOSS"),
    ({"stop_loss": 10**30}, 400, "INVALID_STOP_LOSS"),
    ({"stop_loss": "1e400"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "1e3"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "1_000"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "\u0663\u0663\u0663"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "0.00000000001"}, 400, "STOP_LOSS_OFF_TICK"),
    ({"stop_loss": 3500.05}, 400, "STOP_LOSS_OFF_TICK"),
    ({"stop_loss": "NaN"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "Infinity"}, 400, "INVALID_VALUE"),
    ({"stop_loss": "much"}, 422, "INVALID_INPUT"),
    ({"stop_loss": True}, 422, "INVALID_INPUT"),
    ({"stop_loss": [3500]}, 422, "INVALID_INPUT"),
    ({"target_price": 0}, 400, "INVALID_TARGET_PRICE"),
    ({"target_price": 3800.05}, 400, "TARGET_PRICE_OFF_TICK"),
    ({"target_price": 3500}, 400, "TARGET_NOT_ABOVE_STOP"),
    ({"trailing_by": 0}, 400, "INVALID_TRAILING_STOP"),
    ({"trailing_by": 25.05}, 400, "INVALID_TRAILING_STOP"),
    ({"trailing_percent": 100}, 400, "INVALID_TRAILING_STOP"),
    ({"trailing_percent": "0.001"}, 400, "INVALID_TRAILING_STOP"),
    ({"trailing_by": 25, "trailing_percent": 1}, 400, "INVALID_TRAILING_STOP"),
    ({"buy_time": "15:30:00", "sell_time": "09:30:00"}, 400, "BUY_NOT_BEFORE_SELL"),
    ({"buy_time": "12:00:00", "sell_time": "12:00:00"}, 400, "BUY_NOT_BEFORE_SELL"),
    ({"buy_time": "15:12:00", "sell_time": "15:30:00"}, 400, "BUY_NOT_BEFORE_SELL"),
    ({"buy_time": "09:14:59"}, 400, "BUY_BEFORE_OPEN"),
    ({"sell_time": "15:30:01"}, 400, "SELL_AFTER_CLOSE"),
    ({"buy_time": "25:00:00"}, 400, "INVALID_TIME"),
    ({"buy_time": "9:30"}, 400, "INVALID_TIME"),
    ({"buy_time": "09:30"}, 400, "INVALID_TIME"),
    ({"buy_time": ""}, 400, "INVALID_TIME"),
    ({"buy_time": "09:60:00"}, 400, "INVALID_TIME"),
    ({"buy_time": "09:30:60"}, 400, "INVALID_TIME"),
    ({"buy_time": "09:30:00Z"}, 400, "INVALID_TIME"),
    ({"buy_time": "T0930:00"}, 400, "INVALID_TIME"),
    ({"sell_time": "24:00:00"}, 400, "INVALID_TIME"),
    ({"buy_time": 930}, 422, "INVALID_INPUT"),
    ({"buy_time": None}, 422, "INVALID_INPUT"),
    ({"max_lateness_seconds": -1}, 400, "INVALID_VALUE"),
    ({"repeat": "sometimes"}, 400, "INVALID_VALUE"),
    ({"name": "x" * 121}, 400, "INVALID_VALUE"),
    ({"name": "a\0b"}, 400, "INVALID_TEXT"),
    ({"symbol": "TC\0S"}, 400, "INVALID_TEXT"),
    ({"broker_id": "brk_00000000000000000000000000"}, 404, "BROKER_NOT_FOUND"),
    ({"broker_id": "nonsense"}, 404, "BROKER_NOT_FOUND"),
]


async def test_a_backup_stop_is_off_unless_it_is_asked_for(platform: Platform) -> None:
    user = await platform.user()
    strategy_id = (await user.post("/strategy/create", PLAN, expect=201))["strategy_id"]
    assert (await user.get(f"/strategy/{strategy_id}"))["backup_stop"] is False
    await user.call("PUT", f"/strategy/{strategy_id}", json={"backup_stop": True}, expect=200)
    assert (await user.get(f"/strategy/{strategy_id}"))["backup_stop"] is True


async def test_a_target_and_a_trailing_stop_are_kept_changed_and_taken_away(platform: Platform) -> None:
    user = await platform.user()
    body = {**PLAN, "target_price": 3800, "trailing_percent": "1.25"}
    strategy_id = (await user.post("/strategy/create", body, expect=201))["strategy_id"]

    async def prices() -> tuple[Any, ...]:
        answer = await user.get(f"/strategy/{strategy_id}")
        return answer["target_price"], answer["trailing_by"], answer["trailing_percent"]

    async def change(**changes: Any) -> None:
        await user.call("PUT", f"/strategy/{strategy_id}", json=changes, expect=200)

    assert await prices() == (3800.0, None, 1.25)
    await change(trailing_by=25)
    assert await prices() == (3800.0, 25.0, None), "one way of trailing replaces the other"
    await change(quantity=5)
    assert await prices() == (3800.0, 25.0, None), "what is left out stays"
    await change(target_price=None, trailing_by=None)
    assert await prices() == (None, None, None)


async def test_a_plan_that_cannot_run_is_refused_and_not_stored(platform: Platform) -> None:
    user = await platform.user()
    for changes, status, code in BAD_PLANS:
        response = await user.call("POST", "/strategy/create", json={**PLAN, **changes})
        assert (changes, response.status_code, response.json()["error"]) == (changes, status, code)
    assert await strategies_stored(platform) == 0


@pytest.mark.parametrize("missing", sorted(PLAN))
async def test_a_missing_field_is_422_and_named(platform: Platform, missing: str) -> None:
    user = await platform.user()
    body = {name: value for name, value in PLAN.items() if name != missing}
    answer = await user.refused("POST", "/strategy/create", 422, "INVALID_INPUT", json=body)
    assert [detail["field"] for detail in answer["details"]] == [f"body.{missing}"]


async def test_every_reason_is_told_at_once(platform: Platform) -> None:
    user = await platform.user()
    body = {**PLAN, "quantity": 1_001, "stop_loss": 3500.05, "buy_time": "09:00:00"}
    answer = await user.refused("POST", "/strategy/create", 400, "QUANTITY_ABOVE_FREEZE", json=body)
    codes = [detail["code"] for detail in answer["details"]]
    assert codes == ["QUANTITY_ABOVE_FREEZE", "STOP_LOSS_OFF_TICK", "BUY_BEFORE_OPEN"]


async def test_while_no_instruments_are_loaded_create_says_so(database_url: str, redis_url: str) -> None:
    adapters = FakeAdapters()
    adapters.instrument_master.is_down = True
    async with running(make_settings(database_url, redis_url), adapters, wait=False) as platform:
        user = await platform.user()
        await user.refused("POST", "/strategy/create", 503, "INSTRUMENTS_NOT_LOADED", json=PLAN)
        await user.refused("GET", "/instruments?query=TCS", 503, "INSTRUMENTS_NOT_LOADED")


@pytest.mark.parametrize(
    ("price", "codes"),
    [
        ("3500", ["SELL_TIME_ADVANCED", "STOP_AT_OR_ABOVE_PRICE"]),
        ("3400", ["SELL_TIME_ADVANCED", "STOP_AT_OR_ABOVE_PRICE"]),
        ("3501", ["SELL_TIME_ADVANCED", "CLOSE_TO_STOP"]),
        ("3600", ["SELL_TIME_ADVANCED"]),
    ],
)
async def test_a_stop_near_or_above_the_last_price_is_a_warning(platform: Platform, price: str, codes: list[str]) -> None:
    await PriceCache(platform.services.redis).write({TCS: HotPrice(Decimal(price), platform.clock.now())})
    user = await platform.user()
    answer = await user.post("/strategy/create", PLAN, expect=201)
    assert [warning["code"] for warning in answer["warnings"]] == codes


async def test_an_edit_changes_what_is_sent_and_keeps_the_rest_and_every_version(platform: Platform) -> None:
    user = await platform.user()
    strategy_id = await user.create(name="first")
    edited = (await user.call("PUT", f"/strategy/{strategy_id}", json={"quantity": 20, "stop_loss": "3490"}, expect=200)).json()
    assert (edited["quantity"], edited["stop_loss"], edited["name"], edited["version"]) == (20, 3490.0, "first", 2)
    async with platform.services.database.transaction() as session:
        versions = await session.scalars(select(StrategyVersion).order_by(StrategyVersion.version))
        assert [(version.version, version.plan["quantity"]) for version in versions] == [(1, 10), (2, 20)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 0}, "INVALID_QUANTITY"),
        ({"symbol": "NOSUCH"}, "UNKNOWN_SYMBOL"),
        ({"sell_time": "09:30:00"}, "BUY_NOT_BEFORE_SELL"),
    ],
)
async def test_an_edit_that_cannot_run_changes_nothing(platform: Platform, changes: dict[str, Any], code: str) -> None:
    user = await platform.user()
    strategy_id = await user.create()
    before = await user.get(f"/strategy/{strategy_id}")
    await user.refused("PUT", f"/strategy/{strategy_id}", 400, code, json=changes)
    assert await user.get(f"/strategy/{strategy_id}") == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_running_strategy_can_neither_be_edited_nor_deleted(platform: Platform, method: str) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id)
    options = {"json": {"quantity": 5}} if method == "PUT" else {}
    await user.refused(method, f"/strategy/{run.strategy_id}", 409, "STRATEGY_RUNNING", **options)
    assert (await user.get(f"/strategy/{run.strategy_id}"))["quantity"] == 10


async def test_a_deleted_strategy_is_gone_and_its_runs_are_kept(platform: Platform) -> None:
    user = await platform.user()
    strategy_id = await user.create()
    await user.call("DELETE", f"/strategy/{strategy_id}", expect=200)
    await user.refused("GET", f"/strategy/{strategy_id}", 404, "STRATEGY_NOT_FOUND")
    await user.refused("GET", f"/strategy/status/{strategy_id}", 404, "STRATEGY_NOT_FOUND")
    assert (await user.get("/strategy/list"))["items"] == []
    async with platform.services.database.transaction() as session:
        assert (await session.get_one(Strategy, strategy_id)).deleted_by == user.user_id
        assert (await session.scalar(select(func.count()).select_from(Run))) == 0


async def test_the_list_is_paged_newest_first_without_gaps_or_repeats(platform: Platform) -> None:
    user = await platform.user()
    created = [await user.create(name=str(number)) for number in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await user.get("/strategy/list", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [item["strategy_id"] for item in page["items"]]
        # Something new on top does not shift the pages below.
        await user.create(name="later")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(reversed(created))


async def test_the_list_can_be_filtered_by_state(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id)
    await user.create()
    assert [item["strategy_id"] for item in (await user.get("/strategy/list?status=running"))["items"]] == [run.strategy_id]
    assert len((await user.get("/strategy/list?status=created"))["items"]) == 1


@pytest.mark.parametrize("cursor", ["x", "bm90aGluZw==", "MjAyNi0wMS0wMXxzdHJfMDFqYjNtNWs4cjJ2OXg0YzduNnExdDB3M3o=", "é"])
async def test_a_cursor_from_elsewhere_is_refused(platform: Platform, cursor: str) -> None:
    user = await platform.user()
    await user.refused("GET", "/strategy/list", 400, "INVALID_CURSOR", params={"cursor": cursor})


@pytest.mark.parametrize(("limit", "status"), [(0, 400), (201, 400), (-1, 400), ("many", 422)])
async def test_a_page_size_out_of_bounds_is_refused(platform: Platform, limit: object, status: int) -> None:
    user = await platform.user()
    await user.call("GET", "/strategy/list", params={"limit": limit}, expect=status)


async def test_instruments_are_found_by_symbol_and_by_name(platform: Platform) -> None:
    await PriceCache(platform.services.redis).write({TCS: HotPrice(Decimal("3512.5"), platform.clock.now())})
    user = await platform.user()
    found = (await user.get("/instruments?query=tcs"))["items"]
    assert [item["symbol"] for item in found] == ["TCS", "TCSX", "TCS26NOVFUT"]
    assert (found[0]["tick_size"], found[0]["last_price"], found[0]["last_safe_exit"]) == (0.1, 3512.5, "15:10:00")
    assert found[1]["last_price"] is None
    assert [item["symbol"] for item in (await user.get("/instruments?query=small limited"))["items"]] == ["SMALL"]
    assert [item["symbol"] for item in (await user.get("/instruments?query=T&exchange=nfo"))["items"]] == ["TCS26NOVFUT"]
    assert (await user.get("/instruments?query=zzz"))["items"] == []
