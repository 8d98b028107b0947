"""The stop-loss signal: at once, once, for the plan that holds, and for nothing else."""

from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import Begin, Finish, Leave
from tests.workflows.day import Day
from tests.workflows.fakes import Gate
from trading.runs import EndReason, ExitReason, Position, RunState


async def test_a_stop_while_holding_sells_with_the_hit_that_caused_it(day: Day) -> None:
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan, "3490")
    result = await day.result(handle)
    assert (result.end_reason, result.position, result.sold) == (EndReason.STOP_LOSS, Position.EXITED_BY_SL, 10)
    [left] = day.fakes.asked(Leave)
    assert left.reason is ExitReason.STOP_LOSS
    assert left.hit is not None
    assert (left.hit.price, left.wanted_at) == (Decimal(3490), left.hit.at)
    assert left.at < plan.sell_at


async def test_a_stop_while_the_entry_works_leaves_at_once_and_the_run_ends_when_the_entry_is_over(day: Day) -> None:
    day.script.enter = Gate()
    plan = day.plan()
    handle = await day.start(plan)
    await day.script.enter.reached()
    day.fill_partly(plan, 4)
    await day.hit_stop(handle, plan)
    await day.until_asked(Leave)
    assert (await day.status(handle)).state is RunState.LEAVING
    assert day.fakes.asked(Finish) == [], "the entry is not over"
    day.script.enter.open()
    result = await day.result(handle)
    assert (result.end_reason, result.bought, result.sold) == (EndReason.STOP_LOSS, 4, 4)


async def test_a_stop_signalled_again_and_again_sells_once(day: Day) -> None:
    day.script.leave = Gate()
    plan, handle = await day.hold()
    for _ in range(3):
        await day.hit_stop(handle, plan)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan, "3400")
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert len(day.fakes.asked(Leave)) == 1


async def test_after_the_end_a_stop_is_answered_with_not_found_and_starts_nothing(day: Day) -> None:
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    await day.result(handle)
    with pytest.raises(RPCError) as late:
        await day.hit_stop(handle, plan)
    assert late.value.status is RPCStatusCode.NOT_FOUND
    assert len(day.fakes.asked(Begin)) == 1


async def test_a_stop_while_the_timed_exit_works_goes_with_the_next_request(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    result = await day.result(handle)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.SELL_TIME, ExitReason.STOP_LOSS]
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)


async def test_a_stop_whose_timed_exit_has_settled_meanwhile_asks_for_nothing_more(day: Day) -> None:
    day.script.leave = Gate()
    plan, handle = await day.hold()
    await day.time.forward_to(handle, plan.sell_at)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.SOLD_AT_TIME
    assert len(day.fakes.asked(Leave)) == 1


async def test_an_exit_that_does_not_settle_is_asked_for_until_it_does(day: Day) -> None:
    day.script.unsettled = 5
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS] * 6
    assert day.fakes.most_leaves_at_once == 1


async def test_a_stop_of_an_older_plan_is_void_and_the_run_goes_on_holding_by_the_newer_one(day: Day) -> None:
    plan, handle = await day.hold()
    day.row(plan).change_stop(Decimal(3400))
    await day.hit_stop(handle, plan, "3450")
    await day.until_asked(Begin, 2)
    await day.until_state(handle, RunState.HOLDING)
    assert (await day.status(handle)).stop_loss == Decimal(3400)
    result = await day.result(handle)
    assert result.end_reason is EndReason.SOLD_AT_TIME
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS, ExitReason.SELL_TIME]


async def test_a_higher_price_reported_after_a_true_hit_does_not_hide_it(day: Day) -> None:
    """The first request to leave is under way when the stop is lowered below the later price, but not below the earlier one."""
    day.script.enter, day.script.leave, day.script.unsettled = Gate(), Gate(), 1
    plan = day.plan()
    handle = await day.start(plan)
    await day.script.enter.reached()
    await day.hit_stop(handle, plan, "3390")
    await day.script.leave.reached()
    await day.hit_stop(handle, plan, "3450")
    day.row(plan).change_stop(Decimal(3400))
    day.script.leave.open()
    await day.until_asked(Leave, 2)
    day.script.enter.open()
    await day.result(handle)
    assert [answer.is_void for _, answer in day.fakes.left] == [False, False]


async def test_a_user_stop_that_comes_while_a_void_hit_is_looked_into_still_sells(day: Day) -> None:
    day.script.leave = Gate()
    plan, handle = await day.hold()
    day.row(plan).change_stop(Decimal(3400))
    await day.hit_stop(handle, plan, "3450")
    await day.script.leave.reached()
    await day.request_stop(handle, plan, square_off=True)
    day.script.leave.open()
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.STOPPED_BY_USER, 10)


async def test_a_hit_of_a_lowered_stop_is_ignored_unless_the_price_is_at_the_new_stop_too(day: Day) -> None:
    plan, handle = await day.hold()
    await day.change(handle, stop_loss=Decimal(3400))
    await day.hit_stop(handle, plan, "3450")
    assert (await day.status(handle)).exit_reason is None
    assert day.fakes.asked(Leave) == []
    await day.hit_stop(handle, plan, "3400")
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS


async def test_renewed_credentials_are_noted_and_change_nothing(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    await day.script.leave.reached()
    await day.renew_credentials(handle, plan)
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert len(day.fakes.asked(Leave)) == 2


async def test_a_true_hit_that_comes_while_a_void_one_is_looked_into_still_sells(day: Day) -> None:
    day.script.leave = Gate()
    plan, handle = await day.hold()
    day.row(plan).change_stop(Decimal(3400))
    await day.hit_stop(handle, plan, "3450")
    await day.script.leave.reached()
    await day.hit_stop(handle, plan, "3390", version=2)
    day.script.leave.open()
    result = await day.result(handle)
    assert result.end_reason is EndReason.STOP_LOSS
    assert [left.hit.price for left in day.fakes.asked(Leave) if left.hit] == [Decimal(3450), Decimal(3390)]


async def test_a_hit_before_the_entry_is_armed_says_nothing_and_the_run_buys(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1))
    handle = await day.start(plan)
    await day.until_it_waits_for(handle, "the entry to be armed")
    await day.hit_stop(handle, plan)
    assert (await day.status(handle)).exit_reason is None
    result = await day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.SOLD_AT_TIME, 10)


async def test_a_hit_before_the_run_begins_says_nothing_about_a_run_without_an_entry(unattended_day: Day) -> None:
    plan = unattended_day.plan(buy_in=timedelta(hours=1))
    handle = await unattended_day.start(plan)
    await unattended_day.hit_stop(handle, plan)
    async with unattended_day.worker():
        result = await unattended_day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.SOLD_AT_TIME, 10)


async def test_a_hit_before_the_run_begins_sells_what_an_earlier_workflow_of_the_run_has_bought(unattended_day: Day) -> None:
    plan = unattended_day.plan()
    unattended_day.row(plan).buy()
    handle = await unattended_day.start(plan)
    await unattended_day.hit_stop(handle, plan)
    async with unattended_day.worker():
        result = await unattended_day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)


async def test_a_hit_of_an_earlier_run_of_the_same_strategy_and_day_is_ignored(day: Day) -> None:
    earlier = day.plan()
    _, handle = await day.hold()
    await day.hit_stop(handle, earlier)
    assert (await day.status(handle)).exit_reason is None
    assert (await day.result(handle)).end_reason is EndReason.SOLD_AT_TIME
