"""The loop and the database of a module's examples."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.parts.postgres import database_url
from storage.database import Database
from tests.databases import drop_database, new_database
from tests.exploration.database import Turns, give_clock
from tests.exploration.judge import Judge
from tests.exploration.processes import task_factory
from tests.exploration.virtual_time import VirtualTimeLoop
from tests.exploration.world import World


@dataclass(frozen=True)
class Bench:
    """Where examples run, one after the other."""

    loop: VirtualTimeLoop
    database: Database
    turns: Turns

    def world(self, seed: int = 0) -> World:
        return World(self.loop, self.database, self.turns, seed)

    def play(self, scenario: Callable[[World], Awaitable[None]]) -> None:
        """In a world of its own, with one worker, judged at the end; `scenario` has worked in peace by then."""

        async def in_a_world() -> None:
            world = self.world()
            await world.open()
            try:
                judge = Judge(world)
                await world.hire()
                await scenario(world)
                await judge.judge_end()
            finally:
                await world.close()

        self.loop.run_until_complete(in_a_world())

    async def connect_afresh(self) -> None:
        """A connection that has prepared statements before answers with fewer awaits."""
        turn = await self.turns.take(None)
        await self.database.engine.dispose()
        self.turns.give(turn)


@pytest.fixture(scope="module")
def bench(postgres_sockets: Path) -> Iterator[Bench]:
    name = asyncio.run(new_database(postgres_sockets))
    asyncio.run(give_clock(postgres_sockets, name))
    loop, turns = VirtualTimeLoop(), Turns()
    loop.set_task_factory(task_factory)
    loop.is_owed = turns.is_owed
    database = Database(database_url(postgres_sockets, database=name), pool_size=20)
    yield Bench(loop, database, turns)
    # Closing talks to the server outside of any turn.
    loop.is_owed = lambda: True
    loop.run_until_complete(database.close())
    loop.close()
    asyncio.run(drop_database(postgres_sockets, name))
