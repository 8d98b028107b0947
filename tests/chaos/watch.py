"""Who looks after each account, seen from outside: the lease table, several times a second, and the moments workers died."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from local.parts.postgres import DATABASE

SAMPLE_SECONDS = 0.25
ANSWER_SECONDS = 5.0
_LEASES = """
    SELECT l.account_id, l.owner, l.epoch, l.expires_at > clock_timestamp() AS alive,
           EXISTS (SELECT 1 FROM runs r
                   WHERE r.account_id = l.account_id AND r.state IN ('entering', 'holding', 'leaving')) AS busy
    FROM desk_leases l
"""
_STATES = "SELECT state, count(*) AS number FROM runs GROUP BY state"


@dataclass(frozen=True, slots=True)
class Lease:
    account: str
    owner: str | None
    epoch: int
    alive: bool
    busy: bool  # some run of the account is buying, holding or leaving


@dataclass(slots=True)
class Unmanaged:
    """Pure bookkeeping: from a worker's death to the next lease, per account. Times are monotonic seconds."""

    spans: list[float] = field(default_factory=list)
    _leases: dict[str, Lease] = field(default_factory=dict)
    _since: dict[str, tuple[float, int]] = field(default_factory=dict)

    def worker_died(self, pid: int, at: float) -> None:
        """Every busy account that worker had a lease on has nobody from now on."""
        for lease in self._leases.values():
            if lease.busy and lease.owner is not None and f"-{pid}-" in lease.owner:
                self._since.setdefault(lease.account, (at, lease.epoch))

    def seen(self, leases: list[Lease], at: float) -> None:
        """One sample of the table."""
        self._leases = {lease.account: lease for lease in leases}
        for lease in leases:
            left = self._since.get(lease.account)
            if left is not None and lease.alive and lease.epoch > left[1]:
                self.spans.append(at - left[0])
                del self._since[lease.account]
            elif left is not None and not lease.busy:
                del self._since[lease.account]

    def longest(self, now: float) -> float:
        """Seconds, those still without a desk included."""
        waiting = [now - since for since, _ in self._since.values()]
        return max((*self.spans, *waiting), default=0.0)


@dataclass(slots=True)
class Watch:
    """Samples the tables until cancelled; Postgres itself is killed now and then, so a failed sample is left out."""

    sockets: Path
    unmanaged: Unmanaged = field(default_factory=Unmanaged)
    states: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        while True:
            with suppress(Exception):  # whatever a server that is being killed does to a client: the next round connects again
                connection = await asyncpg.connect(host=str(self.sockets), user="postgres", database=DATABASE, timeout=3)
                try:
                    while True:
                        await _in_time(self._sample(connection))
                        await asyncio.sleep(SAMPLE_SECONDS)
                finally:
                    connection.terminate()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        leases = [Lease(*row) for row in await connection.fetch(_LEASES)]
        states = await connection.fetch(_STATES)
        self.unmanaged.seen(leases, time.monotonic())
        self.states = Counter({row["state"]: row["number"] for row in states})


async def _in_time(sampling: Coroutine[Any, Any, None]) -> None:
    """Raises TimeoutError after some seconds, also when the cancelled client goes on waiting for a server that is gone."""
    task = asyncio.create_task(sampling)
    done, _ = await asyncio.wait([task], timeout=ANSWER_SECONDS)
    if not done:
        task.cancel()
        raise TimeoutError
    task.result()
