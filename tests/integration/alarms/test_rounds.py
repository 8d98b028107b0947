"""One process of all does the rounds, and one that hangs with its lock is replaced by another."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from execution.tasks import end
from listener.complaints import Complaints
from listener.leadership import Leadership
from runtime.clock import SystemClock
from runtime.rounds import rounds_while_locked
from storage.database import Database
from tests.waiting import DEADLINE_SECONDS, eventually

LOCK = 42
Round = Callable[[], Awaitable[None]]


async def until_locked(database: Database, one_round: Round, *, silence_seconds: float) -> None:
    """As the guard and the watchman do: again and again."""
    while True:
        await rounds_while_locked(database, LOCK, one_round, pause_seconds=0.05, silence_seconds=silence_seconds)
        await asyncio.sleep(0.05)


async def test_one_of_two_does_the_rounds_and_the_other_follows_when_it_ends(database: Database) -> None:
    done: list[str] = []

    def rounds_of(name: str) -> Round:
        async def one_round() -> None:
            done.append(name)

        return one_round

    first = asyncio.create_task(until_locked(database, rounds_of("first"), silence_seconds=60))
    await eventually(lambda: done.count("first") >= 2, "rounds of the first")
    second = asyncio.create_task(until_locked(database, rounds_of("second"), silence_seconds=60))
    try:
        await eventually(lambda: done.count("first") >= 10, "more rounds of the first")
        assert "second" not in done
        await end([first])
        await eventually(lambda: "second" in done, "the second takes over")
    finally:
        await end([first, second])


async def test_a_process_that_hangs_with_the_lock_is_replaced(database: Database) -> None:
    hanging, taken = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        hanging.set()
        await asyncio.Event().wait()

    async def take() -> None:
        taken.set()

    first = asyncio.create_task(until_locked(database, hang, silence_seconds=0.5))
    await hanging.wait()
    second = asyncio.create_task(until_locked(database, take, silence_seconds=60))
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await taken.wait()
    finally:
        await end([first, second])


async def test_the_pool_never_hands_out_a_connection_that_the_server_ends_when_it_is_silent(database: Database) -> None:
    async def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await rounds_while_locked(database, LOCK, stop, pause_seconds=0.05, silence_seconds=60)
    async with database.transaction() as session:
        assert (await session.scalars(text("SHOW idle_session_timeout"))).one() == "0"


async def test_an_active_listener_that_hangs_is_replaced_by_its_standby(database: Database) -> None:
    hung, standby = (Leadership(database, Complaints(SystemClock())) for _ in range(2))
    await hung.acquire()
    try:
        # It does not keep its lock: its event loop stands still.
        async with asyncio.timeout(DEADLINE_SECONDS):
            await standby.acquire()
    finally:
        await hung.release()
        await standby.release()
