"""Whatever happens to a run, in whatever order: one exit at a time, one end, and a result that its rows agree with."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.messages import ArmEntry, Enter, StrategyInput, StrategyResult
from runtime.temporal import is_gone
from tests.workflows.day import Day, Handle
from tests.workflows.fakes import Gate, Script
from trading.runs import EndReason, ExitReason, Position, RunState

A_MOMENT = timedelta(milliseconds=50)


class Event(Enum):
    """What can happen to a run after its entry was sent."""

    STOP_IS_HIT = "stop is hit"
    OLD_STOP_IS_HIT = "a price between the lowered stop and the old one"
    USER_SELLS = "user stops and sells"
    USER_KEEPS = "user stops and keeps"
    SELL_TIME_COMES = "sell time comes"
    SELL_TIME_IS_MOVED = "sell time is moved"
    STOP_IS_LOWERED_IN_ROWS = "stop is lowered, the workflow is told later"
    STOP_IS_LOWERED = "stop is lowered"
    ENTRY_FILLS = "entry fills"
    ENTRY_FILLS_PARTLY = "entry fills partly"
    EXIT_GOES_ON = "exit goes on"


class Story:
    """One run with its entry and its exit held, and everything that happens to it."""

    def __init__(self, day: Day, plan: StrategyInput, handle: Handle) -> None:
        self._day = day
        self.plan = plan
        self.handle = handle

    async def tell(self, event: Event) -> None:
        """A run that has ended meanwhile, or a change that is refused, is part of the story."""
        try:
            await self._happen(event)
        except WorkflowUpdateFailedError:
            return
        except RPCError as error:
            if not is_gone(error):
                raise

    async def _happen(self, event: Event) -> None:
        day, plan, handle = self._day, self.plan, self.handle
        row = day.row(plan)
        match event:
            case Event.STOP_IS_HIT:
                await day.hit_stop(handle, plan, "3390", version=row.stop_version)
            case Event.OLD_STOP_IS_HIT:
                await day.hit_stop(handle, plan, "3450")
            case Event.USER_SELLS | Event.USER_KEEPS:
                await day.request_stop(handle, plan, square_off=event is Event.USER_SELLS)
            case Event.SELL_TIME_COMES:
                await day.change(handle, sell_at=await day.time.now(handle) + A_MOMENT)
            case Event.SELL_TIME_IS_MOVED:
                await day.change(handle, sell_at=plan.sell_at + timedelta(hours=1))
            case Event.STOP_IS_LOWERED_IN_ROWS:
                if row.exit_wanted_at is None and not row.leave_open:
                    row.change_stop(Decimal(3400))
            case Event.STOP_IS_LOWERED:
                await day.change(handle, stop_loss=Decimal(3400))
            case Event.ENTRY_FILLS | Event.ENTRY_FILLS_PARTLY:
                self._fill(4 if event is Event.ENTRY_FILLS_PARTLY else 10)
            case Event.EXIT_GOES_ON:
                self.let_exit_go_on()

    def _fill(self, filled: int) -> None:
        gate = self._day.script.enter
        assert gate is not None
        self._day.script.fills = filled
        gate.open()

    def let_exit_go_on(self) -> None:
        gate = self._day.script.leave
        assert gate is not None
        gate.open()

    async def end(self) -> StrategyResult:
        self._fill(10)
        self.let_exit_go_on()
        return await self._day.result(self.handle)


async def begin(day: Day) -> Story:
    day.fakes.requests.clear()
    day.fakes.left.clear()
    day.fakes.most_leaves_at_once = 0
    day.fakes.script = Script(enter=Gate(), leave=Gate(), unsettled=1)
    plan = day.plan(sell_in=timedelta(hours=3))
    handle = await day.start(plan)
    await day.until_asked(Enter)
    return Story(day, plan, handle)


def stop_came_in_time(events: Sequence[Event]) -> bool:
    """Before the exit could end, and before the user wished to keep the position."""
    end = min((events.index(last) for last in (Event.EXIT_GOES_ON, Event.USER_KEEPS) if last in events), default=len(events))
    return Event.STOP_IS_HIT in events[:end]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(events=st.lists(st.sampled_from(Event), min_size=3, max_size=8))
@example(events=[Event.STOP_IS_HIT, Event.USER_SELLS])
@example(events=[Event.ENTRY_FILLS, Event.USER_KEEPS, Event.STOP_IS_HIT])
@example(events=[Event.STOP_IS_LOWERED_IN_ROWS, Event.OLD_STOP_IS_HIT, Event.STOP_IS_HIT])
@example(events=[Event.STOP_IS_HIT, Event.OLD_STOP_IS_HIT, Event.STOP_IS_LOWERED_IN_ROWS])
async def test_any_order_of_events_ends_in_one_exit_and_a_result_the_rows_agree_with(day: Day, events: list[Event]) -> None:
    story = await begin(day)
    for event in events:
        await story.tell(event)
    result = await story.end()
    row = day.row(story.plan)
    assert (row.state, row.ended_times, len(day.fakes.asked(ArmEntry))) == (RunState.ENDED, 1, 1)
    assert result == row.result()
    check_requests(day, story.plan.run_id, events)
    check_result(result, events)


def check_requests(day: Day, run_id: str, events: Sequence[Event]) -> None:
    """One request at a time; for reasons that only grow stronger, until one is void or settled; after that none, or anew."""
    assert day.fakes.most_leaves_at_once <= 1
    asked = [(request, answer) for request, answer in day.fakes.left if request.run_id == run_id]
    assert not any(answer.is_settled for _, answer in asked[:-1])
    assert all(request.square_off or request.reason is ExitReason.USER_STOP for request, _ in asked)
    for (before, answer), (after, _) in pairwise(asked):
        assert answer.is_void or (not before.reason.beats(after.reason) and before.square_off == after.square_off)
    if stop_came_in_time(events):
        assert asked[-1][0].reason is ExitReason.STOP_LOSS
        assert asked[-1][1].is_settled


def check_result(result: StrategyResult, events: Sequence[Event]) -> None:
    kept = result.end_reason is EndReason.LEFT_OPEN_BY_USER
    assert result.sold == (0 if kept else result.bought)
    assert (result.position is Position.BOUGHT) == kept
    if kept:
        assert Event.USER_KEEPS in events
    if result.end_reason is EndReason.STOP_LOSS:
        assert {Event.STOP_IS_HIT, Event.OLD_STOP_IS_HIT} & set(events)
    if result.end_reason is EndReason.SOLD_AT_TIME:
        assert not stop_came_in_time(events)
