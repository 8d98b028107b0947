"""Start, stop, status, change: with Temporal, without it, and without Redis."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client as TemporalClient
from temporalio.client import WorkflowExecutionStatus

from cache.prices import HotPrice, PriceCache
from cache.runtime_view import RuntimeView
from storage.models import AuditEntry, Order, Run, Strategy
from tests.api.conftest import Client, Platform, make_settings, running
from tests.api.fakes import TCS, FakeAdapters
from tests.api.rows import add_event, add_run, order_of
from trading.orders import Leg, OrderState, Side
from trading.runs import ExitReason, Position, RunState, StrategyState


async def runs_stored(platform: Platform) -> list[Run]:
    async with platform.services.database.transaction() as session:
        return list((await session.scalars(select(Run).order_by(Run.id))).all())


async def set_price(platform: Platform, price: str) -> None:
    await PriceCache(platform.services.redis).write({TCS: HotPrice(Decimal(price), platform.clock.now())})


async def connected(platform: Platform) -> tuple[Client, str]:
    user = await platform.user()
    await platform.connect(user)
    return user, await user.create()


async def test_a_start_before_the_buy_time_runs_today_with_a_workflow_of_its_own(
    trading: Platform, temporal_client: TemporalClient
) -> None:
    user, strategy_id = await connected(trading)
    answer = await user.post(f"/strategy/start/{strategy_id}")
    assert (answer["strategy_id"], answer["status"]) == (strategy_id, "running")
    assert (answer["trading_day"], answer["starts_at"]) == ("2026-11-20", "2026-11-20T04:00:00Z")
    assert answer["sells_at"] == "2026-11-20T09:40:00Z"
    workflow = await temporal_client.get_workflow_handle(f"strategy-{strategy_id}-2026-11-20").describe()
    assert workflow.status is WorkflowExecutionStatus.RUNNING
    assert workflow.workflow_type == "StrategyWorkflow"
    found = {pair.key.name: pair.value for pair in workflow.typed_search_attributes}
    assert (found["StrategyId"], found["UserId"], found["Symbol"]) == (strategy_id, user.user_id, "TCS")
    assert (found["TradingDay"], found["RunState"]) == ("2026-11-20", "scheduled")
    assert (await user.get(f"/strategy/status/{strategy_id}"))["status"] == "running"


async def test_no_secret_enters_the_workflow(trading: Platform, temporal_client: TemporalClient) -> None:
    user, strategy_id = await connected(trading)
    await user.post(f"/strategy/start/{strategy_id}")
    history = await temporal_client.get_workflow_handle(f"strategy-{strategy_id}-2026-11-20").fetch_history()
    written = str(history.to_json())
    token = next(iter(trading.broker.tokens))
    assert strategy_id in written
    assert token not in written
    assert '"secret"' not in written


async def test_a_start_after_the_buy_time_runs_on_the_next_trading_day_over_the_weekend(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    trading.clock.advance(minutes=11)
    answer = await user.post("/strategy/start", {"strategy_id": strategy_id})
    assert (answer["trading_day"], answer["starts_at"]) == ("2026-11-23", "2026-11-23T04:00:00Z")
    assert "at 09:30:00 on 23 Nov 2026" in answer["message"]


async def test_a_start_now_buys_at_once(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    await set_price(trading, "3600")
    answer = await user.post(f"/strategy/start/{strategy_id}", {"start": "now"})
    assert answer["starts_at"] == "2026-11-20T03:50:00Z"
    assert [(run.starts_now, run.state) for run in await runs_stored(trading)] == [(True, RunState.SCHEDULED)]


@pytest.mark.parametrize("price", ["3500", "3499.90"])
async def test_a_start_now_is_refused_when_the_price_is_at_or_below_the_stop(trading: Platform, price: str) -> None:
    user, strategy_id = await connected(trading)
    await set_price(trading, price)
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "PRICE_AT_OR_BELOW_STOP", json={"start": "now"})
    assert await runs_stored(trading) == []


LIMITS: list[tuple[dict[str, object], str]] = [
    ({"max_order_value": 35_999}, "RISK_LIMIT_ORDER_VALUE"),
    ({"max_open_value": 35_999}, "RISK_LIMIT_OPEN_VALUE"),
]


@pytest.mark.parametrize(("limits", "code"), LIMITS, ids=[case[1] for case in LIMITS])
async def test_a_start_that_would_break_a_limit_is_refused_with_its_code(
    trading: Platform, limits: dict[str, object], code: str
) -> None:
    user, strategy_id = await connected(trading)
    await set_price(trading, "3600")
    await user.call("PUT", "/risk-limits", json=limits, expect=200)
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, code, json={"start": "now"})
    assert await runs_stored(trading) == []
    await user.call("PUT", "/risk-limits", json={name: 36_000 for name in limits}, expect=200)
    await user.post(f"/strategy/start/{strategy_id}", {"start": "now"})


async def test_what_will_be_open_at_a_later_buy_time_is_not_judged_at_the_start(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    await set_price(trading, "3600")
    await user.call("PUT", "/risk-limits", json={"max_open_value": 1000}, expect=200)
    await user.post(f"/strategy/start/{strategy_id}")


async def test_a_start_now_without_a_hot_price_asks_the_broker(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    trading.broker.prices[TCS] = Decimal("3500")
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "PRICE_AT_OR_BELOW_STOP", json={"start": "now"})
    trading.broker.prices[TCS] = Decimal("3500.10")
    await user.post(f"/strategy/start/{strategy_id}", {"start": "now"})


async def test_a_quote_refused_for_its_rate_is_asked_for_again(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    trading.broker.prices[TCS] = Decimal("3600")
    trading.broker.quotes_refused = 1
    started = await user.post(f"/strategy/start/{strategy_id}", {"start": "now"})
    assert started["status"] == "running"
    assert trading.broker.quotes_refused == 0


async def test_a_price_that_cannot_be_read_refuses_the_start_and_is_not_guessed(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    await user.refused("POST", f"/strategy/start/{strategy_id}", 503, "PRICE_UNAVAILABLE", json={"start": "now"})
    trading.broker.is_down = True
    await user.refused("POST", f"/strategy/start/{strategy_id}", 503, "BROKER_UNAVAILABLE", json={"start": "now"})
    assert await runs_stored(trading) == []


@pytest.mark.parametrize("advance", [{"hours": -1}, {"hours": 5, "minutes": 55}, {"days": 1}])
async def test_a_start_now_outside_the_session_is_refused(trading: Platform, advance: dict[str, float]) -> None:
    user, strategy_id = await connected(trading)
    trading.clock.advance(**advance)
    trading.broker.prices[TCS] = Decimal(3600)
    login = {"email": (await fresh_login(trading, user))["email"]}
    assert login["email"]
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "MARKET_CLOSED", json={"start": "now"})
    assert await runs_stored(trading) == []


async def fresh_login(platform: Platform, user: Client) -> dict[str, Any]:
    """After the clock was moved the access token is not valid any more, and neither is the broker's."""
    user.tokens = await user.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]}, headers={"Authorization": ""})
    for account in (await user.get("/broker/list"))["items"]:
        token = platform.broker.log_in("key")
        await user.post(f"/broker/{account['broker_id']}/session", {"access_token": token})
    return dict(await user.get("/auth/me"))


async def test_without_an_account_a_start_is_refused(platform: Platform) -> None:
    user = await platform.user()
    strategy_id = await user.create()
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "BROKER_NOT_CONNECTED")
    assert await runs_stored(platform) == []


async def test_with_an_account_that_waits_for_its_login_a_start_is_refused(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key")
    await user.post("/broker/connect", {"api_key": "key", "api_secret": "secret"}, expect=201)
    await user.refused("POST", f"/strategy/start/{await user.create()}", 409, "BROKER_NOT_CONNECTED")


async def test_with_a_token_known_to_be_dead_a_start_is_refused(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    platform.broker.log_in("key")
    await user.refused("GET", f"/broker/{broker_id}/margins", 409, "BROKER_NOT_CONNECTED")
    await user.refused("POST", f"/strategy/start/{await user.create()}", 409, "BROKER_NOT_CONNECTED")


async def test_with_two_accounts_a_start_needs_a_choice(trading: Platform) -> None:
    user = await trading.user()
    await trading.connect(user, "one")
    second = await trading.connect(user, "two")
    strategy_id = await user.create()
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "BROKER_CHOICE_NEEDED")
    chosen = await user.create(broker_id=second)
    assert (await user.post(f"/strategy/start/{chosen}"))["broker_id"] == second


async def test_a_strategy_whose_account_was_deleted_does_not_trade_with_another_one(trading: Platform) -> None:
    user = await trading.user()
    first = await trading.connect(user, "one")
    strategy_id = await user.create(broker_id=first)
    await user.call("DELETE", f"/broker/{first}", expect=200)
    await trading.connect(user, "two")
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "BROKER_NOT_CONNECTED")


async def test_ten_clicks_at_once_start_one_run(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    answers = await asyncio.gather(*(user.call("POST", f"/strategy/start/{strategy_id}") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 9]
    assert {answer.json()["error"] for answer in answers if answer.status_code == 409} == {"ALREADY_RUNNING"}
    assert len(await runs_stored(trading)) == 1


async def test_without_temporal_a_start_is_503_and_leaves_no_open_run(platform: Platform) -> None:
    user, strategy_id = await connected(platform)
    await user.refused("POST", f"/strategy/start/{strategy_id}", 503, "TEMPORAL_UNAVAILABLE")
    assert [run.state for run in await runs_stored(platform)] == [RunState.ENDED]
    assert (await user.get(f"/strategy/status/{strategy_id}"))["run_state"] == "ended"
    await user.call("PUT", f"/strategy/{strategy_id}", json={"quantity": 5}, expect=200)


async def test_a_start_that_temporal_could_not_take_may_be_repeated(
    database_url: str, redis_url: str, temporal_address: str, task_queue: str
) -> None:
    async with running(make_settings(database_url, redis_url), FakeAdapters()) as before:
        user, strategy_id = await connected(before)
        await user.refused("POST", f"/strategy/start/{strategy_id}", 503, "TEMPORAL_UNAVAILABLE")
        tokens, adapters = user.tokens, before.adapters
    settings = make_settings(database_url, redis_url, temporal_address=temporal_address, task_queue=task_queue)
    async with running(settings, adapters) as after:
        user = Client(after.http, tokens)
        assert (await user.post(f"/strategy/start/{strategy_id}"))["status"] == "running"


async def test_while_the_workflow_of_the_day_is_still_open_a_second_run_is_refused_and_ended(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    first = await user.post(f"/strategy/start/{strategy_id}")
    await end_run(trading, first["run_id"])
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "ALREADY_RUNNING")
    assert [run.state for run in await runs_stored(trading)] == [RunState.ENDED, RunState.ENDED]


async def test_after_its_workflow_has_closed_a_strategy_may_run_again_the_same_day(
    trading: Platform, temporal_client: TemporalClient
) -> None:
    user, strategy_id = await connected(trading)
    first = await user.post(f"/strategy/start/{strategy_id}")
    await end_run(trading, first["run_id"])
    await temporal_client.get_workflow_handle(f"strategy-{strategy_id}-2026-11-20").terminate()
    second = await user.post(f"/strategy/start/{strategy_id}")
    assert second["run_id"] != first["run_id"]


async def end_run(platform: Platform, run_id: str) -> None:
    async with platform.services.database.transaction() as session:
        run = await session.get_one(Run, run_id)
        run.state = RunState.ENDED
        (await session.get_one(Strategy, run.strategy_id)).state = StrategyState.COMPLETED


async def test_an_engaged_kill_switch_refuses_the_start(platform: Platform) -> None:
    user, strategy_id = await connected(platform)
    await user.post("/kill-switch")
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "KILL_SWITCH_ENGAGED")
    assert await runs_stored(platform) == []


@pytest.mark.parametrize("body", [{"start": "tomorrow"}, {"start": 5}, {"begin": "now"}, []])
async def test_a_start_that_is_not_understood_is_refused(platform: Platform, body: object) -> None:
    user, strategy_id = await connected(platform)
    answer = await user.call("POST", f"/strategy/start/{strategy_id}", json=body)
    assert answer.status_code in (400, 422)
    assert await runs_stored(platform) == []


async def test_a_start_is_written_into_the_audit_log(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    await user.post(f"/strategy/start/{strategy_id}")
    async with trading.services.database.transaction() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.number))).all()
    assert actions == ["user.register", "broker.connect", "strategy.create", "strategy.start"]


# --- stop --------------------------------------------------------------------------------------------------------------


async def test_a_stop_asks_for_the_exit_and_tells_the_workflow(trading: Platform, temporal_client: TemporalClient) -> None:
    user, strategy_id = await connected(trading)
    started = await user.post(f"/strategy/start/{strategy_id}")
    answer = await user.post(f"/strategy/stop/{strategy_id}")
    assert (answer["strategy_id"], answer["status"], answer["square_off"]) == (strategy_id, "stopped", True)
    run = (await runs_stored(trading))[0]
    assert (run.id, run.exit_reason, run.stop_requested_at) == (started["run_id"], ExitReason.USER_STOP, trading.clock.now())
    history = await temporal_client.get_workflow_handle(run.workflow_id).fetch_history()
    signals = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert signals == ["stop_requested"]


async def test_a_stop_works_while_temporal_is_away_and_keeps_the_armed_entry_from_leaving(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(
        platform, user, broker_id, state=RunState.SCHEDULED, bought=0, buy_value=Decimal(0), position=Position.NONE
    )
    await arm(platform, run, Leg.ENTRY)
    answer = await user.post("/strategy/stop", {"strategy_id": run.strategy_id})
    assert answer["entry_stopped"] is True
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(Order.state))).all() == [OrderState.SUPERSEDED]


async def arm(platform: Platform, run: Run, leg: Leg) -> None:
    async with platform.services.database.transaction() as session:
        side = Side.BUY if leg is Leg.ENTRY else Side.SELL
        armed = order_of(run, f"t{leg.value}", now=None, leg=leg, side=side, state=OrderState.ARMED, filled_quantity=0)
        armed.fire_at, armed.average_price = run.sell_at, Decimal(0)
        session.add(armed)


async def test_a_stop_without_square_off_leaves_the_position_and_says_so(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await arm(platform, run, Leg.EXIT)
    answer = await user.post(f"/strategy/stop/{run.strategy_id}", {"square_off": False})
    assert "left open" in answer["message"]
    stored = (await runs_stored(platform))[0]
    assert (stored.leave_open, stored.exit_reason) == (True, None)


async def test_a_misspelt_square_off_is_refused_instead_of_selling(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.refused("POST", f"/strategy/stop/{run.strategy_id}", 422, "INVALID_INPUT", json={"squareOff": False})
    assert (await runs_stored(platform))[0].stop_requested_at is None


async def test_a_second_stop_changes_nothing(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.post(f"/strategy/stop/{run.strategy_id}")
    first = (await runs_stored(platform))[0].exit_wanted_at
    platform.clock.advance(seconds=5)
    await user.post(f"/strategy/stop/{run.strategy_id}")
    assert (await runs_stored(platform))[0].exit_wanted_at == first


async def test_what_does_not_run_cannot_be_stopped(platform: Platform) -> None:
    user, strategy_id = await connected(platform)
    await user.refused("POST", f"/strategy/stop/{strategy_id}", 409, "NOT_RUNNING")


# --- status ------------------------------------------------------------------------------------------------------------


async def test_the_status_of_what_never_ran(platform: Platform) -> None:
    user, strategy_id = await connected(platform)
    status = await user.get(f"/strategy/status/{strategy_id}")
    assert (status["strategy_id"], status["status"], status["position"]) == (strategy_id, "created", "NONE")
    assert (status["last_action"], status["last_price"], status["run_id"]) == (None, None, None)


async def test_the_status_of_a_position_with_its_price_and_profit(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user), order_tag="t1")
    await set_price(platform, "3600.5")
    status = await user.get(f"/strategy/status/{run.strategy_id}")
    assert (status["status"], status["position"], status["last_action"]) == ("running", "BOUGHT", "BUY")
    assert (status["last_price"], status["pnl"], status["quantity"]) == (3600.5, 880.0, 10)
    assert (status["average_buy_price"], status["stop_loss"]) == (3512.5, 3500.0)
    assert [(order["leg"], order["state"]) for order in status["orders"]] == [("entry", "filled")]


async def test_without_a_price_the_profit_of_a_position_is_unknown_and_not_zero(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    status = await user.get(f"/strategy/status/{run.strategy_id}")
    assert (status["last_price"], status["pnl"]) == (None, None)


async def test_without_redis_everything_still_answers(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, "redis://127.0.0.1:9/0")
    async with running(settings, FakeAdapters()) as platform:
        user = await platform.user()
        run = await add_run(platform, user, await platform.connect(user))
        status = await user.get(f"/strategy/status/{run.strategy_id}")
        assert (status["position"], status["last_price"]) == ("BOUGHT", None)
        assert (await user.post(f"/strategy/stop/{run.strategy_id}"))["status"] == "stopped"
        ready = (await user.call("GET", "/ready")).json()
        assert next(part for part in ready["parts"] if part["name"] == "redis")["state"] == "down"


@pytest.mark.parametrize(("age", "shown"), [(9, "created"), (11, "failed")])
async def test_a_view_of_redis_is_shown_while_it_is_fresh_and_not_longer(platform: Platform, age: float, shown: str) -> None:
    user, strategy_id = await connected(platform)
    async with platform.services.database.transaction() as session:
        (await session.get_one(Strategy, strategy_id)).state = StrategyState.FAILED
    view = await RuntimeView(platform.services.redis).read(strategy_id)
    assert view is not None
    platform.clock.at = view.as_of + timedelta(seconds=age)
    await fresh_login(platform, user)
    assert (await user.get(f"/strategy/status/{strategy_id}"))["status"] == shown


async def test_whoever_asks_about_an_old_view_has_the_others_that_run_brought_up_to_date_as_well(platform: Platform) -> None:
    user, stranger = await platform.user(), await platform.user()
    broker_id = await platform.connect(user)
    asked, another = [await add_run(platform, user, broker_id) for _ in range(2)]
    ended = await add_run(platform, user, broker_id, state=RunState.ENDED)
    foreign = await add_run(platform, stranger, await platform.connect(stranger))
    cached = RuntimeView(platform.services.redis)
    await platform.services.redis.flushdb()
    await user.get(f"/strategy/status/{asked.strategy_id}")
    seen = {run.id: await cached.read(run.strategy_id) for run in (asked, another, foreign)}
    assert [view and view.run_id for view in seen.values()] == [asked.id, another.id, None]
    assert (await user.get(f"/strategy/status/{ended.strategy_id}"))["run_state"] == "ended"
    await user.refused("GET", f"/strategy/status/{foreign.strategy_id}", 404, "STRATEGY_NOT_FOUND")


async def test_runs_and_timeline_are_paged(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id, state=RunState.ENDED)
    newest = await add_run(platform, user, broker_id, strategy_id=run.strategy_id)
    sequences = [await add_event(platform, newest, f"line {number}") for number in range(3)]
    page = await user.get(f"/strategy/{run.strategy_id}/runs?limit=1")
    following = await user.get(f"/strategy/{run.strategy_id}/runs", params={"cursor": page["next_cursor"]})
    assert [page["items"][0]["run_id"], following["items"][0]["run_id"]] == [newest.id, run.id]
    lines = await user.get(f"/strategy/{run.strategy_id}/timeline?limit=2")
    assert [line["sequence"] for line in lines["items"]] == sequences[:2]
    rest = await user.get(f"/strategy/{run.strategy_id}/timeline", params={"cursor": lines["next_cursor"]})
    assert [line["message"] for line in rest["items"]] == ["line 2"]
    only = await user.get(f"/strategy/{run.strategy_id}/timeline", params={"run_id": run.id})
    assert only["items"] == []


# --- change ------------------------------------------------------------------------------------------------------------


async def test_a_change_is_taken_while_every_worker_is_away_and_the_answer_says_that_nobody_was_told(trading: Platform) -> None:
    user, strategy_id = await connected(trading)
    await user.post(f"/strategy/start/{strategy_id}")
    answer = (await user.call("PATCH", f"/strategy/{strategy_id}/running", json={"stop_loss": 3480}, expect=200)).json()
    assert (answer["stop_loss"], answer["workflow_told"]) == (3480.0, False)


async def test_stop_and_sell_time_of_a_running_trade_are_moved_together_with_its_armed_exit(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await arm(platform, run, Leg.EXIT)
    body = {"stop_loss": 3480, "sell_time": "14:00:00"}
    answer = (await user.call("PATCH", f"/strategy/{run.strategy_id}/running", json=body, expect=200)).json()
    assert (answer["stop_loss"], answer["stop_version"], answer["sell_time"]) == (3480.0, 2, "14:00:00")
    assert answer["workflow_told"] is False
    async with platform.services.database.transaction() as session:
        armed = (await session.scalars(select(Order))).one()
    assert (armed.stop_price, armed.stop_version) == (Decimal(3480), 2)
    assert armed.fire_at is not None
    assert armed.fire_at.isoformat() == "2026-11-20T08:30:00+00:00"
    assert (await user.get(f"/strategy/{run.strategy_id}"))["stop_loss"] == 3500.0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "INVALID_INPUT"),
        ({"stop_loss": None}, 400, "INVALID_VALUE"),
        ({"stoploss": 3400}, 422, "INVALID_INPUT"),
        ({"stop_loss": 0}, 400, "INVALID_STOP_LOSS"),
        ({"stop_loss": 3480.05}, 400, "STOP_LOSS_OFF_TICK"),
        ({"sell_time": "25:00:00"}, 400, "INVALID_TIME"),
        ({"sell_time": "15:11:00"}, 400, "SELL_AFTER_CLOSE"),
        ({"sell_time": "09:16:00"}, 409, "SELL_TIME_PASSED"),
        ({"stop_loss": 3600}, 409, "STOP_ABOVE_PRICE"),
        ({"target_price": 3800.05}, 400, "TARGET_PRICE_OFF_TICK"),
        ({"target_price": 3590}, 409, "TARGET_BELOW_PRICE"),
        ({"stop_loss": 3480, "target_price": 3480}, 409, "TARGET_BELOW_PRICE"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(platform: Platform, body: Any, status: int, code: str) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await set_price(platform, "3590")
    await user.refused("PATCH", f"/strategy/{run.strategy_id}/running", status, code, json=body)
    assert [(stored.stop_loss, stored.sell_at) for stored in await runs_stored(platform)] == [(Decimal(3500), run.sell_at)]


async def test_a_target_is_set_while_the_trade_runs_and_shown(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await arm(platform, run, Leg.EXIT)
    answer = (await user.call("PATCH", f"/strategy/{run.strategy_id}/running", json={"target_price": 3800}, expect=200)).json()
    assert (answer["target_price"], answer["stop_loss"], answer["stop_version"]) == (3800.0, 3500.0, 2)
    async with platform.services.database.transaction() as session:
        armed = (await session.scalars(select(Order))).one()
    assert (armed.target_price, armed.stop_version) == (Decimal(3800), 2)
    assert (await user.get(f"/strategy/status/{run.strategy_id}"))["target_price"] == 3800.0


async def test_a_change_after_the_exit_has_begun_is_refused(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.post(f"/strategy/stop/{run.strategy_id}")
    await user.refused("PATCH", f"/strategy/{run.strategy_id}/running", 409, "EXIT_HAS_BEGUN", json={"stop_loss": 3400})


async def test_what_does_not_run_cannot_be_changed(platform: Platform) -> None:
    user, strategy_id = await connected(platform)
    await user.refused("PATCH", f"/strategy/{strategy_id}/running", 409, "NOT_RUNNING", json={"stop_loss": 3400})


async def test_a_new_login_tells_the_workflows_that_wait_for_it(trading: Platform, temporal_client: TemporalClient) -> None:
    user, strategy_id = await connected(trading)
    started = await user.post(f"/strategy/start/{strategy_id}")
    token = trading.broker.log_in("key")
    await user.post(f"/broker/{started['broker_id']}/session", {"access_token": token})
    history = await temporal_client.get_workflow_handle(f"strategy-{strategy_id}-2026-11-20").fetch_history()
    written = [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]
    assert "credentials_renewed" in written
    assert token not in str(history.to_json())
