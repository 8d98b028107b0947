"""What exploring has found, each as the smallest example that showed it."""

from tests.exploration.broker import Fate
from tests.exploration.conftest import Bench
from tests.exploration.world import World
from trading.orders import OrderState
from trading.runs import EndReason, ExitReason


async def _holding(world: World) -> str:
    run_id = await world.start_run()
    await world.until(lambda run, orders: run.bought == 10 and orders[-1].state is OrderState.ARMED, "bought and covered")
    return run_id


def test_an_exit_that_lands_after_the_run_has_ended_is_told_to_a_person(bench: Bench) -> None:
    """It had been proven absent and replaced; the sale doubled, and nobody heard of it."""

    async def play(world: World) -> None:
        run_id = await _holding(world)
        world.network.writes.append(Fate.LANDS_MUCH_LATER)
        await world.leave(run_id, ExitReason.USER_STOP)
        await world.until(lambda run, orders: orders[-1].state is OrderState.UNKNOWN, "the exit is in doubt")
        await world.work_in_peace()
        run, _ = await world.rows(run_id)
        assert (run.bought, run.sold) == (10, 20)
        alarms = [alarm for alarm in await world.alarms() if alarm.kind == "oversold"]
        assert [(alarm.run_id, alarm.cleared_at) for alarm in alarms] == [(run_id, None)]

    bench.play(play)


def test_a_run_whose_late_exit_sold_too_much_ends_in_the_hands_of_a_person(bench: Bench) -> None:
    """It would have waited for ever: nothing is left to sell, and it is not flat."""

    async def play(world: World) -> None:
        run_id = await _holding(world)
        world.network.late_by = 5.0
        world.network.writes.append(Fate.LANDS_MUCH_LATER)
        world.exchange.fills_at_most = 6
        await world.leave(run_id, ExitReason.USER_STOP)
        await world.until(lambda run, orders: run.sold > 10, "sold too much")
        await world.work_in_peace()
        run, _ = await world.rows(run_id)
        assert run.end_reason is EndReason.HANDED_OVER

    bench.play(play)


def test_an_entry_that_lands_after_its_sender_has_given_up_is_waited_for(bench: Bench) -> None:
    """The judge's word "called absent" has been seen with this: a random walk meets it too seldom to be relied upon."""

    async def play(world: World) -> None:
        world.network.writes.append(Fate.LANDS_SLOWLY)
        await _holding(world)
        await world.work_in_peace()

    bench.play(play)
