"""What every API and worker process does beside its work: it watches the other parts, tells people of alarms, keeps
records, lets paper orders meet prices."""

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from runtime import temporal
from runtime.clock_watch import ClockWatch
from runtime.messenger import Target
from runtime.paper.matching import PaperMatching
from runtime.postgres_watch import PostgresWatch
from runtime.settings import Settings
from runtime.telling import Teller
from runtime.telling_users import UserTeller
from runtime.upkeep import Upkeep
from runtime.user_targets import UserTargets
from runtime.watchman import Watchman
from storage.database import Database
from trading.ports.clock import Clock


def tasks(
    settings: Settings,
    *,
    database: Database,
    redis: Redis,
    clock: Clock,
    targets: Sequence[Target],
    user_targets: UserTargets,
    process: str,
    clock_watch: ClockWatch,
) -> list[asyncio.Task[None]]:
    """Started here, cancelled by whoever asked for them."""

    async def watch() -> None:
        client = await temporal.connect(settings, lazy=True)
        await Watchman(database=database, redis=redis, temporal=client, clock=clock).run()

    postgres = PostgresWatch(database=database, targets=targets, clock=clock, process=process)
    return [
        asyncio.create_task(watch(), name="watchman"),
        asyncio.create_task(postgres.run(), name="watch postgres"),
        asyncio.create_task(clock_watch.run(), name="watch the clock"),
        asyncio.create_task(Teller(database, targets).run(), name="tell people"),
        asyncio.create_task(UserTeller(database, user_targets, clock).run(), name="tell users"),
        asyncio.create_task(Upkeep(database, clock).run(), name="upkeep"),
        asyncio.create_task(PaperMatching(database, redis, clock).run(), name="paper matching"),
    ]
