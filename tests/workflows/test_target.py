"""A run leaves when its target is reached, once, and a stop still beats it."""

from datetime import timedelta

from activities.messages import ArmEntry, Leave
from tests.workflows.day import Day
from tests.workflows.fakes import Gate
from trading.runs import EndReason, ExitReason, Position


async def test_a_target_that_is_reached_sells_and_ends_the_run(day: Day) -> None:
    plan, handle = await day.hold()
    await day.hit_target(handle, plan)
    result = await day.result(handle)
    assert (result.end_reason, result.position, result.sold) == (EndReason.TARGET, Position.SOLD, 10)
    (left,) = day.fakes.asked(Leave)
    assert left.target is not None
    assert str(left.target.price) == "3800"


async def test_a_stop_while_the_exit_at_the_target_works_goes_with_the_next_request(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.hit_target(handle, plan)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.TARGET, ExitReason.STOP_LOSS]
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)


async def test_a_target_while_the_stop_is_being_sold_changes_nothing(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    await day.script.leave.reached()
    await day.hit_target(handle, plan)
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert {left.reason for left in day.fakes.asked(Leave)} == {ExitReason.STOP_LOSS}


async def test_a_target_of_an_earlier_run_of_that_day_is_ignored(day: Day) -> None:
    _, handle = await day.hold()
    other = day.plan()
    await day.hit_target(handle, other)
    assert (await day.result(handle)).end_reason is EndReason.SOLD_AT_TIME


async def test_a_target_from_before_the_entry_was_armed_counts_for_nothing(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1))
    handle = await day.start(plan)
    await day.until_it_waits_for(handle, "the entry to be armed")
    await day.hit_target(handle, plan)
    assert (await day.result(handle)).end_reason is EndReason.SOLD_AT_TIME
    assert day.fakes.asked(ArmEntry)
