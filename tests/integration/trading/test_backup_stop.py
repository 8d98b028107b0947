"""A stop that rests at the broker: it becomes the exit by being modified, so that there is never a second sale. Judged by the
exchange's own log, with answers that go missing, refusals, cancellations, and fills nobody of us asked for."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client

from activities.messages import StopRequested, StrategyResult
from execution.commands import PlanChangeTaken, take_plan_change, take_stop
from storage.models import Alert, Order, Run
from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS
from trading.orders import OrderState
from trading.runs import EndReason
from workflows import names


@pytest.fixture
async def fast(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


def exits(orders: list[Order]) -> list[Order]:
    return [order for order in orders if order.leg == "exit"]


def rests(orders: list[Order]) -> bool:
    return any(order.state is OrderState.OPEN and order.backup_trigger is not None for order in exits(orders))


async def start(world: World, **plan: Any) -> Run:
    account = await world.add_account()
    return await world.start_run(account, backup_stop=True, **plan)


async def resting(world: World, **plan: Any) -> Run:
    run = await start(world, **plan)
    await world.until(run.id, lambda row, orders: row.bought == row.quantity and rests(orders), "a stop rests at the broker")
    return run


def asked(world: World, action: str) -> list[tuple[str, str, Decimal | None]]:
    """Kind, quantity and trigger of the sales that were placed, or of what was modified, in order of arrival."""
    rows = [row["parameters"] for row in world.requests(action) if row["parameters"].get("transaction_type") != "BUY"]
    triggers = [Decimal(row["trigger_price"]) if "trigger_price" in row else None for row in rows]
    return [(row["order_type"], row["quantity"], trigger) for row, trigger in zip(rows, triggers, strict=True)]


def at_exchange(world: World) -> list[tuple[str, int]]:
    """Status and filled quantity of every sale."""
    return [(row["status"], row["filled_quantity"]) for row in world.sim.orders("alice") if row["transaction_type"] == "SELL"]


def assert_sold_once(world: World, *, sales: int = 1, quantity: int = 10) -> None:
    assert sum(filled for _, filled in at_exchange(world)) == quantity, at_exchange(world)
    assert len(asked(world, "place")) == sales, asked(world, "place")
    assert world.sim.net_position("alice", "TCS") == 0
    assert all(status in ("COMPLETE", "CANCELLED", "REJECTED") for status, _ in at_exchange(world)), "something still rests"


# --- the usual day --------------------------------------------------------------------------------------------------------


async def test_it_rests_wider_than_the_stop_and_becomes_the_exit_when_the_stop_is_hit(world: World) -> None:
    run = await resting(world)
    assert asked(world, "place") == [("SL", "10", Decimal(3465))]
    assert at_exchange(world) == [("TRIGGER PENDING", 0)]
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert result.exit_late_ms is not None
    assert asked(world, "modify")[0] == ("LIMIT", "10", None)
    assert_sold_once(world)
    assert world.requests("cancel") == []


async def test_the_desk_alone_makes_it_the_exit_before_any_workflow_hears_of_the_stop(fast: World) -> None:
    run = await resting(fast)
    await fast.cross_stop(run, "3490", signal=False)
    await fast.until(run.id, lambda row, _: row.sold == 10, "sold by the desk alone")
    await fast.cross_stop(run, "3489", publish=False)
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast)


async def test_at_the_sell_time_it_becomes_the_exit(world: World) -> None:
    run = await resting(world, sell_in=4.0)
    assert (await world.result(run)).end_reason is EndReason.SOLD_AT_TIME
    assert_sold_once(world)


async def test_at_the_target_it_becomes_the_exit(world: World) -> None:
    run = await resting(world, target_price=Decimal(3800))
    await world.cross_target(run, "3800")
    assert (await world.result(run)).end_reason is EndReason.TARGET
    assert_sold_once(world)


async def test_at_its_users_word_it_becomes_the_exit(world: World) -> None:
    run = await resting(world)
    await ask_to_stop(world, run, square_off=True)
    assert (await world.result(run)).end_reason is EndReason.STOPPED_BY_USER
    assert_sold_once(world)


async def test_a_position_that_is_kept_is_left_without_it(world: World) -> None:
    run = await resting(world)
    await ask_to_stop(world, run, square_off=False)
    assert (await world.result(run)).end_reason is EndReason.LEFT_OPEN_BY_USER
    assert at_exchange(world) == [("CANCELLED", 0)]
    assert world.sim.net_position("alice", "TCS") == 10


async def ask_to_stop(world: World, run: Run, *, square_off: bool) -> None:
    async with world.database.transaction() as session:
        await take_stop(
            session,
            run_id=run.id,
            user_id=run.user_id,
            square_off=square_off,
            requested_by=run.user_id,
            now=world.clock.now(),
        )
    await world.workflow(run).signal(names.STOP_REQUESTED, StopRequested(square_off, run.user_id, world.clock.now()))


async def test_everything_at_once_sells_once(world: World) -> None:
    run = await resting(world, target_price=Decimal(3800))
    await asyncio.gather(
        world.cross_stop(run, "3490"),
        world.cross_target(run, "3800"),
        ask_to_stop(world, run, square_off=True),
        world.cross_stop(run, "3480"),
    )
    assert (await world.result(run)).sold == 10
    assert_sold_once(world)


async def test_without_the_option_nothing_rests(fast: World) -> None:
    account = await fast.add_account()
    run = await fast.start_run(account)
    await fast.until_holding(run)
    await asyncio.sleep(1.5)  # more than a sweep
    assert asked(fast, "place") == []
    await fast.cross_stop(run, "3490")
    await fast.result(run)
    assert asked(fast, "place") == [("LIMIT", "10", None)]
    assert asked(fast, "modify") == []


# --- nobody of us is there ------------------------------------------------------------------------------------------------


async def result_by_the_guard(world: World, run: Run) -> StrategyResult:
    """No workflow heard of the sale: the guard finds the run flat and tells it."""
    guard = world.guard()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await world.run(run.id)).state != "ended":
            await guard.round()
            await asyncio.sleep(0.2)
    return await world.result(run)


async def test_what_the_broker_sells_by_itself_ends_the_run_as_stopped_out(world: World) -> None:
    run = await resting(world)
    world.sim.set_price("TCS", "3460")
    result = await result_by_the_guard(world, run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert_sold_once(world)
    assert asked(world, "modify") == []
    assert "backup_triggered: The backup stop at the broker was reached" in await world.timeline(run.id)


async def test_one_that_has_triggered_and_finds_nobody_is_followed_as_the_exit(fast: World) -> None:
    run = await resting(fast)
    fast.sim.set_depth("TCS", 4)
    await fast.price("TCS", "3300")  # through its trigger and its limit
    await fast.until(run.id, lambda row, _: row.exit_wanted_at is not None, "seen in the book")
    fast.sim.set_depth("TCS", None)
    await fast.price("TCS", "3299")
    assert (await result_by_the_guard(fast, run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast)


async def test_a_part_the_broker_has_sold_is_not_sold_again(fast: World) -> None:
    run = await resting(fast)
    fast.sim.set_depth("TCS", 4)
    await fast.price("TCS", "3465")
    await fast.until(run.id, lambda row, _: row.sold >= 4, "a part of it")
    fast.sim.set_depth("TCS", None)
    await fast.price("TCS", "3464")
    assert (await result_by_the_guard(fast, run)).sold == 10
    assert_sold_once(fast)


async def test_a_stop_and_the_brokers_own_sale_in_the_same_moment_sell_once(world: World) -> None:
    """The price falls through both: the broker has sold when our modification arrives."""
    run = await resting(world)
    await world.cross_stop(run, "3460")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert_sold_once(world)


# --- placing it -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("accept_then_drop", {}), ("status_500", {"accepted": True}), ("slow", {"delay_ms": 1500})],
    ids=["dropped", "500", "slow"],
)
async def test_one_whose_answer_is_lost_is_found_and_not_placed_again(fast: World, kind: str, fields: dict[str, Any]) -> None:
    fast.sim.add_fault(kind, endpoint="place", count=1, side="SELL", **fields)
    run = await resting(fast)
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).sold == 10
    assert_sold_once(fast)


async def test_a_stop_that_is_hit_while_its_placing_is_in_doubt_is_sold_once(fast: World) -> None:
    fast.sim.add_fault("accept_then_drop", endpoint="place", count=1, side="SELL")
    fast.sim.add_fault("status_503", endpoint="orders", count=4)
    run = await start(fast)
    await fast.until(
        run.id, lambda _, orders: any(o.state is OrderState.UNKNOWN and o.backup_trigger for o in exits(orders)), "in doubt"
    )
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast)


async def test_one_that_never_arrived_leaves_the_position_covered_and_is_placed_again(fast: World) -> None:
    fast.sim.add_fault("drop_before", endpoint="place", count=1, side="SELL")
    run = await resting(fast)
    states = [order.state for order in exits(await fast.orders(run.id))]
    assert states == [OrderState.ABSENT, OrderState.OPEN]
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).sold == 10
    assert_sold_once(fast, sales=len(asked(fast, "place")))


REFUSED: dict[str, dict[str, Any]] = {"reject_sync": {"error_type": "InputException"}, "reject_async": {}}


@pytest.mark.parametrize("kind", list(REFUSED))
async def test_one_that_is_refused_leaves_the_position_covered_and_is_placed_again(fast: World, kind: str) -> None:
    fast.sim.add_fault(kind, endpoint="place", count=1, side="SELL", **REFUSED[kind])
    run = await start(fast)
    await fast.until(run.id, lambda _, orders: len(exits(orders)) == 2 and rests(orders), "refused, and placed again")
    first, second = exits(await fast.orders(run.id))
    assert (first.state, second.state) == (OrderState.REJECTED, OrderState.OPEN)
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast, sales=2)


async def test_a_stop_that_is_hit_after_it_was_refused_sells_at_once(fast: World) -> None:
    fast.sim.add_fault("reject_sync", endpoint="place", count=1, side="SELL", error_type="InputException")
    run = await start(fast)
    await fast.until(
        run.id,
        lambda _, orders: [o.state for o in exits(orders)] == [OrderState.REJECTED, OrderState.ARMED],
        "covered by our own stop again",
    )
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert asked(fast, "place")[-1][0] == "LIMIT"
    assert_sold_once(fast, sales=2)


# --- it vanishes ----------------------------------------------------------------------------------------------------------


async def test_one_the_broker_cancels_is_placed_again(fast: World) -> None:
    run = await resting(fast)
    fast.sim.broker_cancel("alice")
    await fast.until(run.id, lambda _, orders: len(exits(orders)) == 2 and rests(orders), "it rests again")
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast, sales=2)


async def test_a_stop_that_is_hit_right_after_the_broker_has_cancelled_it_still_sells(fast: World) -> None:
    run = await resting(fast)
    fast.sim.broker_cancel("alice")
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast, sales=2)


# --- making it the exit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status_500", {"accepted": True}),
        ("half_json", {}),
        ("slow", {"delay_ms": 1500}),
        ("drop_before", {}),
        ("status_500", {}),
        ("status_429", {}),
        ("modify_refused", {}),
        ("modify_refused", {"asynchronous": True}),
    ],
    ids=["500-done", "half-done", "slow", "dropped", "500", "429", "refused", "refused-later"],
)
async def test_a_modification_that_goes_wrong_ends_in_one_sale(world: World, kind: str, fields: dict[str, Any]) -> None:
    run = await resting(world)
    world.sim.add_fault(kind, endpoint="modify", count=1, **fields)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert_sold_once(world, sales=len(asked(world, "place")))
    assert len(asked(world, "place")) <= 2, "taken back and replaced at most once"


NEVER: dict[str, tuple[str, dict[str, Any]]] = {
    "busy": ("modify_refused", {}),
    "later": ("modify_refused", {"asynchronous": True}),
    "input": ("reject_sync", {"error_type": "InputException", "message": "not this kind of order"}),
}


@pytest.mark.parametrize("why", list(NEVER))
async def test_one_that_cannot_be_modified_is_taken_back_and_an_exit_sent_in_its_stead(fast: World, why: str) -> None:
    run = await resting(fast)
    kind, fields = NEVER[why]
    fast.sim.add_fault(kind, endpoint="modify", count=None, **fields)
    await fast.cross_stop(run, "3490")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast, sales=2)
    assert asked(fast, "place")[-1][0] == "LIMIT"
    told = [alert.message for alert in await alerts(fast, run) if alert.kind == "run_needs_person"]
    assert bool(told) == (why != "busy"), "who is only asked to wait needs nobody"
    assert all("could not be made the exit" in message for message in told)


async def alerts(world: World, run: Run) -> list[Alert]:
    async with world.database.transaction() as session:
        return list(await session.scalars(select(Alert).where(Alert.run_id == run.id)))


async def test_one_that_the_broker_will_not_have_as_the_exit_is_taken_back_at_once(fast: World) -> None:
    """Not tried again and again for the seconds that a passing trouble is given."""
    run = await resting(fast)
    fast.sim.add_fault("reject_sync", endpoint="modify", count=None, error_type="InputException")
    await fast.cross_stop(run, "3490")
    await fast.result(run)
    assert len(asked(fast, "modify")) == 1
    assert_sold_once(fast, sales=2)


# --- it follows the run ---------------------------------------------------------------------------------------------------


async def test_it_moves_with_the_stop(fast: World) -> None:
    run = await resting(fast)
    async with fast.database.transaction() as session:
        taken = await take_plan_change(
            session,
            run_id=run.id,
            user_id=run.user_id,
            sell_at=None,
            stop_loss=Decimal(3400),
            now=fast.clock.now(),
        )
    assert isinstance(taken, PlanChangeTaken), "it is not the exit yet, so the plan may change"
    assert taken.armed is not None
    await fast.until(
        run.id, lambda _, orders: [o.backup_trigger for o in exits(orders)] == [Decimal(3366)], "lowered with the stop"
    )
    assert asked(fast, "modify") == [("SL", "10", Decimal(3366))]
    await fast.price("TCS", "3450")  # below where it rested first
    assert at_exchange(fast) == [("TRIGGER PENDING", 0)]
    await fast.cross_stop(await fast.run(run.id), "3399")
    assert (await fast.result(run)).end_reason is EndReason.STOP_LOSS
    assert_sold_once(fast)


async def test_shares_sold_by_hand_make_it_smaller_and_are_not_sold_again(fast: World) -> None:
    run = await resting(fast)
    fast.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=4)
    await fast.until(run.id, lambda row, orders: row.taken_elsewhere == 4 and exits(orders)[-1].quantity == 6, "made smaller")
    await fast.cross_stop(run, "3490")
    result = await fast.result(run)
    assert result.sold == 6
    assert fast.sim.net_position("alice", "TCS") == 0


async def test_it_is_taken_back_at_the_last_moment(fast: World) -> None:
    run = await resting(fast, sell_in=5.0, hand_over_in=6.0)
    fast.sim.add_fault("status_503", endpoint="modify", count=None)
    await fast.result(run)
    async with asyncio.timeout(30):
        while at_exchange(fast)[0][0] == "TRIGGER PENDING":
            await asyncio.sleep(0.05)
    assert [status for status, _ in at_exchange(fast)] == ["CANCELLED"]
