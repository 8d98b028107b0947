"""Suspending a user: nothing is bought any more, and what is held leaves as planned. Judged by the exchange's own log."""

from sqlalchemy import update

from execution.suspending import stop_entries
from storage.models import BrokerAccount, User, UserState
from tests.integration.trading.test_kill_switch import HeldBroker, desk_of, until_armed, until_asleep
from tests.integration.trading.world import World
from tests.waiting import eventually
from trading.orders import OrderState
from trading.runs import EndReason


async def suspend(world: World, account: BrokerAccount) -> None:
    """As the API does, without telling any desk or workflow."""
    async with world.database.transaction() as session:
        await session.execute(update(User).where(User.id == account.user_id).values(state=UserState.SUSPENDED))
        await stop_entries(session, user_id=account.user_id, now=world.clock.now())


async def test_an_armed_entry_does_not_leave_and_a_position_is_sold_at_its_stop(world: World) -> None:
    account, other = await world.add_account(), await world.add_account("bob")
    holding = await world.start_run(account)
    await world.until_holding(holding)
    world.lead = type(world.lead)(base_seconds=5.0, jitter_seconds=0.0, deadline_seconds=20.0)
    waiting = await world.start_run(account, symbol="INFY", stop_loss="1", buy_in=3.0)
    theirs = await world.start_run(other, buy_in=3.0)
    await until_armed(world, waiting.id)
    await suspend(world, account)
    ended = await world.result(waiting)
    assert (ended.end_reason, ended.bought) == (EndReason.ENTRY_FAILED, 0)
    assert any("nothing is bought while this lasts" in line for line in await world.timeline(waiting.id))
    await world.until_holding(theirs)
    await world.cross_stop(holding, "3490")
    sold = await world.result(holding)
    assert (sold.end_reason, sold.sold) == (EndReason.STOP_LOSS, 10)
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sim.net_position("alice", "INFY") == 0


async def test_claimed_and_not_yet_written_it_does_not_leave(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, buy_in=2.0)
    desk = await desk_of(world, account)
    held = HeldBroker(desk.broker)
    desk.broker = held  # type: ignore[assignment]
    await eventually(lambda: held.waiting, "the entry is claimed and on its way")
    (order,) = await world.orders(run.id)
    assert order.state is OrderState.SENDING
    await suspend(world, account)
    board = world.room.tools.switchboard
    await eventually(lambda: board.locks(order), "the worker knows of the suspension")
    held.door.set()
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert "suspended" in result.detail
    assert world.sides() == []


async def test_a_run_that_comes_to_its_buy_time_later_ends_without_buying(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, buy_in=4.0)
    await until_asleep(world, run.id)
    await suspend(world, account)
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    # On a busy machine it may have been armed a moment before: then it was taken back, in other words.
    assert "suspended" in result.detail
    assert world.sides() == []
