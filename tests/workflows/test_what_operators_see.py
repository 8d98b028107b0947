"""What Temporal's Web UI shows of a run: its state, what it waits for, and a sentence at each step."""

from datetime import timedelta
from decimal import Decimal

from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.messages import ArmEntry
from tests.workflows.day import Day, Handle, events
from tests.workflows.fakes import Gate
from trading.runs import ExitReason, RunState

_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_TIMER = EventType.EVENT_TYPE_TIMER_STARTED


async def searchable(handle: Handle, name: str) -> str | None:
    return (await handle.describe()).typed_search_attributes.get(SearchAttributeKey.for_keyword(name))


async def current_details(handle: Handle) -> str:
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert isinstance(metadata, WorkflowMetadata)
    return metadata.current_details


async def summaries(handle: Handle) -> list[str]:
    """Of activities and timers, in order."""
    convert = pydantic_data_converter.payload_converter.from_payload
    steps = [event for event in await events(handle) if event.event_type in (_SCHEDULED, _TIMER)]
    return [convert(event.user_metadata.summary, str) for event in steps]


async def test_a_run_says_at_every_stage_what_it_waits_for(day: Day) -> None:
    day.script.enter, day.script.leave = Gate(), Gate()
    plan = day.plan(buy_in=timedelta(hours=1), lead_seconds=600.0)
    handle = await day.start(plan)
    await day.until_it_waits_for(handle, "the entry to be armed")
    assert (await day.status(handle)).state is RunState.SCHEDULED
    await day.time.forward_to(handle, plan.buy_at - timedelta(seconds=500))
    await day.until_asked(ArmEntry)
    await day.until_it_waits_for(handle, "the buy time")
    await day.time.forward_to(handle, plan.buy_at)
    await day.until_it_waits_for(handle, "the entry to fill")
    assert await searchable(handle, "RunState") == "entering"
    day.script.enter.open()
    await day.until_it_waits_for(handle, "the stop-loss, a stop request or the sell time")
    assert await searchable(handle, "RunState") == "holding"
    await day.hit_stop(handle, plan)
    await day.until_it_waits_for(handle, "the position to be flat (stop loss)")
    status = await day.status(handle)
    assert (status.state, status.exit_reason) == (RunState.LEAVING, ExitReason.STOP_LOSS)
    assert await searchable(handle, "RunState") == "leaving"
    day.script.leave.open()
    await day.result(handle)
    status = await day.status(handle)
    assert (status.state, status.waiting_for) == (RunState.ENDED, "nothing: stop loss")
    assert await searchable(handle, "RunState") == "ended"


async def test_an_exit_that_waits_for_the_broker_says_so(day: Day) -> None:
    day.script.unsettled = 1
    first, second = Gate(), Gate()
    plan, handle = await day.hold()
    day.script.leave = first
    await day.hit_stop(handle, plan)
    await first.reached()
    day.script.leave = second
    first.open()
    await second.reached()
    assert (await day.status(handle)).waiting_for == "the broker, who is slow"
    second.open()
    await day.result(handle)


async def test_a_run_can_be_found_by_strategy_user_symbol_and_day(day: Day) -> None:
    plan, handle = await day.hold()
    found = {name: await searchable(handle, name) for name in ("StrategyId", "UserId", "Symbol", "TradingDay")}
    assert found == {
        "StrategyId": plan.strategy_id,
        "UserId": plan.user_id,
        "Symbol": "TCS",
        "TradingDay": plan.trading_day.isoformat(),
    }


async def test_the_details_say_in_one_look_what_the_run_is_and_waits_for(day: Day) -> None:
    plan, handle = await day.hold()
    details = await current_details(handle)
    assert "10 NSE:TCS" in details
    assert "holding: waits for the stop-loss, a stop request or the sell time" in details
    assert f"₹{plan.stop_loss}" in details
    assert plan.run_id in details


async def test_the_details_follow_a_changed_plan(day: Day) -> None:
    _, handle = await day.hold()
    await day.change(handle, stop_loss=Decimal(3550))
    assert "₹3550" in await current_details(handle)


async def test_every_step_of_the_history_carries_a_sentence(day: Day) -> None:
    plan = day.plan(buy_in=timedelta(hours=1))
    handle = await day.start(plan, skipping=True)
    await day.result(handle)
    said = await summaries(handle)
    assert all(said)
    assert [words.split(" ")[0] for words in said] == [
        "Note",
        "Until",
        "Arm",
        "Until",
        "Buy",
        "Sell",
        "Sell",
        "Sell",
        "Record",
    ]
    assert said[4] == "Buy 10 TCS"
    assert said[5] == said[6], "the sell time, while it buys and while it holds"
    assert said[7] == "Sell TCS: sell time"
