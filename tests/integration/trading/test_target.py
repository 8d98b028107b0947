"""A target price as one more way out: exactly one exit, whatever comes first. Judged by the exchange's own log."""

import asyncio
from decimal import Decimal

from execution.commands import PlanChangeRefused, PlanChangeTaken, take_plan_change
from storage.models import Run
from tests.integration.trading.world import World
from trading.orders import OrderState
from trading.runs import EndReason, Position


async def holding(world: World, *, target: str = "3800", **plan: object) -> Run:
    account = await world.add_account()
    run = await world.start_run(account, target_price=Decimal(target), **plan)  # type: ignore[arg-type]
    await world.until_holding(run)
    return run


async def test_a_run_that_reaches_its_target_sells_once_and_ends_flat(world: World) -> None:
    run = await holding(world)
    await world.cross_target(run, "3800")
    result = await world.result(run)
    assert (result.end_reason, result.position, result.sold) == (EndReason.TARGET, Position.SOLD, 10), await world.timeline(
        run.id
    )
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sides() == ["BUY", "SELL"]
    assert [line for line in await world.timeline(run.id) if line.startswith("target_hit")] == [
        "target_hit: Target reached at ₹3,800.00"
    ]


async def test_a_target_and_a_stop_at_once_sell_once(world: World) -> None:
    run = await holding(world)
    await asyncio.gather(
        world.cross_target(run, "3800"),
        world.cross_stop(run, "3490"),
        world.cross_target(run, "3810"),
        world.cross_stop(run, "3480"),
    )
    result = await world.result(run)
    assert result.end_reason in (EndReason.STOP_LOSS, EndReason.TARGET)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_target_at_the_sell_time_sells_once(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, sell_in=3.0, target_price=Decimal(3800))
    await world.until_holding(run)
    row = await world.run(run.id)
    left = (row.sell_at - world.clock.now()).total_seconds()
    await asyncio.sleep(max(0.0, left))
    await world.cross_target(run, "3800")
    assert (await world.result(run)).sold == 10
    assert world.sides() == ["BUY", "SELL"]


async def test_a_message_of_a_target_that_the_price_has_not_reached_sells_nothing(world: World) -> None:
    """Only the row decides: a message of an older plan, or a broken one, is refused by the claim."""
    run = await holding(world)
    other = await world.start_run(await world.add_account("bob"), target_price=Decimal(3700))
    await world.until_holding(other)
    await world.cross_target(run, "3799.95", signal=False)
    # The desks take messages in their order: when this one has been answered, the first has been looked at.
    await world.cross_target(other, "3799.95")
    assert (await world.result(other)).end_reason is EndReason.TARGET
    assert world.sides() == ["BUY"]

    assert (await world.run(run.id)).position is Position.BOUGHT
    await world.cross_target(run, "3800")
    assert (await world.result(run)).end_reason is EndReason.TARGET


async def test_at_or_above_the_target_at_the_buy_time_nothing_is_bought(world: World) -> None:
    account = await world.add_account()
    await world.price("TCS", "3800")
    run = await world.start_run(account, target_price=Decimal(3800))
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_SKIPPED
    assert "at or above the target ₹3,800.00" in "\n".join(await world.timeline(run.id))
    assert world.requests("place") == []


async def move_target(
    world: World, run: Run, price: str, *, last_price: str | None = None
) -> PlanChangeTaken | PlanChangeRefused:
    async with world.database.transaction() as session:
        return await take_plan_change(
            session,
            run_id=run.id,
            user_id=run.user_id,
            sell_at=None,
            stop_loss=None,
            target_price=Decimal(price),
            now=world.clock.now(),
            last_price=None if last_price is None else Decimal(last_price),
        )


async def test_a_target_that_was_moved_away_is_not_sold_at_and_the_new_one_is(world: World) -> None:
    run = await holding(world)
    taken = await move_target(world, run, "3900")
    assert isinstance(taken, PlanChangeTaken)
    assert taken.armed is not None
    assert (taken.armed.target, taken.armed.stop_version) == (Decimal(3900), 2)
    await world.cross_target(run, "3850")  # as the older plan would have it
    await asyncio.sleep(0.3)
    orders = await world.orders(run.id)
    assert [order.state for order in orders if order.leg == "exit"] == [OrderState.ARMED]
    assert world.sides() == ["BUY"]

    moved = await world.run(run.id)
    await world.cross_target(moved, "3900")
    assert (await world.result(run)).end_reason is EndReason.TARGET
    assert world.sides() == ["BUY", "SELL"]


async def test_a_target_cannot_be_moved_to_where_it_would_fire_or_stand_below_the_stop(world: World) -> None:
    run = await holding(world)
    for price, last, code in [("3600", "3600", "TARGET_BELOW_PRICE"), ("3500", None, "TARGET_BELOW_STOP")]:
        refused = await move_target(world, run, price, last_price=last)
        assert isinstance(refused, PlanChangeRefused)
        assert refused.code.value == code
    await world.cross_stop(run, "3490")
    await world.result(run)
