"""Changing sell time and stop of a running trade: the rows decide, the workflow follows, and a refusal leaves no trace."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.messages import Leave
from execution.commands import ChangeRefusal
from tests.workflows.day import Day, Handle, events
from tests.workflows.fakes import Gate
from trading.runs import EndReason, ExitReason, RunState

HOUR = timedelta(hours=1)


def refusal_code(failed: pytest.ExceptionInfo[WorkflowUpdateFailedError]) -> str | None:
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.type


async def updates_in(handle: Handle) -> int:
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED for event in await events(handle))


@pytest.mark.parametrize("moved_by", [-HOUR, HOUR], ids=["earlier", "later"])
async def test_a_moved_sell_time_is_when_it_sells(day: Day, moved_by: timedelta) -> None:
    plan, handle = await day.hold()
    sell_at = plan.sell_at + moved_by
    changed = await day.change(handle, sell_at=sell_at)
    assert (changed.sell_at, changed.stop_loss, changed.stop_version) == (sell_at, plan.stop_loss, 1)
    result = await day.result(handle)
    assert result.end_reason is EndReason.SOLD_AT_TIME
    [left] = day.fakes.asked(Leave)
    assert left.wanted_at == sell_at
    assert sell_at <= left.at < sell_at + timedelta(minutes=1)


async def test_a_sell_time_moved_before_the_entry_is_kept(day: Day) -> None:
    plan = day.plan(buy_in=HOUR, sell_in=5 * HOUR)
    handle = await day.start(plan)
    await day.change(handle, sell_at=plan.sell_at - HOUR)
    await day.result(handle)
    assert day.fakes.asked(Leave)[0].wanted_at == plan.sell_at - HOUR


async def test_a_sell_time_moved_to_the_next_moment_sells_then(day: Day) -> None:
    plan, handle = await day.hold()
    sell_at = await day.time.now(handle) + timedelta(seconds=1)
    await day.change(handle, sell_at=sell_at)
    assert (await day.result(handle)).end_reason is EndReason.SOLD_AT_TIME
    assert sell_at <= day.fakes.asked(Leave)[0].at < plan.sell_at


async def test_a_changed_stop_is_a_new_version_and_shown(day: Day) -> None:
    _, handle = await day.hold()
    changed = await day.change(handle, stop_loss=Decimal(3550))
    assert (changed.stop_loss, changed.stop_version) == (Decimal(3550), 2)
    assert (await day.status(handle)).stop_loss == Decimal(3550)


async def test_a_sell_time_in_the_past_is_refused_and_the_old_one_holds(day: Day) -> None:
    plan, handle = await day.hold()
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await day.change(handle, sell_at=plan.buy_at - HOUR)
    assert refusal_code(failed) == ChangeRefusal.SELL_TIME_PASSED.value
    await day.result(handle)
    assert day.fakes.asked(Leave)[0].wanted_at == plan.sell_at


async def test_a_change_is_refused_without_an_event_once_the_exit_has_begun(day: Day) -> None:
    day.script.leave = Gate()
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    await day.script.leave.reached()
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await day.change(handle, sell_at=plan.sell_at + HOUR)
    assert refusal_code(failed) == "EXIT_HAS_BEGUN"
    assert await updates_in(handle) == 0
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS


async def test_a_change_is_refused_when_the_rows_know_of_a_stop_the_workflow_has_not_heard_of(day: Day) -> None:
    plan, handle = await day.hold()
    day.row(plan).take_stop(square_off=True, at=plan.buy_at)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await day.change(handle, stop_loss=Decimal(3400))
    assert refusal_code(failed) == ChangeRefusal.EXIT_HAS_BEGUN.value


async def test_a_change_of_nothing_is_refused_without_an_event(day: Day) -> None:
    _, handle = await day.hold()
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await day.change(handle)
    assert refusal_code(failed) == "NOTHING_TO_CHANGE"
    assert await updates_in(handle) == 0


async def test_a_stop_beats_a_change_that_is_being_written(day: Day) -> None:
    day.script.change = Gate()
    plan, handle = await day.hold()
    changing = asyncio.create_task(day.change(handle, sell_at=plan.sell_at + HOUR))
    await day.script.change.reached()
    await day.hit_stop(handle, plan)
    await day.until_asked(Leave)
    day.script.change.open()
    await changing
    result = await day.result(handle)
    assert result.end_reason is EndReason.STOP_LOSS
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS]


async def test_a_run_does_not_end_before_a_change_that_is_being_written_is_answered(day: Day) -> None:
    day.script.change = Gate()
    plan, handle = await day.hold()
    changing = asyncio.create_task(day.change(handle, stop_loss=Decimal(3400)))
    await day.script.change.reached()
    await day.request_stop(handle, plan, square_off=True)
    await day.until_state(handle, RunState.ENDED)
    assert not changing.done()
    day.script.change.open()
    assert (await changing).stop_version == 2
    assert (await day.result(handle)).end_reason is EndReason.STOPPED_BY_USER
