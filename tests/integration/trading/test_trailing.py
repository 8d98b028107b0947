"""A stop that follows the price, from the tick on the wire to the sale at the exchange, with a real listener between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

from sqlalchemy import select

from execution.commands import ChangeRefusal, PlanChangeRefused, PlanChangeTaken, take_plan_change
from execution.trailing import Raised, Rise, raise_stops
from listener.market import Market
from listener.service import Listener, Surroundings
from runtime.calendar import AlwaysOpen
from runtime.metrics import PrometheusMetrics
from storage.models import Run
from tests.integration.trading.world import World
from tests.waiting import DEADLINE_SECONDS
from trading.accounts import BrokerName
from trading.runs import EndReason


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[None]:
    surroundings = Surroundings(
        name="listener-1",
        database=world.database,
        redis=world.redis,
        temporal=world.client,
        accounts=world.accounts,
        brokers=(BrokerName.ZERODHA,),
        market=Market(world.accounts.instruments, calendar=AlwaysOpen(), clock=world.clock),
        clock=world.clock,
        metrics=PrometheusMetrics(),
    )
    running = asyncio.create_task(Listener(surroundings).run())
    try:
        yield
        assert not running.done(), running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until_stop(world: World, run: Run, price: str) -> Run:
    await world.until(run.id, lambda row, _: row.stop_loss == Decimal(price), f"the stop stands at {price}")
    row = await world.run(run.id)
    (exit_,) = [order for order in await world.orders(run.id) if order.leg == "exit"]
    assert (exit_.stop_price, exit_.stop_version) == (row.stop_loss, row.stop_version), "the run and its exit say the same"
    return row


async def test_a_stop_follows_the_price_and_sells_when_it_is_met(world: World) -> None:
    account = await world.add_account()
    async with listening(world):
        run = await world.start_run(account, trailing_by=Decimal(25))
        await world.until_holding(run)
        await until_stop(world, run, "3575")  # what was paid less 25
        world.sim.set_price("TCS", "3650.30")
        row = await until_stop(world, run, "3625.30")
        assert row.highest_price == Decimal("3650.30")
        world.sim.set_price("TCS", "3630")
        world.sim.set_price("TCS", "3625.30")
        result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0
    hit = next(line for line in await world.timeline(run.id) if line.startswith("stop_hit"))
    assert hit == ("stop_hit: Stop-loss hit at ₹3,625.30; it had followed the price up to ₹3,650.30 and stood at ₹3,625.30")


async def test_a_fall_that_follows_the_rise_at_once_is_sold_at_the_stop_it_left_behind(world: World) -> None:
    """The rise is not written down yet when the price falls through where it has put the stop."""
    account = await world.add_account()
    async with listening(world):
        run = await world.start_run(account, trailing_percent=Decimal(1))
        await world.until_holding(run)
        await until_stop(world, run, "3564")
        world.sim.set_price("TCS", "3700")
        world.sim.set_price("TCS", "3650")
        result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert (await world.run(run.id)).stop_loss == Decimal(3663)
    assert world.sides() == ["BUY", "SELL"]


async def test_a_listener_that_starts_anew_never_lowers_a_stop(world: World) -> None:
    account = await world.add_account()
    async with listening(world):
        run = await world.start_run(account, trailing_by=Decimal(25))
        await world.until_holding(run)
        world.sim.set_price("TCS", "3700")
        await until_stop(world, run, "3675")
    world.sim.set_price("TCS", "3680")
    async with listening(world):
        world.sim.set_price("TCS", "3682")
        world.sim.set_price("TCS", "3676")
        await world.until(run.id, lambda row, _: row.stop_loss >= Decimal(3675), "it stands where it stood")
        world.sim.set_price("TCS", "3675")
        assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
    assert (await world.run(run.id)).stop_loss == Decimal(3675)
    assert world.sides() == ["BUY", "SELL"]


async def raise_until_free(world: World, rise: Rise) -> Raised:
    """A run whose fills are being stored is left for the next round, as by the listener."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with world.database.transaction() as session:
                raised = await raise_stops(session, [rise])
            if raised.standing or raised.over:
                return raised
            await asyncio.sleep(0.01)


async def test_late_and_repeated_rises_never_lower_a_stop_and_a_run_that_leaves_is_over(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, trailing_by=Decimal(25))
    await world.until_holding(run)
    for stop, high, expected in [("3650", "3675", "3650"), ("3600", "3625", "3650"), ("3650", "3675", "3650")]:
        raised = await raise_until_free(world, Rise(run.id, Decimal(stop), Decimal(high)))
        assert [(each.stop, each.version) for each in raised.standing] == [(Decimal(expected), 2)]
    row = await until_stop(world, run, "3650")
    assert row.highest_price == Decimal(3675)
    async with world.database.transaction() as holder:
        await holder.execute(select(Run).where(Run.id == run.id).with_for_update())
        async with world.database.transaction() as session:
            raised = await raise_stops(session, [Rise(run.id, Decimal(3690), Decimal(3715))])
        assert (raised.standing, raised.over) == ((), frozenset()), "held by somebody: neither written nor over"
    await world.cross_stop(row, "3649")
    await world.result(run)
    async with world.database.transaction() as session:
        raised = await raise_stops(session, [Rise(run.id, Decimal(3690), Decimal(3715))])
    assert (raised.standing, raised.over) == ((), {run.id})
    assert world.sides() == ["BUY", "SELL"]


async def test_a_stop_that_follows_the_price_is_raised_by_its_owner_and_never_lowered(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, trailing_by=Decimal(25))
    await world.until_holding(run)
    await raise_until_free(world, Rise(run.id, Decimal(3575), Decimal(3600)))
    async with world.database.transaction() as session:
        lowered = await _move(session, world, run, "3574.95")
        assert isinstance(lowered, PlanChangeRefused)
        assert lowered.code is ChangeRefusal.STOP_BELOW_TRAIL
        raised = await _move(session, world, run, "3580")
    assert isinstance(raised, PlanChangeTaken)
    assert raised.armed is not None
    assert (raised.armed.stop_price, raised.armed.highest) == (Decimal(3580), Decimal(3600))
    await world.cross_stop(await world.run(run.id), "3580")
    assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def _move(session: object, world: World, run: Run, price: str) -> PlanChangeTaken | PlanChangeRefused:
    return await take_plan_change(
        session,  # type: ignore[arg-type]
        run_id=run.id,
        user_id=run.user_id,
        sell_at=None,
        stop_loss=Decimal(price),
        now=world.clock.now(),
    )
