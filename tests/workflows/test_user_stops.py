"""A user's stop, at every stage of the day: sell, or keep what is held."""

from datetime import timedelta

from activities.messages import ArmEntry, Begin, Enter, Finish, Leave
from tests.workflows.day import Day
from tests.workflows.fakes import Gate
from trading.orders import OrderState
from trading.runs import EndReason, ExitReason, Position, RunState


async def test_a_stop_while_holding_sells(day: Day) -> None:
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=True)
    result = await day.result(handle)
    assert (result.end_reason, result.position) == (EndReason.STOPPED_BY_USER, Position.SOLD)
    [left] = day.fakes.asked(Leave)
    assert (left.reason, left.square_off) == (ExitReason.USER_STOP, True)


async def test_a_stop_that_keeps_the_position_sells_nothing_and_says_what_is_left(day: Day) -> None:
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=False)
    result = await day.result(handle)
    assert (result.end_reason, result.position, result.sold) == (EndReason.LEFT_OPEN_BY_USER, Position.BOUGHT, 0)
    assert "10 shares were left open" in result.detail
    [left] = day.fakes.asked(Leave)
    assert left.square_off is False


async def test_a_stop_request_that_reaches_the_workflow_alone_is_carried_out_too(day: Day) -> None:
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=False, rows_first=False)
    assert (await day.result(handle)).end_reason is EndReason.LEFT_OPEN_BY_USER


async def test_once_the_position_is_kept_neither_the_stop_loss_nor_the_sell_time_sells_it(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 2
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=False)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.LEFT_OPEN_BY_USER, 0)
    assert {(left.reason, left.square_off) for left in day.fakes.asked(Leave)} == {(ExitReason.USER_STOP, False)}


async def test_of_two_contrary_stop_requests_the_first_holds(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=True)
    await day.script.leave.reached()
    await day.request_stop(handle, plan, square_off=False)
    day.script.leave.open()
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.STOPPED_BY_USER, 10)
    assert all(left.square_off for left in day.fakes.asked(Leave))


async def test_the_stop_loss_takes_over_from_a_user_stop_that_is_still_selling(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.request_stop(handle, plan, square_off=True)
    await day.script.leave.reached()
    await day.hit_stop(handle, plan)
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.USER_STOP, ExitReason.STOP_LOSS]


async def test_a_user_stop_does_not_take_over_from_a_stop_loss_that_is_still_selling(day: Day) -> None:
    day.script.leave, day.script.unsettled = Gate(), 1
    plan, handle = await day.hold()
    await day.hit_stop(handle, plan)
    await day.script.leave.reached()
    await day.request_stop(handle, plan, square_off=True)
    day.script.leave.open()
    assert (await day.result(handle)).end_reason is EndReason.STOP_LOSS
    assert [left.reason for left in day.fakes.asked(Leave)] == [ExitReason.STOP_LOSS, ExitReason.STOP_LOSS]


async def test_a_stop_before_arming_ends_the_run_at_once_and_nothing_is_armed(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1))
    handle = await day.start(plan)
    await day.request_stop(handle, plan, square_off=True)
    result = await day.result(handle)
    assert (result.end_reason, result.position) == (EndReason.STOPPED_BY_USER, Position.NONE)
    [finish] = day.fakes.asked(Finish)
    assert finish.at < plan.buy_at - timedelta(minutes=30), "it did not sleep on"
    assert [type(request) for request in day.fakes.requests] == [Begin, Finish]


async def test_a_stop_between_arming_and_the_buy_time_ends_the_run_before_it_buys(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1), lead_seconds=600.0)
    handle = await day.start(plan)
    await day.time.forward_to(handle, plan.buy_at - timedelta(seconds=500))
    await day.until_asked(ArmEntry)
    await day.request_stop(handle, plan, square_off=True)
    result = await day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.STOPPED_BY_USER, 0)
    assert day.row(plan).entries[0].state is OrderState.SUPERSEDED
    assert day.fakes.asked(Finish)[0].at < plan.buy_at


async def test_a_stop_the_rows_took_while_the_entry_was_being_armed_is_found_there(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1))
    handle = await day.start(plan)
    await day.until_asked_to_begin()
    day.row(plan).take_stop(square_off=True, at=plan.buy_at)
    result = await day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.STOPPED_BY_USER, 0)
    assert len(day.fakes.asked(ArmEntry)) == 1
    assert day.fakes.asked(Enter) == []


async def test_a_stop_while_the_entry_works_sells_what_was_filled(day: Day) -> None:
    day.script.enter = Gate()
    plan = day.plan()
    handle = await day.start(plan)
    await day.script.enter.reached()
    day.fill_partly(plan, 3)
    await day.request_stop(handle, plan, square_off=True)
    await day.until_state(handle, RunState.LEAVING)
    day.script.enter.open()
    result = await day.result(handle)
    assert (result.end_reason, result.bought, result.sold) == (EndReason.STOPPED_BY_USER, 3, 3)


async def test_a_stop_while_nothing_is_filled_yet_ends_the_run_with_nothing_bought(day: Day) -> None:
    day.script.enter = Gate()
    plan = day.plan()
    handle = await day.start(plan)
    await day.script.enter.reached()
    await day.request_stop(handle, plan, square_off=True)
    await day.until_asked(Leave)
    assert day.fakes.asked(Finish) == [], "the entry is not over"
    day.script.enter.open()
    result = await day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.STOPPED_BY_USER, 0)
