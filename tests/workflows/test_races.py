"""Races made certain: events pile up while no worker runs, and one workflow task finds them all."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError

from activities.messages import ArmEntry, Finish, Leave
from tests.workflows.day import Day, Handle, events, until
from tests.workflows.fakes import Gate
from trading.runs import EndReason, ExitReason, RunState

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
TIMER_FIRED = EventType.EVENT_TYPE_TIMER_FIRED
TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
A_MOMENT = timedelta(milliseconds=400)


async def kinds_since_last_task(handle: Handle) -> list[int]:
    """What waits for the next workflow task, in its order."""
    kinds = [event.event_type for event in await events(handle)]
    last_task = max(index for index, kind in enumerate(kinds) if kind == TASK_COMPLETED)
    return [kind for kind in kinds[last_task:] if kind in (SIGNALED, TIMER_FIRED)]


async def until_sell_time_has_fired(handle: Handle) -> list[int]:
    return await until(lambda: kinds_since_last_task(handle), lambda kinds: TIMER_FIRED in kinds, "the sell time has fired")


async def test_stop_and_then_sell_time_in_one_task_make_one_exit_whose_reason_is_the_stop(unattended_day: Day) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at - 5 * A_MOMENT)
    await day.hit_stop(handle, plan)
    assert await until_sell_time_has_fired(handle) == [SIGNALED, TIMER_FIRED]
    async with day.worker():
        result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS]
    assert result.end_reason is EndReason.STOP_LOSS


async def test_sell_time_and_then_stop_in_one_task_make_one_exit_whose_reason_is_the_stop(unattended_day: Day) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at - A_MOMENT)
    assert await until_sell_time_has_fired(handle) == [TIMER_FIRED]
    await day.hit_stop(handle, plan)
    assert await kinds_since_last_task(handle) == [TIMER_FIRED, SIGNALED]
    async with day.worker():
        result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS]
    assert result.end_reason is EndReason.STOP_LOSS


async def test_user_stop_sell_time_and_stop_loss_in_one_task_make_one_exit_whose_reason_is_the_stop(unattended_day: Day) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at - A_MOMENT)
    await day.request_stop(handle, plan, square_off=True)
    await until_sell_time_has_fired(handle)
    await day.hit_stop(handle, plan)
    async with day.worker():
        result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS]
    assert result.end_reason is EndReason.STOP_LOSS


async def test_a_stop_that_keeps_the_position_holds_against_stop_loss_and_sell_time_in_the_same_task(
    unattended_day: Day,
) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at - A_MOMENT)
    await day.request_stop(handle, plan, square_off=False)
    await day.hit_stop(handle, plan)
    await until_sell_time_has_fired(handle)
    async with day.worker():
        result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.LEFT_OPEN_BY_USER, 0)


@pytest.mark.parametrize("rows_first", [True, False], ids=["rows know", "signal alone"])
async def test_a_stop_request_before_the_run_begins_keeps_it_from_buying(unattended_day: Day, rows_first: bool) -> None:
    day = unattended_day
    plan = day.plan()
    handle = await day.start(plan)
    await day.request_stop(handle, plan, square_off=True, rows_first=rows_first)
    async with day.worker():
        result = await day.result(handle)
    assert result.end_reason is EndReason.STOPPED_BY_USER
    assert day.fakes.asked(ArmEntry) == []


async def test_a_change_and_a_stop_found_together_end_in_one_exit_whose_reason_is_the_stop(unattended_day: Day) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    changing = asyncio.create_task(day.change(handle, sell_at=plan.sell_at + timedelta(hours=1)))
    async with day.worker():
        with pytest.raises(WorkflowUpdateFailedError):
            await changing
        result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS]
    assert result.end_reason is EndReason.STOP_LOSS


async def test_the_sell_time_that_comes_while_the_entry_still_works_sells_what_was_filled(day: Day) -> None:
    day.script.enter = Gate()
    plan = day.plan(sell_in=timedelta(seconds=1))
    handle = await day.start(plan)
    await day.script.enter.reached()
    day.fill_partly(plan, 4)
    await day.until_asked(Leave)
    assert day.fakes.asked(Finish) == [], "the entry is not over"
    day.script.enter.open()
    result = await day.result(handle)
    assert (result.end_reason, result.bought, result.sold) == (EndReason.SOLD_AT_TIME, 4, 4)
    assert day.fakes.asked(Leave)[0].at >= plan.sell_at


async def test_a_finish_that_is_refused_is_asked_for_again_and_ends_the_run_once(day: Day) -> None:
    day.script.finish_fails = 2
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert len(day.fakes.asked(Finish)) == 3
    assert day.row(plan).ended_times == 1


async def test_a_run_told_that_it_is_settled_ends_at_once_and_sells_nothing(day: Day) -> None:
    plan, handle = await day.hold()
    day.row(plan).taken_elsewhere = 10
    await day.tell_settled(handle)
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.CLOSED_ELSEWHERE, 0)
    assert day.fakes.asked(Leave) == []


async def test_a_worker_that_remembers_nothing_makes_the_same_day(forgetful_day: Day) -> None:
    day = forgetful_day
    day.script.leave, day.script.unsettled = Gate(), 1
    plan = day.plan(buy_in=timedelta(hours=2), sell_in=timedelta(hours=6))
    handle = await day.start(plan)
    await day.change(handle, sell_at=plan.sell_at - timedelta(hours=1))
    await day.time.forward_to(handle, plan.buy_at)
    await day.until_state(handle, RunState.HOLDING)
    await day.time.forward_to(handle, plan.sell_at - timedelta(hours=1))
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.SELL_TIME, ExitReason.STOP_LOSS]


async def test_a_stop_found_together_with_the_news_that_nothing_is_left_asks_for_nothing(unattended_day: Day) -> None:
    day = unattended_day
    async with day.worker():
        plan, handle = await day.hold()
    day.row(plan).taken_elsewhere = 10
    await day.hit_stop(handle, plan)
    await day.tell_settled(handle)
    async with day.worker():
        result = await day.result(handle)
    assert result.end_reason is EndReason.CLOSED_ELSEWHERE
    assert day.fakes.asked(Leave) == []
