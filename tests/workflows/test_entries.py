"""Before the first share: late starts, denials, and entries that buy nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from activities.messages import KILL_SWITCH_ENGAGED, ArmEntry, ArmOutcome, Enter, EntryArmed, Finish, Leave
from tests.workflows.day import Day
from tests.workflows.fakes import kill_switch_engaged, price_at_stop, refused_by_broker
from tests.workflows.rows import OrderRow
from trading.runs import EndReason, Position

TEN_MINUTES = timedelta(minutes=10)


async def test_a_trigger_missed_while_no_worker_ran_is_executed_late_by_a_plan_without_a_limit(unattended_day: Day) -> None:
    plan = unattended_day.plan(buy_in=-TEN_MINUTES)
    handle = await unattended_day.start(plan)
    async with unattended_day.worker():
        result = await unattended_day.result(handle)
    assert (result.end_reason, result.bought) == (EndReason.SOLD_AT_TIME, 10)
    [armed] = unattended_day.fakes.asked(ArmEntry)
    assert armed.fire_at == plan.buy_at < armed.at
    assert armed.deadline_at == armed.at + timedelta(seconds=plan.entry_deadline_seconds), "a late entry has all of its time"


async def test_a_trigger_missed_within_the_plans_lateness_is_executed(day: Day) -> None:
    handle = await day.start(day.plan(buy_in=-TEN_MINUTES, max_lateness_seconds=1200))
    assert (await day.result(handle)).bought == 10


async def test_a_trigger_missed_by_more_than_the_plans_lateness_ends_missed_with_its_lateness(day: Day) -> None:
    handle = await day.start(day.plan(buy_in=-TEN_MINUTES, max_lateness_seconds=60))
    result = await day.result(handle)
    assert (result.end_reason, result.position) == (EndReason.MISSED, Position.NONE)
    assert "after the buy time, too late to enter" in result.detail
    assert [type(request) for request in day.fakes.requests[1:]] == [Finish], "nothing was armed, entered or left"


async def test_a_run_that_wakes_after_its_sell_time_ends_missed_whatever_lateness_it_allows(day: Day) -> None:
    handle = await day.start(day.plan(buy_in=-2 * TEN_MINUTES, sell_in=-TEN_MINUTES))
    assert (await day.result(handle)).end_reason is EndReason.MISSED
    assert day.fakes.asked(ArmEntry) == []


async def test_the_entrys_deadline_is_never_after_the_sell_time(day: Day) -> None:
    plan = day.plan(sell_in=timedelta(minutes=5), entry_deadline_seconds=3600.0)
    await day.result(await day.start(plan))
    assert day.fakes.asked(ArmEntry)[0].deadline_at == plan.sell_at


@pytest.mark.parametrize(
    ("entry_ends", "end_reason", "words"),
    [
        (price_at_stop, EndReason.ENTRY_SKIPPED, "at or below the stop-loss"),
        (refused_by_broker, EndReason.ENTRY_FAILED, "RMS: margin exceeded"),
        (kill_switch_engaged, EndReason.KILL_SWITCH, "kill switch"),
    ],
)
async def test_an_entry_that_buys_nothing_ends_the_run_with_its_reason_and_without_an_exit(
    day: Day, entry_ends: Callable[[OrderRow], None], end_reason: EndReason, words: str
) -> None:
    day.script.entry_ends = entry_ends
    result = await day.result(await day.start(day.plan()))
    assert (result.end_reason, result.position) == (end_reason, Position.NONE)
    assert words in result.detail
    assert day.fakes.asked(Leave) == []


async def test_a_partly_filled_entry_is_held_and_sold_as_far_as_it_was_filled(day: Day) -> None:
    day.script.fills = 4
    result = await day.result(await day.start(day.plan()))
    assert (result.end_reason, result.bought, result.sold) == (EndReason.SOLD_AT_TIME, 4, 4)


@pytest.mark.parametrize(
    ("code", "end_reason"),
    [(KILL_SWITCH_ENGAGED, EndReason.KILL_SWITCH), ("MAX_ORDER_VALUE", EndReason.ENTRY_FAILED)],
)
async def test_a_denied_entry_ends_the_run_with_the_denials_code_and_words(day: Day, code: str, end_reason: EndReason) -> None:
    day.script.denial = EntryArmed(ArmOutcome.DENIED, code, "not today")
    result = await day.result(await day.start(day.plan()))
    assert (result.end_reason, result.detail) == (end_reason, f"{code}: not today")
    assert day.fakes.asked(Enter) == []
