from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from cache.rebuild import is_complete, read_views, rebuild, refresh
from cache.runtime_view import PlanView, RuntimeView, View
from storage.database import Database
from storage.models import Strategy
from tests.listener.seeding import Seeded, add_account, add_holding_run, add_user, update_run
from trading.instruments import InstrumentId
from trading.orders import Leg, OrderState
from trading.runs import EndReason, ExitReason, Position, RunState

TCS = InstrumentId("NSE", "TCS")
NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


@pytest.fixture
async def seeded(database: Database) -> Seeded:
    user = await add_user(database)
    return await add_holding_run(database, user, await add_account(database, user))


async def views_of(database: Database, seeded: Seeded) -> tuple[View, PlanView]:
    async with database.transaction() as session:
        (views,) = await read_views(session, [seeded.strategy_id])
    return views


async def test_a_view_comes_back_exactly_as_it_was_made(database: Database, redis: Redis, seeded: Seeded) -> None:
    view, plan = await views_of(database, seeded)
    await RuntimeView(redis).write_many([(view, plan)])
    assert await RuntimeView(redis).read(seeded.strategy_id) == view
    assert await RuntimeView(redis).read_plan(seeded.strategy_id) == plan
    assert view.position is Position.BOUGHT
    assert [(order.leg, order.state) for order in view.orders] == [(Leg.EXIT, OrderState.ARMED)]


async def test_the_hot_price_and_the_profit_at_it_are_added_when_read(database: Database, redis: Redis, seeded: Seeded) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    await PriceCache(redis).write({TCS: HotPrice(Decimal("3610.50"), NOW)})
    view = await RuntimeView(redis).read(seeded.strategy_id)
    assert view is not None
    assert (view.last_price, view.last_price_at, view.pnl) == (Decimal("3610.50"), NOW, Decimal("105.00"))


async def test_the_profit_of_an_open_position_without_a_price_is_not_known(
    database: Database, redis: Redis, seeded: Seeded
) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    view = await RuntimeView(redis).read(seeded.strategy_id)
    assert view is not None
    assert (view.last_price, view.pnl) == (None, None)


async def test_an_older_view_never_replaces_a_newer_one(database: Database, redis: Redis, seeded: Seeded) -> None:
    newer, plan = await views_of(database, seeded)
    older = replace(newer, as_of=newer.as_of - timedelta(microseconds=1), position=Position.NONE)
    await RuntimeView(redis).write_many([(newer, plan), (older, plan)])
    read = await RuntimeView(redis).read(seeded.strategy_id)
    assert read is not None
    assert read.position is Position.BOUGHT


async def test_the_keys_can_be_read_by_people(database: Database, redis: Redis, seeded: Seeded) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    assert await redis.hget(f"runtime:{seeded.strategy_id}", "position") == b"BOUGHT"
    assert await redis.hget(f"strategy:{seeded.strategy_id}", "stop_loss") == b"3500.0000"
    assert await redis.smembers("symbol:TCS:strategies") == {seeded.strategy_id.encode()}


async def test_an_ended_run_leaves_the_set_of_its_symbol(database: Database, redis: Redis, seeded: Seeded) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    assert await RuntimeView(redis).strategies_of(TCS) == {seeded.strategy_id}
    await update_run(
        database,
        seeded.run_id,
        state=RunState.ENDED,
        sold=10,
        sell_value=Decimal(35_000),
        realised_pnl=Decimal(-1_000),
        position=Position.EXITED_BY_SL,
        exit_reason=ExitReason.STOP_LOSS,
        end_reason=EndReason.STOP_LOSS,
    )
    await refresh(database, redis, [seeded.strategy_id])
    view = await RuntimeView(redis).read(seeded.strategy_id)
    assert view is not None
    assert (view.position, view.pnl, view.has_open_run) == (Position.EXITED_BY_SL, Decimal("-1000"), False)
    assert await RuntimeView(redis).strategies_of(TCS) == set()


async def test_a_flushed_redis_is_noticed_and_rebuilt_from_postgres(database: Database, redis: Redis, seeded: Seeded) -> None:
    user = await add_user(database, "second@example.org")
    account = await add_account(database, user)
    strategies = [(await add_holding_run(database, user, account, symbol=f"SYM{n}")).strategy_id for n in range(205)]
    assert await rebuild(database, redis) == 206
    before = await RuntimeView(redis).read(strategies[0])

    await redis.flushall()
    assert not await is_complete(redis)
    assert await RuntimeView(redis).read(strategies[0]) is None

    assert await rebuild(database, redis) == 206
    assert await is_complete(redis)
    after = await RuntimeView(redis).read(strategies[0])
    assert before is not None
    assert after is not None
    assert replace(after, as_of=before.as_of) == before


async def test_a_deleted_strategy_is_not_rebuilt_and_can_be_forgotten(database: Database, redis: Redis, seeded: Seeded) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    async with database.transaction() as session:
        strategy = await session.get_one(Strategy, seeded.strategy_id)
        strategy.deleted_at = NOW
    await RuntimeView(redis).forget(seeded.strategy_id)
    assert await rebuild(database, redis) == 0
    assert await redis.keys("*TCS*") == []
    assert await RuntimeView(redis).read(seeded.strategy_id) is None


async def test_without_redis_it_says_so_and_nothing_else(database: Database, absent_redis: Redis, seeded: Seeded) -> None:
    with pytest.raises(CacheUnavailable):
        await RuntimeView(absent_redis).read(seeded.strategy_id)
    with pytest.raises(CacheUnavailable):
        await rebuild(database, absent_redis)


async def test_a_half_written_view_is_unreadable_and_not_guessed(database: Database, redis: Redis, seeded: Seeded) -> None:
    await refresh(database, redis, [seeded.strategy_id])
    await redis.hset(f"runtime:{seeded.strategy_id}", "position", "SHORT")
    with pytest.raises(CacheUnavailable):
        await RuntimeView(redis).read(seeded.strategy_id)
