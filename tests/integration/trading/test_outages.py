"""The stores and Temporal go away in the middle of entries and exits, and come back. Judged by the exchange's own log."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cache.keys import STOPS_CHANNEL
from execution.tasks import end
from tests.conftest import NAMESPACE
from tests.gates import Gate, gate_to, gate_to_postgres, gate_to_redis
from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.lead import Lead
from trading.runs import EndReason

# Long enough for every lease, heartbeat and statement to run out; `POSTGRES_OUTAGE_SECONDS=60` for a whole minute.
OUTAGE_SECONDS = float(os.environ.get("POSTGRES_OUTAGE_SECONDS", "14"))


@dataclass
class Servers:
    """The gates in front of the servers a world uses."""

    postgres: Gate
    redis: Gate
    temporal: Gate


@pytest.fixture
async def servers(
    database_url: str, postgres_sockets: Path, redis_url: str, temporal_address: str, task_queue: str
) -> AsyncIterator[tuple[World, Servers]]:
    async with AsyncExitStack() as stack:
        postgres, gated_database = await stack.enter_async_context(gate_to_postgres(database_url, postgres_sockets))
        redis, gated_redis = await stack.enter_async_context(gate_to_redis(redis_url))
        temporal = await stack.enter_async_context(gate_to(temporal_address))
        client = await Client.connect(temporal.address, namespace=NAMESPACE, data_converter=pydantic_data_converter)
        world = await stack.enter_async_context(
            trading_world(
                database_url=gated_database,
                redis_url=gated_redis,
                client=client,
                task_queue=task_queue,
                broker_timeout_seconds=3.0,
                database_answer_seconds=3.0,
            )
        )
        yield world, Servers(postgres, redis, temporal)


async def until_heard(world: World) -> None:
    """The desks listen for stops; until then the listener would repeat itself."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not dict(await world.redis.pubsub_numsub(STOPS_CHANNEL))[STOPS_CHANNEL.encode()]:
            await asyncio.sleep(0.05)


async def test_postgres_is_away_in_the_middle_of_entries_and_exits(servers: tuple[World, Servers]) -> None:
    """Stopped, timed and on the wire while it is away: nothing new leaves, and all goes on by itself when it is back."""
    world, gates = servers
    accounts = {name: await world.add_account(name) for name in ("stopped", "timed", "wired", "buying")}
    stopped = await world.start_run(accounts["stopped"])
    wired = await world.start_run(accounts["wired"], stop_loss="3550")
    for run in (stopped, wired):
        await world.until_holding(run)
    world.lead = Lead(base_seconds=4.0, jitter_seconds=0.0, deadline_seconds=OUTAGE_SECONDS + 60)
    timed = await world.start_run(accounts["timed"], stop_loss="3000", sell_in=8.0)
    await world.until_holding(timed)
    buying = await world.start_run(accounts["buying"], stop_loss="3000", buy_in=5.0)
    await world.until(buying.id, lambda _, orders: any(order.state == "armed" for order in orders), "the entry is armed")
    world.sim.add_fault("slow", endpoint="place", account="sim-wired", count=1, delay_ms=1000)
    await world.cross_stop(wired, "3540", signal=False)
    await eventually(lambda: world.sides("wired") == ["BUY", "SELL"], "an exit is on the wire")

    gates.postgres.shut()
    placed = sum(len(world.requests("place", name)) for name in accounts)
    await world.cross_stop(stopped, "3490")
    await asyncio.sleep(OUTAGE_SECONDS)
    assert sum(len(world.requests("place", name)) for name in accounts) == placed, "an order without its row"
    gates.postgres.open()

    guarding = asyncio.create_task(world.guard().run())
    try:
        assert (await world.result(stopped)).end_reason is EndReason.STOP_LOSS
        assert (await world.result(timed)).end_reason is EndReason.SOLD_AT_TIME
        assert (await world.result(wired)).end_reason is EndReason.STOP_LOSS
        await world.until_holding(buying)
        await world.cross_stop(buying, "2990")
        assert (await world.result(buying)).end_reason is EndReason.STOP_LOSS
    finally:
        await end([guarding])
    for name in accounts:
        assert world.sides(name) == ["BUY", "SELL"], name
        assert world.sim.net_position(name, "TCS") == 0


async def test_postgres_fails_over_without_a_word_and_connections_that_never_answer_are_given_up(
    servers: tuple[World, Servers],
) -> None:
    world, gates = servers
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    gates.postgres.strand()
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_without_temporal_what_is_armed_is_bought_covered_and_sold_and_ends_when_it_is_back(
    servers: tuple[World, Servers],
) -> None:
    world, gates = servers
    account = await world.add_account()
    held = await world.start_run(account)
    await world.until_holding(held)
    other = await world.add_account("bob")
    world.lead = Lead(base_seconds=4.0, jitter_seconds=0.0, deadline_seconds=60.0)
    buying = await world.start_run(other, buy_in=5.0)
    await world.until(buying.id, lambda _, orders: any(order.state == "armed" for order in orders), "the entry is armed")
    gates.temporal.shut()
    await world.until_holding(buying)
    await world.cross_stop(held, "3490", signal=False)
    await world.cross_stop(buying, "3490", signal=False)
    for run in (held, buying):
        await world.until(run.id, lambda row, _: row.sold == 10, "sold by the desk alone")
    gates.temporal.open()
    guarding = asyncio.create_task(world.guard().run())
    try:
        assert (await world.result(held)).end_reason is EndReason.STOP_LOSS
        assert (await world.result(buying)).end_reason is EndReason.STOP_LOSS
    finally:
        await end([guarding])
    assert world.sides("alice") == world.sides("bob") == ["BUY", "SELL"]


async def test_without_redis_an_entry_is_priced_by_the_broker_and_a_stop_leaves_by_its_signal(
    servers: tuple[World, Servers],
) -> None:
    world, gates = servers
    account = await world.add_account()
    gates.redis.shut()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.set_price("TCS", "3490")
    await world.stop_signal(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
    gates.redis.open()
    later = await world.start_run(account, stop_loss="3300")
    await world.until_holding(later)
    await until_heard(world)
    await world.cross_stop(later, "3290", signal=False)
    await world.until(later.id, lambda row, _: row.sold == 10, "the desks hear of stops again")


async def test_redis_is_flushed_between_a_purchase_and_its_stop(servers: tuple[World, Servers]) -> None:
    world, _ = servers
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.redis.flushall()
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
