"""Every ending that needs no crash, by the real protocol against the exchange, with the desk's head start and without."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import select

from activities.messages import ChangePlan, StopRequested
from execution.commands import take_stop
from storage.models import Alert, KillScope, KillSwitch, RiskLimit
from tests.integration.trading.world import World
from tests.waiting import eventually
from trading.runs import EndReason, Position
from workflows import names


async def test_a_price_at_the_stop_at_buy_time_skips_the_entry(world: World) -> None:
    account = await world.add_account()
    await world.price("TCS", "3500")
    run = await world.start_run(account, stop_loss="3500")
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_SKIPPED
    assert world.sides() == []
    assert any("at or below the stop-loss" in line for line in await world.timeline(run.id))


async def test_a_user_stop_with_square_off_sells_and_says_so(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.workflow(run).signal(names.STOP_REQUESTED, StopRequested(True, account.user_id, world.clock.now()))
    result = await world.result(run)
    assert result.end_reason is EndReason.STOPPED_BY_USER
    assert result.position is Position.SOLD
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sides() == ["BUY", "SELL"]


async def test_a_user_stop_that_keeps_the_position_sells_nothing(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    async with world.database.transaction() as session:
        taken = await take_stop(
            session, run_id=run.id, user_id=account.user_id, square_off=False, requested_by=account.user_id, now=world.clock.now()
        )
    assert taken is not None
    await world.workflow(run).signal(names.STOP_REQUESTED, StopRequested(False, account.user_id, world.clock.now()))
    result = await world.result(run)
    assert result.end_reason is EndReason.LEFT_OPEN_BY_USER
    assert result.position is Position.BOUGHT
    await world.cross_stop(run, "3400", signal=False)
    assert world.sim.net_position("alice", "TCS") == 10
    assert world.sides() == ["BUY"]


async def test_a_stop_before_the_entry_leaves_nothing_behind(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, buy_in=30)
    await world.workflow(run).signal(names.STOP_REQUESTED, StopRequested(True, account.user_id, world.clock.now()))
    result = await world.result(run)
    assert result.end_reason is EndReason.STOPPED_BY_USER
    assert world.sides() == []


async def test_a_stop_in_the_last_moment_supersedes_the_armed_entry(world: World) -> None:
    account = await world.add_account()
    world.lead = type(world.lead)(base_seconds=5.0, jitter_seconds=0.0, deadline_seconds=20.0)
    run = await world.start_run(account, buy_in=3.0)
    await world.until(run.id, lambda _, orders: any(order.state == "armed" for order in orders), "entry armed")
    async with world.database.transaction() as session:
        taken = await take_stop(
            session, run_id=run.id, user_id=account.user_id, square_off=True, requested_by=account.user_id, now=world.clock.now()
        )
    assert taken is not None
    assert taken.entry_was_stopped
    result = await world.result(run)
    assert result.end_reason is EndReason.STOPPED_BY_USER
    assert world.sides() == []


async def test_a_partial_entry_is_cut_at_its_deadline_and_the_stop_covers_what_was_filled(world: World) -> None:
    account = await world.add_account()
    world.sim.set_depth("TCS", 4)
    world.lead = type(world.lead)(base_seconds=1.0, jitter_seconds=0.0, deadline_seconds=6.0)
    run = await world.start_run(account, quantity=10)
    await world.until(run.id, lambda row, orders: bool(orders) and orders[0].state == "cancelled", "entry cut")
    bought = world.sim.net_position("alice", "TCS")
    assert 0 < bought < 10
    world.sim.set_depth("TCS", None)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.bought, result.sold, result.end_reason) == (bought, bought, EndReason.STOP_LOSS)
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_partial_exit_is_repriced_until_flat(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.set_depth("TCS", 3)
    await world.cross_stop(run, "3490")
    await eventually(lambda: 0 < world.sim.net_position("alice", "TCS") < 10, "a part of the exit fills")
    for price in range(3480, 3000, -20):
        # Each price event brings three more buyers, below the limit that rests: only a re-priced exit meets them.
        await world.price("TCS", str(price))
        sold = world.sim.net_position("alice", "TCS")
        if sold == 0:
            break
        await asyncio.sleep(0.7)
    result = await world.result(run)
    assert result.sold == 10
    assert world.sides() == ["BUY", "SELL"], "one exit order, re-priced by modify"
    assert world.requests("modify")


async def test_the_margin_refusal_ends_the_run_with_the_brokers_own_words(world: World) -> None:
    account = await world.add_account(funds="1000")
    run = await world.start_run(account)
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert "margin" in result.detail.lower() or "insufficient" in result.detail.lower()
    assert world.sim.net_position("alice", "TCS") == 0
    async with world.database.transaction() as session:
        alert = (await session.scalars(select(Alert))).one()
    assert (alert.kind, alert.run_id, result.detail in alert.message) == ("strategy_failed", run.id, True)


async def test_stop_and_sell_time_together_make_one_exit_whose_reason_is_the_stop(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, sell_in=3.0)
    await world.until_holding(run)
    world.sim.add_fault("slow", endpoint="place", count=5, delay_ms=300)
    left = (run.sell_at - world.clock.now()).total_seconds()
    await asyncio.sleep(max(0.0, left))
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0
    assert result.end_reason in (EndReason.STOP_LOSS, EndReason.SOLD_AT_TIME)


async def test_repeated_and_late_stop_signals_change_nothing(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    for _ in range(3):
        await world.cross_stop(run, "3490")
    result = await world.result(run)
    await world.cross_stop(run, "3480", signal=False)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def test_a_changed_stop_moves_the_armed_exit_and_an_old_crossing_no_longer_counts(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    changed = await world.workflow(run).execute_update(names.CHANGE_PLAN, ChangePlan(stop_loss=Decimal(3400)), result_type=dict)
    assert changed["stop_version"] == 2
    await world.cross_stop(run, "3450")  # below the old stop, above the new one; the message carries the old version
    await world.until(run.id, lambda row, orders: row.state == "holding" or orders[-1].state == "armed", "still holding")
    assert world.sides() == ["BUY"]
    fresh = await world.run(run.id)
    await world.cross_stop(fresh, "3399")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def test_a_changed_sell_time_is_kept(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, sell_in=3600)
    await world.until_holding(run)
    sell_at = world.clock.now() + timedelta(seconds=1.5)
    await world.workflow(run).execute_update(names.CHANGE_PLAN, ChangePlan(sell_at=sell_at), result_type=dict)
    result = await world.result(run)
    assert result.end_reason is EndReason.SOLD_AT_TIME
    assert world.requests("place")[1]["arrived_ns"] >= sell_at.timestamp() * 1e9


async def test_a_kill_switch_keeps_an_armed_entry_from_leaving(world: World) -> None:
    account = await world.add_account()
    world.lead = type(world.lead)(base_seconds=5.0, jitter_seconds=0.0, deadline_seconds=20.0)
    run = await world.start_run(account, buy_in=2.0)
    await world.until(run.id, lambda _, orders: any(order.state == "armed" for order in orders), "entry armed")
    async with world.database.transaction() as session:
        session.add(KillSwitch(scope=KillScope.USER, scope_id=account.user_id))
    result = await world.result(run)
    assert result.end_reason is EndReason.KILL_SWITCH
    assert world.sides() == []


async def test_a_risk_limit_denies_the_entry_with_its_code(world: World) -> None:
    account = await world.add_account()
    async with world.database.transaction() as session:
        session.add(RiskLimit(account_id=account.id, user_id=account.user_id, max_order_value=Decimal(1000)))
    await world.price("TCS", "3600")
    run = await world.start_run(account)
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert "RISK_LIMIT_ORDER_VALUE" in result.detail
    assert world.sides() == []
