"""What every API and worker process does beside its work: it watches the other parts, tells people of alarms, keeps
records, lets paper orders meet prices."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from runtime import temporal
from runtime.accounts import BrokerAccounts
from runtime.clock_watch import ClockWatch
from runtime.crypto import KeyRing
from runtime.day_readiness import DayReadiness
from runtime.messenger import Target
from runtime.paper.matching import PaperMatching
from runtime.postgres_watch import PostgresWatch
from runtime.push import Push, open_push
from runtime.settings import Settings
from runtime.telling import Teller
from runtime.telling_users import UserTeller
from runtime.upkeep import Upkeep
from runtime.user_targets import UserTargets
from runtime.watchman import Watchman
from storage.database import Database
from trading.ports.clock import Clock
from trading.sessions import TradingCalendar


@dataclass(frozen=True, slots=True)
class Beside:
    """What the API and every worker have alike. `push`: None where this installation pushes to no devices."""

    user_targets: UserTargets
    push: Push | None
    clock_watch: ClockWatch
    day_readiness: DayReadiness

    async def close(self) -> None:
        if self.push is not None:
            await self.push.close()


def open_beside(
    settings: Settings,
    *,
    kind: str,
    database: Database,
    redis: Redis,
    accounts: BrokerAccounts,
    calendar: TradingCalendar,
    clock: Clock,
) -> Beside:
    """`kind` of process. Raises ValueError, naming the setting, when the key ring or the service account is malformed."""
    keys = KeyRing.parse(settings.aes_master_keys.get_secret_value())
    clock_watch = ClockWatch(database=database, clock=clock, kind=kind, stated=accounts.stated_times())
    look = DayReadiness(
        settings,
        database=database,
        redis=redis,
        accounts=accounts,
        calendar=calendar,
        clock=clock,
        clock_error=clock_watch.complaint,
    )
    return Beside(UserTargets(keys, settings.notification_host_list), open_push(settings, clock), clock_watch, look)


def tasks(
    settings: Settings,
    *,
    database: Database,
    redis: Redis,
    clock: Clock,
    targets: Sequence[Target],
    process: str,
    beside: Beside,
) -> list[asyncio.Task[None]]:
    """Started here, cancelled by whoever asked for them."""

    async def watch() -> None:
        client = await temporal.connect(settings, lazy=True)
        await Watchman(database=database, redis=redis, temporal=client, clock=clock).run()

    postgres = PostgresWatch(database=database, targets=targets, clock=clock, process=process)
    return [
        asyncio.create_task(watch(), name="watchman"),
        asyncio.create_task(postgres.run(), name="watch postgres"),
        asyncio.create_task(beside.clock_watch.run(), name="watch the clock"),
        asyncio.create_task(Teller(database, targets).run(), name="tell people"),
        asyncio.create_task(UserTeller(database, beside.user_targets, clock, beside.push).run(), name="tell users"),
        asyncio.create_task(Upkeep(database, clock).run(), name="upkeep"),
        asyncio.create_task(PaperMatching(database, redis, clock).run(), name="paper matching"),
    ]
