"""A day without surprises, in its own time."""

from datetime import timedelta

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.messages import ArmEntry, Begin, Enter, Leave
from tests.workflows.day import Day
from trading.runs import EndReason, ExitReason, Position


async def test_a_day_started_the_night_before_arms_ahead_buys_and_sells_at_its_times_and_never_early(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=9), sell_in=timedelta(hours=14))
    handle = await day.start(plan, skipping=True)
    result = await day.result(handle)
    assert (result.end_reason, result.position, result.sold) == (EndReason.SOLD_AT_TIME, Position.SOLD, 10)
    [armed], [entered], [left] = day.fakes.asked(ArmEntry), day.fakes.asked(Enter), day.fakes.asked(Leave)
    assert plan.buy_at - timedelta(seconds=plan.lead_seconds) <= armed.at < plan.buy_at
    assert armed.fire_at == plan.buy_at
    assert armed.deadline_at == plan.buy_at + timedelta(seconds=plan.entry_deadline_seconds)
    assert plan.buy_at <= entered.at < plan.buy_at + timedelta(minutes=1)
    assert (left.reason, left.wanted_at) == (ExitReason.SELL_TIME, plan.sell_at)
    assert plan.sell_at <= left.at < plan.sell_at + timedelta(minutes=1)
    assert await day.time.now(handle) >= plan.sell_at


async def test_the_desk_is_left_alone_with_its_orders_for_a_moment_and_then_asked(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=9), sell_in=timedelta(hours=14), buy_asked_after=20.0, sell_asked_after=40.0)
    handle = await day.start(plan, skipping=True)
    result = await day.result(handle)
    assert result.end_reason is EndReason.SOLD_AT_TIME
    [armed], [entered], [left] = day.fakes.asked(ArmEntry), day.fakes.asked(Enter), day.fakes.asked(Leave)
    assert armed.fire_at == plan.buy_at
    assert entered.at >= plan.buy_at + timedelta(seconds=20)
    assert left.wanted_at == plan.sell_at
    assert left.at >= plan.sell_at + timedelta(seconds=40)


async def test_a_run_that_is_open_cannot_be_started_a_second_time(day: Day) -> None:
    plan, handle = await day.hold()
    with pytest.raises(WorkflowAlreadyStartedError):
        await day.start(plan)
    await day.result(handle)
    assert len(day.fakes.asked(Begin)) == 1
