"""A worker dies, or is cancelled, at every await of a trade; another one finishes it.

Each scenario is played once without a death, to count how often the worker's tasks are resumed; then again for each of those
points. A process that dies between two awaits leaves exactly what had reached the database and the exchange by then: so points
between which nothing did are the same death, and one of each kind is enough. `CRASH=all` tries every single point.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from storage.models import Order, Run
from tests.exploration.broker import Fate
from tests.exploration.conftest import Bench
from tests.exploration.exchange import ALL
from tests.exploration.judge import Judge
from tests.exploration.processes import HowItEnds, Process
from tests.exploration.world import Worker, World
from trading.orders import LIVE_STATES, OrderState

TRY_ALL = os.environ.get("CRASH") == "all"
# What changes nothing for the next owner of the account: whose desk it was is forgotten with the worker anyway.
_WRITES = ("INSERT INTO", "UPDATE orders", "UPDATE runs")


@dataclass
class Points:
    """Resumptions of the first, undisturbed play, and after which of them the world outside had changed."""

    count: int = 0
    first_of_each: list[int] = field(default_factory=list)
    _has_changed: bool = True

    @contextmanager
    def noted(self, world: World, process: Process) -> Iterator[None]:
        """Watch what reaches the exchange and the database while that process plays."""

        has_written = False

        def note_effect() -> None:
            self._has_changed = True

        def note_statement(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            nonlocal has_written
            has_written = has_written or any(write in statement for write in _WRITES)

        def note_commit(connection: Any) -> None:
            nonlocal has_written
            self._has_changed, has_written = self._has_changed or has_written, False

        def note_resumption(number: int) -> None:
            if self._has_changed:
                self.first_of_each.append(number)
            self._has_changed = False

        world.network.on_effect = note_effect
        process.on_resume = note_resumption
        engine = world.shared.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note_statement)
        event.listen(engine, "commit", note_commit)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", note_statement)
            event.remove(engine, "commit", note_commit)


Scenario = Callable[[World], Awaitable[None]]


async def bought_and_sold_at_the_stop(world: World) -> None:
    run_id = await _holding(world)
    await world.cross_stop(run_id, Decimal(3490))


async def answer_of_the_entry_is_lost(world: World) -> None:
    world.network.writes.append(Fate.ANSWER_LOST)
    run_id = await _holding(world)
    await world.cross_stop(run_id, Decimal(3490))


async def entry_never_arrives(world: World) -> None:
    world.network.writes.append(Fate.LOST)
    run_id = await _holding(world)
    await world.cross_stop(run_id, Decimal(3490))


async def answer_of_the_exit_is_lost(world: World) -> None:
    run_id = await _holding(world)
    world.network.writes.append(Fate.ANSWER_LOST)
    await world.cross_stop(run_id, Decimal(3490))


async def exit_is_moved_after_the_price(world: World) -> None:
    run_id = await _holding(world)
    world.exchange.fills_at_most = 4
    await world.cross_stop(run_id, Decimal(3490))
    await world.pass_time(0.5)
    world.exchange.move(Decimal(3400))
    world.exchange.fills_at_most = ALL


async def modifications_are_used_up(world: World) -> None:
    """The exit is cancelled and replaced."""
    run_id = await _holding(world)
    world.exchange.fills_at_most = 0
    world.network.writes.extend([Fate.ARRIVES, Fate.MODIFICATIONS_USED_UP])
    await world.cross_stop(run_id, Decimal(3490))
    await world.pass_time(2.0)
    world.exchange.move(Decimal(3400))
    world.exchange.fills_at_most = ALL


async def user_stops_while_the_entry_rests(world: World) -> None:
    world.exchange.fills_at_most = 4
    run_id = await world.start_run()
    await _until(world, lambda run, orders: run.bought == 4)
    await world.stop_by_user(run_id, square_off=True)


async def entry_is_filled_in_part(world: World) -> None:
    world.exchange.fills_at_most = 4
    run_id = await world.start_run(deadline_in=1.5)
    await _until(world, lambda run, orders: run.bought == 4)
    await world.cross_stop(run_id, Decimal(3490))


async def backup_becomes_the_exit(world: World) -> None:
    run_id = await _resting(world)
    await world.cross_stop(run_id, Decimal(3490))


async def answer_is_lost_when_the_backup_becomes_the_exit(world: World) -> None:
    run_id = await _resting(world)
    world.network.writes.append(Fate.ANSWER_LOST)
    await world.cross_stop(run_id, Decimal(3490))


async def backup_cannot_become_the_exit(world: World) -> None:
    """It is taken back and replaced."""
    run_id = await _resting(world)
    world.network.writes.append(Fate.MODIFICATIONS_USED_UP)
    await world.cross_stop(run_id, Decimal(3490))


async def broker_sells_while_the_backup_becomes_the_exit(world: World) -> None:
    run_id = await _resting(world)
    world.exchange.fills_at_most = 4
    await world.cross_stop(run_id, Decimal(3460))
    await world.pass_time(0.5)
    world.exchange.fills_at_most = ALL


SCENARIOS: list[Scenario] = [
    bought_and_sold_at_the_stop,
    answer_of_the_entry_is_lost,
    entry_never_arrives,
    answer_of_the_exit_is_lost,
    exit_is_moved_after_the_price,
    modifications_are_used_up,
    user_stops_while_the_entry_rests,
    entry_is_filled_in_part,
    backup_becomes_the_exit,
    answer_is_lost_when_the_backup_becomes_the_exit,
    backup_cannot_become_the_exit,
    broker_sells_while_the_backup_becomes_the_exit,
]


async def _holding(world: World) -> str:
    run_id = await world.start_run()
    await _until(world, lambda run, orders: run.bought == run.quantity and orders[-1].state is OrderState.ARMED)
    return run_id


async def _resting(world: World) -> str:
    run_id = await world.start_run(backup_stop=True)
    await _until(world, lambda run, orders: run.bought == run.quantity and rests_as_backup(orders))
    return run_id


def rests_as_backup(orders: list[Order]) -> bool:
    return any(order.backup_trigger is not None and order.state is OrderState.OPEN for order in orders)


async def _until(world: World, check: Callable[[Run, list[Order]], bool]) -> None:
    """Until that has come to pass. After a death it may never; the scenario goes on all the same, some seconds later."""
    first = world.workers[0].process
    patience = 120
    while not check(*await world.rows(world.run_ids[0])):
        assert patience > 0, await world.story()
        if first.over.is_set():
            patience = min(patience, 32)
            if patience == 1:
                return
        patience -= 1
        await world.pass_time(0.25)


async def play(bench: Bench, scenario: Scenario, process: Process, points: Points | None = None) -> int:
    """The scenario, a successor where the process ends before it is over, and the verdict. Returns how far the process came."""
    await bench.connect_afresh()
    world = bench.world()
    await world.open()
    try:
        judge = Judge(world)
        with points.noted(world, process) if points is not None else nullcontext():
            worker = await world.hire(process)
            succession = world.loop.create_task(_succeed(world, worker))
            await scenario(world)
            await _until_flat(world, process)
        await world.turns.quiet()
        if not process.over.is_set():
            succession.cancel()
            await world.kill(worker)
            await world.hire()
        else:
            await succession
        await world.work_in_peace()
        await judge.judge_end()
        return process.resumed
    finally:
        await world.close()


async def _succeed(world: World, worker: Worker) -> None:
    await worker.process.over.wait()
    await worker.process.cancel_rest()
    await world.forget_connection(worker)
    await world.hire()


async def _until_flat(world: World, process: Process) -> None:
    """The undisturbed worker brings its trade to its end."""
    for _ in range(80):
        run, orders = await world.rows(world.run_ids[0])
        flat = run.bought == run.sold and not any(order.state in LIVE_STATES for order in orders)
        if flat or process.over.is_set():
            return
        await world.pass_time(0.25)


@pytest.mark.parametrize("how", HowItEnds, ids=lambda how: how.value.replace(" ", "-"))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_point_of_a_trade_may_be_the_last_of_its_worker(
    bench: Bench, scenario: Scenario, how: HowItEnds, record_property: Callable[[str, object], None]
) -> None:
    points = Points()
    points.count = bench.loop.run_until_complete(play(bench, scenario, Process("first"), points))
    # A cancelled worker still cleans up: the lesser trial of the two, so every third point is enough without `CRASH=all`.
    chosen = points.first_of_each[:: 1 if how is HowItEnds.DIES else 3]
    if TRY_ALL:
        chosen = list(range(1, points.count + 1))
    assert chosen, "nothing this worker did reached the world"
    record_property("points", f"{len(chosen)} of {points.count}")
    for point in chosen:
        process = Process(f"first-{point}", ends_at=point, how=how)
        try:
            bench.loop.run_until_complete(play(bench, scenario, process))
        except AssertionError as error:
            raise AssertionError(f"the worker {how.value} at point {point} of {points.count}:\n{error}") from error
