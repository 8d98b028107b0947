"""Who is gone is noticed by those who are left, after some seconds, by proof alone; and what is over is cleared by the rows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select, text, update

from cache.connection import connect
from cache.heartbeats import beat
from execution.alarm_upkeep import alarm_long_doubts, clear_what_is_over
from execution.alarms import Alarm, raise_alarm
from execution.leases import uncovered
from runtime.lasting import Lasting
from runtime.watchman import GONE_SECONDS, NEW_SECONDS, Watchman
from storage.database import Database
from storage.locks import LISTENER_LOCK, is_held
from storage.models import Alert, BrokerAccount, DeskLease, Run
from tests.api.fakes import HeldClock
from tests.integration.storage.rows import NOW, Rows
from trading.orders import Leg, OrderState
from trading.runs import RunState


@dataclass
class FakeTemporal:
    """Answers health checks: healthy, not, or not at all."""

    answer: bool | Exception = True

    @property
    def service_client(self) -> "FakeTemporal":
        return self

    async def check_health(self, *, timeout: timedelta) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Watched:
    database: Database
    redis: Redis
    rows: Rows
    temporal: FakeTemporal = field(default_factory=FakeTemporal)
    clock: HeldClock = field(default_factory=lambda: HeldClock(NOW))

    def watchman(self, *, redis: Redis | None = None) -> Watchman:
        client: Any = self.temporal
        return Watchman(database=self.database, redis=redis or self.redis, temporal=client, clock=self.clock)

    async def look(self, watchman: Watchman, seconds: float = GONE_SECONDS) -> set[str]:
        """Two rounds that far apart; what is up after them."""
        await watchman.round()
        self.clock.advance(seconds=seconds)
        await watchman.round()
        return await self.up()

    async def up(self) -> set[str]:
        async with self.database.transaction() as session:
            return set(await session.scalars(select(Alert.kind).where(Alert.cleared_at.is_(None))))

    async def open_run(self) -> Run:
        """Of an account that has been there for a while, and that nobody's desk covers."""
        account = await self.rows.account()
        run = await self.rows.run(account, created_at=func.clock_timestamp() - timedelta(minutes=1))
        await self.rows.lease(account)
        return run

    async def cover(self, run: Run) -> None:
        lease = update(DeskLease).where(DeskLease.account_id == run.account_id)
        async with self.database.transaction() as session:
            until = func.clock_timestamp() + timedelta(hours=1)
            await session.execute(lease.values(owner="worker-1", expires_at=until))


@pytest.fixture
async def watched(database: Database, redis_url: str) -> AsyncIterator[Watched]:
    async with connect(redis_url) as redis:
        yield Watched(database, redis, Rows(database))


@pytest.fixture
async def nowhere() -> AsyncIterator[Redis]:
    """A Redis that is not there."""
    async with connect("redis://127.0.0.1:9/0") as redis:
        yield redis


async def test_with_nothing_open_nobody_is_missed(watched: Watched) -> None:
    assert await watched.look(watched.watchman()) == set()


async def test_an_account_without_a_desk_is_an_alarm_after_some_seconds_until_somebody_takes_it(watched: Watched) -> None:
    run = await watched.open_run()
    watchman = watched.watchman()
    assert "worker_gone" not in await watched.look(watchman, GONE_SECONDS - 1)
    watched.clock.advance(seconds=1)
    await watchman.round()
    assert "worker_gone" in await watched.up()
    await watched.cover(run)
    await watchman.round()
    assert "worker_gone" not in await watched.up()


async def test_a_worker_that_blinks_is_no_alarm(watched: Watched) -> None:
    run = await watched.open_run()
    watchman = watched.watchman()
    await watched.look(watchman, GONE_SECONDS - 1)
    await watched.cover(run)
    await watchman.round()
    async with watched.database.transaction() as session:
        await session.execute(update(DeskLease).values(owner=None))
    assert "worker_gone" not in await watched.look(watchman, 2)


async def test_uncovered_are_accounts_with_something_open_that_is_not_brand_new(watched: Watched) -> None:
    rows, run = watched.rows, await watched.open_run()
    young = await rows.run(await rows.account())
    ended = await watched.open_run()
    without_lease = await rows.account()
    await rows.run(without_lease, created_at=run.created_at)
    armed = await watched.open_run()
    await rows.order(armed, Leg.ENTRY, created_at=NOW - timedelta(days=400))
    for row in (ended, armed):
        await rows.change(row, state=RunState.ENDED)

    async def found() -> set[str]:
        async with watched.database.transaction() as session:
            return set(await uncovered(session, grace_seconds=NEW_SECONDS))

    assert await found() == {run.account_id, without_lease.id, armed.account_id}
    assert young.account_id not in await found()
    await watched.cover(run)
    assert await found() == {without_lease.id, armed.account_id}


async def test_a_listener_is_missed_while_a_run_is_open(watched: Watched) -> None:
    run = await watched.open_run()
    await watched.cover(run)
    watchman = watched.watchman()
    assert await watched.look(watchman) == {"listener_gone"}
    async with watched.database.engine.connect() as connection:
        await connection.execute(text(f"SELECT pg_advisory_lock({LISTENER_LOCK})"))
        await beat(watched.redis, "listener", {})
        await watchman.round()
        assert await watched.up() == set()
        await connection.invalidate()


async def test_a_listener_that_hangs_keeps_its_lock_and_is_missed_all_the_same(watched: Watched) -> None:
    await watched.cover(await watched.open_run())
    async with watched.database.engine.connect() as connection:
        await connection.execute(text(f"SELECT pg_advisory_lock({LISTENER_LOCK})"))
        assert await watched.look(watched.watchman()) == {"listener_gone"}
        await connection.invalidate()


async def test_while_redis_is_away_the_lock_alone_proves_nothing_about_the_listener(watched: Watched, nowhere: Redis) -> None:
    await watched.cover(await watched.open_run())
    async with watched.database.engine.connect() as connection:
        await connection.execute(text(f"SELECT pg_advisory_lock({LISTENER_LOCK})"))
        assert await watched.look(watched.watchman(redis=nowhere)) == {"redis_down"}
        await connection.invalidate()


async def test_a_lock_is_seen_in_its_own_database_only(watched: Watched) -> None:
    async def held(key: int) -> bool:
        async with watched.database.transaction() as session:
            return await is_held(session, key)

    assert not await held(LISTENER_LOCK)
    async with watched.database.engine.connect() as connection:
        await connection.execute(text(f"SELECT pg_advisory_lock({LISTENER_LOCK})"))
        assert await held(LISTENER_LOCK)
        assert not await held(LISTENER_LOCK + 1)
        await connection.invalidate()


async def test_redis_that_is_away_is_an_alarm_and_whoever_watches_next_clears_it(watched: Watched, nowhere: Redis) -> None:
    assert await watched.look(watched.watchman(redis=nowhere)) == {"redis_down"}
    await watched.watchman().round()
    assert await watched.up() == set()


@pytest.mark.parametrize("answer", [False, RuntimeError("no connection"), OSError()], ids=["unhealthy", "lazy", "refused"])
async def test_temporal_that_does_not_answer_is_an_alarm_until_it_does(watched: Watched, answer: bool | Exception) -> None:
    watchman = watched.watchman()
    watched.temporal.answer = answer
    assert await watched.look(watchman) == {"temporal_down"}
    watched.temporal.answer = True
    await watchman.round()
    assert await watched.up() == set()


def test_what_is_not_known_neither_begins_nor_ends_anything() -> None:
    lasting = Lasting()
    asked = [(True, 0.0), (None, 5.0), (True, 9.0), (True, 10.0), (None, 11.0), (False, 12.0), (True, 13.0)]
    told = [lasting.has_lasted("a", wrong=wrong, seconds=10, now=now) for wrong, now in asked]
    assert told == [None, None, None, True, None, False, None]


# --- what the rows show to be over --------------------------------------------------------------------------------------


async def clear(watched: Watched) -> list[str]:
    async with watched.database.transaction() as session:
        return sorted(await clear_what_is_over(session))


async def raised(watched: Watched, key: str, kind: str, run: Run) -> None:
    async with watched.database.transaction() as session:
        await raise_alarm(session, Alarm(key, kind, "-", user_id=run.user_id, account_id=run.account_id, run_id=run.id))


async def test_alarms_of_an_ended_run_are_over_and_those_for_a_person_are_not(watched: Watched) -> None:
    run, other = await watched.open_run(), await watched.open_run()
    for one in (run, other):
        await raised(watched, f"exit-refused:{one.id}", "run_needs_person", one)
        await raised(watched, f"handed-over:{one.id}", "handed_over", one)
    assert await clear(watched) == []
    await watched.rows.change(run, state=RunState.ENDED)
    assert await clear(watched) == [f"exit-refused:{run.id}"]


async def test_a_doubt_is_over_when_its_order_is_settled_whoever_settled_it(watched: Watched) -> None:
    run = await watched.open_run()
    order = await watched.rows.order(run, Leg.ENTRY, state=OrderState.UNKNOWN)
    await raised(watched, f"in-doubt:{order.id}", "order_in_doubt", run)
    assert await clear(watched) == []
    await watched.rows.change(order, state=OrderState.OPEN)
    assert await clear(watched) == [f"in-doubt:{order.id}"]


async def test_a_doubt_that_lasts_is_an_alarm_by_its_row_alone(watched: Watched) -> None:
    run, now = await watched.open_run(), func.clock_timestamp()
    old = await watched.rows.order(run, Leg.ENTRY, state=OrderState.UNKNOWN, claimed_at=now - timedelta(seconds=11))
    await watched.rows.order(await watched.open_run(), Leg.ENTRY, state=OrderState.SENDING, claimed_at=now - timedelta(seconds=5))
    await watched.cover(run)
    for _ in range(2):
        async with watched.database.transaction() as session:
            await alarm_long_doubts(session)
    async with watched.database.transaction() as session:
        assert list(await session.scalars(select(Alert.key))) == [f"in-doubt:{old.id}"]


async def test_a_broker_is_no_longer_missed_when_its_account_has_nothing_open(watched: Watched) -> None:
    run = await watched.open_run()
    async with watched.database.transaction() as session:
        await raise_alarm(session, Alarm("broker-down", "broker_down", "-", account_id=run.account_id))
    assert await clear(watched) == []
    await watched.rows.change(run, state=RunState.ENDED)
    order = await watched.rows.order(run, Leg.ENTRY, state=OrderState.OPEN)
    assert await clear(watched) == []
    await watched.rows.change(order, state=OrderState.CANCELLED)
    assert await clear(watched) == ["broker-down"]


async def test_a_dead_login_is_over_with_the_next_one_also_when_no_desk_is_there_to_see_it(watched: Watched) -> None:
    run = await watched.open_run()
    account = BrokerAccount(id=run.account_id)
    await watched.rows.change(account, session_started_at=func.clock_timestamp() - timedelta(hours=8))
    await raised(watched, f"token-expired:{run.account_id}", "token_expired", run)
    assert await clear(watched) == []
    await watched.rows.change(account, session_started_at=func.clock_timestamp())
    assert await clear(watched) == [f"token-expired:{run.account_id}"]
