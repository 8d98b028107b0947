"""Runs that are due in the same second have places in it, so that not all of them are armed at the same moment."""

from datetime import datetime, timedelta

from storage.models import BrokerAccount, Run
from tests.integration.trading.world import World

HOUR = timedelta(hours=1)


async def scheduled(world: World, account: BrokerAccount, *, buy_at: datetime, sell_at: datetime) -> Run:
    """A run that nobody works on: no workflow was started for it."""
    now = world.clock.now()
    buy_in, sell_in = (buy_at - now).total_seconds(), (sell_at - now).total_seconds()
    return await world.start_run(account, buy_in=buy_in, sell_in=sell_in, hand_over_in=sell_in + 60, start_workflow=False)


async def test_each_of_one_second_has_a_place_of_its_own_and_another_second_begins_anew(world: World) -> None:
    account = await world.add_account()
    # The middle of a second: what passes between two calls does not lead into the next one.
    noon = (world.clock.now() + HOUR).replace(microsecond=500_000)
    close = noon + HOUR
    together = [await scheduled(world, account, buy_at=noon, sell_at=close) for _ in range(3)]
    later = await scheduled(world, account, buy_at=noon + timedelta(seconds=2), sell_at=close)
    assert [run.place_in_buys for run in [*together, later]] == [0, 1, 2, 0]
    assert [run.place_in_sales for run in [*together, later]] == [0, 1, 2, 3]
    leads = [world.lead.before(run.strategy_id, place=run.place_in_buys) for run in together]
    assert leads == sorted(set(leads))
