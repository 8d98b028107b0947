"""Which accounts this worker runs the desks of: leases are renewed, free ones are taken, and workers that came later get a share.

A lease is given to another worker only while its account is quiet: nothing at the broker, nothing in doubt, nothing due soon.
"""

import asyncio
from collections.abc import Collection, Sequence
from math import ceil
from typing import Protocol

import structlog
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from cache.channels import listen_leases_freed, publish_leases_freed
from cache.connection import CacheUnavailable
from execution import leases
from execution.leases import Lease
from execution.tools import Tools

_log = structlog.get_logger()

PAUSE = 1.0
# Leases taken in one go: a worker that comes up alone takes a thousand within seconds, two that come up together share.
TAKEN_AT_ONCE = 500
GIVEN_AT_ONCE = 100
# Whoever gave leases away does not take them back for this long, unless nobody else is there any more.
HANDS_OFF_SECONDS = 3.0
# An account whose next order is due within this is not moved.
QUIET_SECONDS = 10.0
IDLE_EVERY, SHARE_EVERY = 10, 3  # rounds


class Desks(Protocol):
    """The desks of this process."""

    def held(self) -> Collection[str]: ...

    async def open(self, taken: Sequence[Lease]) -> None: ...

    def leave(self, account_ids: Sequence[str]) -> Sequence[asyncio.Task[None]]:
        """Leave those desks at once; each task ends when the desk's last answers are in."""


class Tenure:
    """One per worker process."""

    def __init__(self, tools: Tools, redis: Redis, desks: Desks) -> None:
        self._tools = tools
        self._redis = redis
        self._desks = desks
        self._given: dict[str, float] = {}
        self._freed = asyncio.Event()

    async def keep(self) -> None:
        """For ever."""
        rounds = 0
        while True:
            self._freed.clear()
            await self._round()
            rounds += 1
            if rounds % IDLE_EVERY == 0:
                await self._release_idle()
            if rounds % SHARE_EVERY == 0:
                await self._give_share()
            self._tools.metrics.gauge("desks", len(self._desks.held()))
            await self._until_freed()

    async def listen(self) -> None:
        """A worker that gives leases up says so, and nobody's account waits for the next round."""
        async with listen_leases_freed(self._redis) as hints:
            async for _ in hints:
                self._freed.set()

    async def take_now(self) -> None:
        """Take what is free without waiting for the next round."""
        async with self._tools.database.transaction() as session:
            taken = await self._take_free(session)
        await self._desks.open([lease for lease in taken if lease.account_id not in self._desks.held()])

    async def give_up(self, account_ids: Sequence[str]) -> None:
        """So that nobody waits for them to run out. The desks have been left before."""
        async with self._tools.database.transaction() as session:
            await leases.release(session, account_ids, owner=self._tools.owner)
        await self._tell_freed()

    async def resign(self) -> None:
        """This worker leaves: its share is nobody's any more."""
        async with self._tools.database.transaction() as session:
            await leases.resign(session, owner=self._tools.owner)

    async def _round(self) -> None:
        seconds, owner = self._tools.pace.lease_seconds, self._tools.owner
        held = set(self._desks.held())
        async with self._tools.database.transaction() as session:
            renewed = await leases.renew(session, owner=owner, seconds=seconds, held=held)
            await leases.announce(session, owner=owner, seconds=seconds)
        async with self._tools.database.transaction() as session:
            taken = await self._take_free(session)
        again = {lease.account_id for lease in taken}
        self._desks.leave([lost for lost in renewed.lost if lost in self._desks.held() and lost not in again])
        await self._desks.open([lease for lease in (*renewed.found, *taken) if lease.account_id not in self._desks.held()])

    async def _take_free(self, session: AsyncSession) -> list[Lease]:
        now = self._tools.clock.monotonic()
        self._given = {account_id: until for account_id, until in self._given.items() if until > now}
        if self._given and await leases.live_workers(session) < 2:
            self._given.clear()
        return await leases.take_free(
            session,
            owner=self._tools.owner,
            seconds=self._tools.pace.lease_seconds,
            most=TAKEN_AT_ONCE,
            but_not=list(self._given),
        )

    async def _release_idle(self) -> None:
        async with self._tools.database.transaction() as session:
            idle = await leases.idle(session, owner=self._tools.owner)
            await leases.release(session, idle, owner=self._tools.owner)
        self._desks.leave([account_id for account_id in idle if account_id in self._desks.held()])

    async def _give_share(self) -> None:
        """What we hold beyond our share goes to the others, quiet accounts first and a piece at a time."""
        async with self._tools.database.transaction() as session:
            workers, total = await leases.live_workers(session), await leases.held_by_all(session)
            surplus = too_many(len(self._desks.held()), total=total, workers=workers)
            if not surplus:
                return
            quiet = await leases.quiet(session, owner=self._tools.owner, seconds=QUIET_SECONDS, most=min(surplus, GIVEN_AT_ONCE))
        going = [account_id for account_id in quiet if account_id in self._desks.held()]
        until = self._tools.clock.monotonic() + HANDS_OFF_SECONDS
        self._given |= dict.fromkeys(going, until)
        await asyncio.gather(*self._desks.leave(going), return_exceptions=True)
        await self.give_up(going)
        _log.info("leases_given", count=len(going), workers=workers)

    async def _tell_freed(self) -> None:
        try:
            await publish_leases_freed(self._redis)
        except CacheUnavailable:
            _log.debug("notice_lost", what="leases")

    async def _until_freed(self) -> None:
        try:
            async with asyncio.timeout(PAUSE):
                await self._freed.wait()
        except TimeoutError:
            return


def too_many(held: int, *, total: int, workers: int) -> int:
    """How many leases are beyond an even share of all, a tenth of tolerance left aside so that nothing moves to and fro."""
    if workers < 2:
        return 0
    share = ceil(total / workers)
    return max(0, held - share) if held > share + max(1, share // 10) else 0
