import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from cache.channels import (
    ArmedStop,
    Disarmed,
    RunEventHint,
    StopCrossed,
    listen_armed,
    listen_order_hints,
    listen_run_events,
    listen_runs_changed,
    listen_stops,
    listen_strategy,
    publish_armed,
    publish_order_hint,
    publish_run_event,
    publish_runs_changed,
    publish_stops,
)
from cache.connection import CacheUnavailable
from trading.instruments import InstrumentId

AT = datetime(2026, 11, 20, 5, 0, 0, 250, tzinfo=UTC)
CROSSED = StopCrossed("run_1", "brk_1", 2, Decimal("3499.95"), AT, "run_1:2")
ARMED = ArmedStop("run_1", "brk_1", InstrumentId("NSE", "M&M"), Decimal("3500.05"), 2, AT)


async def test_a_batch_of_stops_arrives_as_one_batch_and_exactly(redis: Redis) -> None:
    async with listen_stops(redis) as batches:
        await publish_stops(redis, [CROSSED, CROSSED])
        assert await anext(batches) == [CROSSED, CROSSED]


async def test_armed_and_disarmed_stops_arrive_in_order(redis: Redis) -> None:
    async with listen_armed(redis) as batches:
        await publish_armed(redis, [ARMED, Disarmed("run_2")])
        await publish_armed(redis, [Disarmed("run_1")])
        assert await anext(batches) == [ARMED, Disarmed("run_2")]
        assert await anext(batches) == [Disarmed("run_1")]


async def test_one_subscription_hears_the_hints_of_every_account(redis: Redis) -> None:
    async with listen_order_hints(redis) as accounts:
        await publish_order_hint(redis, "brk_1")
        await publish_order_hint(redis, "brk_2")
        assert [await anext(accounts), await anext(accounts)] == ["brk_1", "brk_2"]


async def test_a_timeline_event_reaches_the_strategy_s_and_the_user_s_followers(redis: Redis) -> None:
    async with listen_run_events(redis) as of_all, listen_strategy(redis, "str_1") as of_one:
        await publish_run_event(redis, "usr_1", "str_1", sequence=7)
        assert await anext(of_all) == RunEventHint("usr_1", "str_1", 7)
        assert await anext(of_one) == RunEventHint("usr_1", "str_1", 7)


async def test_a_change_of_the_runs_is_heard(redis: Redis) -> None:
    async with listen_runs_changed(redis) as changes:
        await publish_runs_changed(redis)
        assert await anext(changes) is None


async def test_an_unreadable_message_is_passed_over(redis: Redis) -> None:
    async with listen_stops(redis) as batches:
        for garbage in (b"", b"{", b"[[1]]", b"7", b'[["run","brk",1,"x","2026-11-20T05:00:00Z","t"]]'):
            await redis.publish("stops", garbage)
        await publish_stops(redis, [CROSSED])
        assert await anext(batches) == [CROSSED]


async def test_a_lost_connection_is_reported_and_never_silently_repaired(redis: Redis) -> None:
    async with listen_stops(redis) as batches:
        await redis.client_kill_filter(_type="pubsub")
        with pytest.raises(CacheUnavailable):
            await anext(batches)


async def test_without_redis_publishing_and_listening_say_so(absent_redis: Redis) -> None:
    with pytest.raises(CacheUnavailable):
        await publish_stops(absent_redis, [CROSSED])
    with pytest.raises(CacheUnavailable):
        async with listen_stops(absent_redis):
            pass


async def test_an_idle_subscription_stays_and_hears_what_comes_after_the_pings(redis: Redis) -> None:
    async with listen_stops(redis) as batches:
        before = (await redis.info("commandstats")).get("cmdstat_ping", {}).get("calls", 0)
        waiting = asyncio.ensure_future(anext(batches))
        async with asyncio.timeout(30):
            while (await redis.info("commandstats")).get("cmdstat_ping", {}).get("calls", 0) < before + 2:
                await asyncio.sleep(0.05)
        await publish_stops(redis, [CROSSED])
        assert await waiting == [CROSSED]
