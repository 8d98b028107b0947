"""The days whose histories are kept: one for each way a run can go and end. Each leaves its run to be lived to the end."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from activities.messages import KILL_SWITCH_ENGAGED, ArmEntry, ArmOutcome, Begin, EntryArmed, PreparedRuns
from tests.workflows.day import Day, Handle
from tests.workflows.fakes import Gate, price_at_stop, refused_by_broker
from trading.runs import RunState
from workflows.trading_day import TradingDayWorkflow

HOUR = timedelta(hours=1)
RecordedDay = Callable[[Day], Awaitable[WorkflowHandle[Any, Any]]]


async def sold_at_time(day: Day) -> Handle:
    return await day.start(day.plan(buy_in=9 * HOUR, sell_in=14 * HOUR), skipping=True)


async def sold_at_a_moved_time(day: Day) -> Handle:
    plan = day.plan(buy_in=HOUR)
    handle = await day.start(plan)
    await day.change(handle, sell_at=plan.sell_at - HOUR)
    await day.time.forward_to(handle, plan.buy_at)
    await day.until_state(handle, RunState.HOLDING)
    await day.change(handle, sell_at=plan.sell_at - 2 * HOUR, stop_loss=Decimal(3400))
    return handle


async def sold_at_time_after_a_refused_change(day: Day) -> Handle:
    plan, handle = await day.hold()
    try:
        await day.change(handle, sell_at=plan.buy_at - HOUR)
    except WorkflowUpdateFailedError:
        return handle
    raise AssertionError("a sell time in the past was accepted")


async def sold_at_time_after_a_late_entry(day: Day) -> Handle:
    return await day.start(day.plan(buy_in=-HOUR))


async def sold_at_time_after_a_void_stop(day: Day) -> Handle:
    plan, handle = await day.hold()
    day.row(plan).change_stop(Decimal(3400))
    await day.hit_stop(handle, plan, "3450")
    await day.until_asked(Begin, 2)
    await day.until_state(handle, RunState.HOLDING)
    return handle


async def stop_loss(day: Day) -> Handle:
    plan, handle = await day.hold()
    await day.renew_credentials(handle, plan)
    await day.hit_stop(handle, plan)
    return handle


async def target(day: Day) -> Handle:
    plan, handle = await day.hold()
    await day.hit_target(handle, plan)
    return handle


async def target_and_then_the_stop(day: Day) -> Handle:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.hit_target(handle, plan)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    return handle


async def stop_loss_while_entering(day: Day) -> Handle:
    day.script.enter = Gate()
    plan = day.plan()
    handle = await day.start(plan)
    await day.script.enter.reached()
    day.fill_partly(plan, 4)
    await day.hit_stop(handle, plan)
    await day.until_state(handle, RunState.LEAVING)
    day.script.enter.open()
    return handle


async def stop_loss_while_selling_at_time(day: Day) -> Handle:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    return handle


async def stop_loss_of_a_run_taken_over(day: Day) -> Handle:
    plan = day.plan(buy_in=-HOUR)
    day.row(plan).buy()
    _, handle = await day.hold(plan)
    await day.hit_stop(handle, plan)
    return handle


async def stopped_by_user(day: Day) -> Handle:
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=True)
    return handle


async def stopped_by_user_before_arming(day: Day) -> Handle:
    plan = day.plan(buy_in=HOUR)
    handle = await day.start(plan)
    await day.until_it_waits_for(handle, "the entry to be armed")
    await day.request_stop(handle, plan, square_off=True)
    return handle


async def stopped_by_user_before_the_buy_time(day: Day) -> Handle:
    plan = day.plan(buy_in=HOUR, lead_seconds=600.0)
    handle = await day.start(plan)
    await day.time.forward_to(handle, plan.buy_at - timedelta(seconds=500))
    await day.until_asked(ArmEntry)
    await day.until_it_waits_for(handle, "the buy time")
    await day.request_stop(handle, plan, square_off=True)
    return handle


async def left_open_by_user(day: Day) -> Handle:
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=False)
    return handle


async def closed_elsewhere(day: Day) -> Handle:
    plan, handle = await day.hold()
    day.row(plan).taken_elsewhere = plan.quantity
    await day.tell_settled(handle)
    return handle


async def entry_failed(day: Day) -> Handle:
    day.script.entry_ends = refused_by_broker
    return await day.start(day.plan())


async def entry_denied(day: Day) -> Handle:
    day.script.denial = EntryArmed(ArmOutcome.DENIED, "MAX_ORDER_VALUE", "the order is worth too much")
    return await day.start(day.plan())


async def entry_skipped(day: Day) -> Handle:
    day.script.entry_ends = price_at_stop
    return await day.start(day.plan())


async def missed(day: Day) -> Handle:
    return await day.start(day.plan(buy_in=-HOUR, max_lateness_seconds=60))


async def kill_switch(day: Day) -> Handle:
    day.script.denial = EntryArmed(ArmOutcome.DENIED, KILL_SWITCH_ENGAGED, "the kill switch is engaged")
    return await day.start(day.plan())


async def trading_day(day: Day) -> WorkflowHandle[Any, Any]:
    plans = [day.plan(buy_in=HOUR) for _ in range(3)]
    await day.start(plans[0])
    day.script.pages = {"": PreparedRuns(tuple(plans[:2]), last="str_b"), "str_b": PreparedRuns((plans[2],))}
    return await day.client.start_workflow(
        TradingDayWorkflow.run, id=f"trading-day-{plans[0].trading_day}", task_queue=day.settings.task_queue
    )


DAYS: tuple[RecordedDay, ...] = (
    sold_at_time,
    sold_at_a_moved_time,
    sold_at_time_after_a_refused_change,
    sold_at_time_after_a_late_entry,
    sold_at_time_after_a_void_stop,
    stop_loss,
    target,
    target_and_then_the_stop,
    stop_loss_while_entering,
    stop_loss_while_selling_at_time,
    stop_loss_of_a_run_taken_over,
    stopped_by_user,
    stopped_by_user_before_arming,
    stopped_by_user_before_the_buy_time,
    left_open_by_user,
    closed_elsewhere,
    entry_failed,
    entry_denied,
    entry_skipped,
    missed,
    kill_switch,
    trading_day,
)
