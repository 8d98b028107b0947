"""One feed for each broker with active strategies, over whichever of that broker's accounts is alive."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from brokers.registry import BROKERS
from listener.wanted import Wanted
from simulator.testing import RunningSimulator
from storage.database import Database
from tests.listener.seeding import update_run
from tests.listener.world import World, make_world
from tests.waiting import eventually
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.runs import RunState

TCS = InstrumentId("NSE", "TCS")


@pytest.fixture
async def world(database: Database, redis: Redis, sim: RunningSimulator) -> AsyncIterator[World]:
    async with make_world(database, redis, sim, brokers=tuple(BROKERS)) as world:
        yield world


def sockets(world: World, name: str) -> int:
    return world.sim.simulator.sockets(f"sim-{name}")


async def test_each_broker_with_runs_has_a_feed_of_its_own_and_their_stops_are_found(world: World) -> None:
    owners = {broker.value: broker for broker in BROKERS}
    runs = [await world.hold(await world.log_in(owner, broker=broker)) for owner, broker in owners.items()]
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        for owner in owners:
            await eventually(lambda owner=owner: sockets(world, owner) == 1, f"one connection of {owner}")
        await world.until_beat("symbols", len(owners))
        world.sim.set_price("TCS", "3499.95")
        await eventually(lambda: len({stop.run_id for stop in heard}) == len(runs), "every stop")
    assert {stop.run_id for stop in heard} == {run.run_id for run in runs}


@pytest.mark.parametrize("broker", list(BROKERS), ids=lambda name: name.value)
async def test_a_feed_moves_to_another_account_of_its_broker_when_the_token_dies(world: World, broker: BrokerName) -> None:
    await world.log_in("second", broker=broker)
    first = await world.log_in("first", broker=broker)
    await world.hold(first)
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await eventually(lambda: sockets(world, "first") + sockets(world, "second") == 1, "one feed")
        await world.subscribed_to("TCS")
        carrying, other = ("first", "second") if sockets(world, "first") else ("second", "first")
        world.sim.expire_token(carrying)
        await eventually(lambda: sockets(world, other) == 1, "the feed has moved")
        await world.until_beat("trouble", "")
        world.sim.set_price("TCS", "3499.95")
        await eventually(lambda: heard, "the stop")
    assert sockets(world, carrying) == 0


async def test_what_one_feed_lets_go_another_still_knows(world: World) -> None:
    zerodha, fyers = BrokerName.ZERODHA, BrokerName.FYERS
    first = await world.hold(await world.log_in("first", broker=zerodha))
    await world.hold(await world.log_in("second", broker=fyers), stop="1000")
    world.sim.set_price("TCS", "3600")
    async with world.listening():
        await world.until_beat("symbols", 2)
        await world.until_price("TCS")
        await update_run(world.database, first.run_id, state=RunState.ENDED)
        await world.until_beat("symbols", 1)
        await world.until_beat("symbols_stale", 0)


def test_an_instrument_is_wanted_anywhere_while_one_broker_wants_it() -> None:
    wanted = Wanted()
    wanted.replace({BrokerName.ZERODHA: [TCS], BrokerName.DHAN: [TCS]})
    wanted.replace({BrokerName.DHAN: [TCS]})
    assert wanted.anywhere(TCS)
    wanted.replace({})
    assert not wanted.anywhere(TCS)
