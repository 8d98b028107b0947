"""The morning: every repeating strategy gets its workflow, once, whatever happens to the one that starts them."""

from datetime import UTC, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.messages import Begin, NotStarted, PreparedRuns, PrepareRuns, StrategyInput, StrategyResult
from local.namespace import ensure_namespace
from runtime.temporal_worker import ensure_schedules
from tests.waiting import eventually
from tests.workflows.day import Day, Handle, open_day, replay, settings_for, until
from trading.runs import EndReason
from workflows import names
from workflows.trading_day import TradingDayWorkflow

INDIA = ZoneInfo("Asia/Kolkata")


async def open_the_day(day: Day, *, client: Client | None = None, start_delay: timedelta | None = None) -> int:
    """How many strategies were started."""
    handle = await (client or day.client).start_workflow(
        TradingDayWorkflow.run, id=f"trading-day-{uuid4().hex}", task_queue=day.settings.task_queue, start_delay=start_delay
    )
    await until(handle.describe, lambda seen: seen.status is WorkflowExecutionStatus.COMPLETED, "the day is open")
    started = await handle.result()
    await replay(await handle.fetch_history())
    return started


def child(day: Day, plan: StrategyInput) -> Handle:
    workflow_id = names.strategy_workflow_id(plan.strategy_id, plan.trading_day)
    return day.client.get_workflow_handle(workflow_id, result_type=StrategyResult)


async def stop(day: Day, plan: StrategyInput) -> EndReason:
    handle = child(day, plan)
    await day.request_stop(handle, plan, square_off=True)
    return (await day.result(handle)).end_reason


@pytest.fixture
def three(day: Day) -> list[StrategyInput]:
    """Two pages of strategies that buy in an hour; one of a third page cannot be started."""
    plans = [day.plan(buy_in=timedelta(hours=1)) for _ in range(3)]
    day.script.pages = {
        "": PreparedRuns(tuple(plans[:2]), last="str_b"),
        "str_b": PreparedRuns((plans[2],), (NotStarted("str_c", "the exchange is closed today"),), last="str_c"),
        "str_c": PreparedRuns(()),
    }
    return plans


async def test_the_runs_of_all_pages_get_their_workflows(day: Day, three: list[StrategyInput]) -> None:
    assert await open_the_day(day) == 3
    asked = day.fakes.asked(PrepareRuns)
    assert [request.after for request in asked] == ["", "str_b", "str_c"]
    assert {request.trading_day for request in asked} == {asked[0].at.astimezone(INDIA).date()}
    await day.until_asked(Begin, 3)
    assert {begun.run_id for begun in day.fakes.asked(Begin)} == {plan.run_id for plan in three}


async def test_after_midnight_in_india_it_is_the_next_day_though_not_yet_in_utc(day: Day) -> None:
    now = datetime.now(UTC)
    evening = datetime.combine(now.date() + timedelta(days=1), time(20), tzinfo=UTC)
    day.script.pages = {"": PreparedRuns(())}
    assert await open_the_day(day, client=day.time.skipping_client, start_delay=evening - now) == 0
    [asked] = day.fakes.asked(PrepareRuns)
    assert evening <= asked.at < evening + timedelta(hours=1)
    assert asked.trading_day == evening.date() + timedelta(days=1)


async def test_opening_the_day_twice_starts_no_strategy_twice_not_even_one_that_has_ended(
    day: Day, three: list[StrategyInput]
) -> None:
    assert await open_the_day(day) == 3
    assert await stop(day, three[0]) is EndReason.STOPPED_BY_USER
    assert await open_the_day(day) == 0
    assert len(day.fakes.asked(Begin)) <= 3


async def test_a_day_whose_opening_was_interrupted_is_opened_for_the_rest(day: Day, three: list[StrategyInput]) -> None:
    await day.start(three[0])
    assert await open_the_day(day) == 2


async def test_strategies_live_on_when_the_workflow_that_started_them_is_terminated(day: Day, three: list[StrategyInput]) -> None:
    del day.script.pages["str_c"]
    parent = await day.client.start_workflow(
        TradingDayWorkflow.run, id=f"trading-day-{uuid4().hex}", task_queue=day.settings.task_queue
    )
    await day.until_asked(Begin, 3)
    await parent.terminate("the operator was hasty")
    for plan in three:
        assert (await child(day, plan).describe()).status is WorkflowExecutionStatus.RUNNING
        assert await stop(day, plan) is EndReason.STOPPED_BY_USER


async def test_a_strategy_started_in_the_morning_can_be_found_by_its_attributes(day: Day, three: list[StrategyInput]) -> None:
    await open_the_day(day)
    described = await child(day, three[0]).describe()
    found = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert found["StrategyId"] == three[0].strategy_id
    assert found["TradingDay"] == three[0].trading_day.isoformat()


async def test_the_schedule_opens_each_day_before_the_market_and_can_be_triggered(temporal_address: str, task_queue: str) -> None:
    namespace = f"schedule-{uuid4().hex}"
    await ensure_namespace(temporal_address, namespace, search_attributes=names.SEARCH_ATTRIBUTES)
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    async with open_day(client, settings_for(task_queue)) as day:
        plan = day.plan(buy_in=timedelta(hours=1))
        day.script.pages = {"": PreparedRuns((plan,))}
        await ensure_schedules(client, day.settings)
        await ensure_schedules(client, day.settings)
        schedule = client.get_schedule_handle(names.TRADING_DAY_SCHEDULE)
        described = await schedule.describe()
        times = {moment.astimezone(INDIA).strftime("%H:%M") for moment in described.info.next_action_times}
        assert times == {"08:45"}
        await schedule.trigger()
        await eventually(lambda: day.fakes.asked(Begin), "the strategy has begun")
        described = await until(
            schedule.describe, lambda seen: bool(seen.info.recent_actions), "the schedule knows what it started"
        )
        action = described.info.recent_actions[0].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        assert action.workflow_id.startswith("trading-day")
        assert await stop(day, plan) is EndReason.STOPPED_BY_USER
