"""A workflow that finds rows: a run another workflow left behind, or one that people acted on before it began."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from activities.messages import ArmEntry, Begin, Enter, Finish, Leave
from tests.workflows.day import Day
from tests.workflows.fakes import Gate
from tests.workflows.rows import OrderRow
from trading.runs import EndReason, ExitReason, RunState

HOUR = timedelta(hours=1)


async def test_a_run_that_holds_already_is_watched_and_sold_without_a_second_entry(day: Day) -> None:
    plan = day.plan(buy_in=-HOUR)
    day.row(plan).buy()
    handle = await day.start(plan)
    await day.until_state(handle, RunState.HOLDING)
    result = await day.result(handle)
    assert (result.end_reason, result.sold) == (EndReason.SOLD_AT_TIME, 10)
    assert day.fakes.asked(ArmEntry) == []


async def test_an_armed_entry_is_taken_over_and_made_sure_of(day: Day) -> None:
    plan = day.plan()
    day.row(plan).entries.append(OrderRow(1, plan.quantity))
    result = await day.result(await day.start(plan))
    assert result.bought == 10
    assert (len(day.fakes.asked(ArmEntry)), len(day.fakes.asked(Enter))) == (0, 1)


async def test_the_rows_sell_time_and_stop_hold_where_the_plan_it_was_started_with_is_older(day: Day) -> None:
    plan = day.plan()
    row = day.row(plan)
    row.buy()
    row.change_stop(Decimal(3400))
    row.sell_at = plan.sell_at - HOUR
    handle = await day.start(plan)
    await day.until_state(handle, RunState.HOLDING)
    status = await day.status(handle)
    assert (status.sell_at, status.stop_loss) == (row.sell_at, Decimal(3400))
    await day.result(handle)
    assert day.fakes.asked(Leave)[0].wanted_at == row.sell_at


async def test_an_exit_the_rows_want_already_is_carried_on_at_once_with_its_reason(day: Day) -> None:
    plan = day.plan()
    row = day.row(plan)
    row.buy()
    row.want_exit(ExitReason.STOP_LOSS, plan.buy_at)
    result = await day.result(await day.start(plan))
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    [left] = day.fakes.asked(Leave)
    assert (left.reason, left.hit) == (ExitReason.STOP_LOSS, None)
    assert left.at < plan.sell_at


async def test_a_position_the_user_keeps_is_not_sold_by_a_workflow_that_takes_over(day: Day) -> None:
    plan = day.plan()
    row = day.row(plan)
    row.buy()
    row.take_stop(square_off=False, at=plan.buy_at)
    result = await day.result(await day.start(plan))
    assert (result.end_reason, result.sold) == (EndReason.LEFT_OPEN_BY_USER, 0)
    assert [left.square_off for left in day.fakes.asked(Leave)] == [False]


async def test_a_stop_taken_before_the_workflow_began_keeps_it_from_buying(day: Day) -> None:
    plan = day.plan(buy_in=HOUR)
    day.row(plan).take_stop(square_off=True, at=datetime.now(UTC))
    result = await day.result(await day.start(plan))
    assert result.end_reason is EndReason.STOPPED_BY_USER
    assert [type(request) for request in day.fakes.requests] == [Begin, Finish]


async def test_a_kill_switch_engaged_before_the_workflow_began_is_the_reason_it_ends_with(day: Day) -> None:
    plan = day.plan(buy_in=HOUR)
    day.row(plan).want_exit(ExitReason.KILL_SWITCH, datetime.now(UTC))
    result = await day.result(await day.start(plan))
    assert result.end_reason is EndReason.KILL_SWITCH


async def test_a_run_that_has_ended_is_reported_as_it_ended_and_nothing_else_is_done(day: Day) -> None:
    plan = day.plan()
    row = day.row(plan)
    row.end(EndReason.MISSED, "the platform was away")
    result = await day.result(await day.start(plan))
    assert (result.end_reason, result.detail) == (EndReason.MISSED, "the platform was away")
    assert [type(request) for request in day.fakes.requests] == [Begin, Finish]
    assert row.ended_times == 1


async def test_a_terminated_workflow_is_followed_by_one_that_finishes_its_run(day: Day) -> None:
    day.script.leave = Gate()
    plan, first = await day.hold()
    await day.hit_stop(first, plan)
    await day.script.leave.reached()
    await first.terminate("lost")
    day.script.leave.open()
    day.script.leave = None
    result = await day.result(await day.start(plan))
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert len(day.fakes.asked(ArmEntry)) == 1
    assert day.row(plan).ended_times == 1
