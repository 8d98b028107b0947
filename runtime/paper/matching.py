"""Orders of paper accounts meet every new price, whoever placed them and whether or not he still lives.

One process of all does the rounds. Two at once do no harm: a price fills an order once. Without any, an order meets the prices
whenever somebody reads its account's books.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog
from redis.asyncio import Redis

from cache.prices import PriceCache
from runtime.paper.books import DATABASE_AWAY, Books
from runtime.paper.prices import SeenPrices
from runtime.paper.updates import tell_changed
from runtime.rounds import rounds_for_ever
from storage.database import Database
from storage.repositories import paper as repository
from trading.instruments import InstrumentId
from trading.paper import SeenPrice
from trading.ports.clock import Clock

_log = structlog.get_logger()

ROUND_SECONDS = 0.25
# Who waits for the lock, or has met an error, tries again after this.
WAIT_SECONDS = 1.0
# Who hangs is followed by another after this long.
SILENCE_SECONDS = 5.0
# So often every open order is looked at, new price or not: day orders end with their session.
FULL_SECONDS = 5.0
# Any constant nobody else uses (tests/architecture/test_advisory_locks.py).
_MATCHING_LOCK = 7_203_114_620


class PaperMatching:
    def __init__(self, database: Database, redis: Redis, clock: Clock) -> None:
        self._database = database
        self._redis = redis
        self._prices = SeenPrices(PriceCache(redis))
        self._clock = clock
        # Instants of the prices that all open orders have met; None: they meet every price again.
        self._met: dict[InstrumentId, datetime] | None = None
        self._full_at = float("-inf")

    async def run(self) -> None:
        """For ever."""
        await rounds_for_ever(
            self._database,
            _MATCHING_LOCK,
            self.round,
            name="paper matching",
            pause_seconds=ROUND_SECONDS,
            silence_seconds=SILENCE_SECONDS,
            wait_seconds=WAIT_SECONDS,
        )

    async def round(self) -> None:
        """Open orders meet prices that are new; an account none of whose instruments has one is left alone."""
        now = self._clock.monotonic()
        if now - self._full_at >= FULL_SECONDS:
            self._met, self._full_at = None, now
        met, self._met = self._met, None
        async with self._database.transaction() as session:
            waiting = await repository.waiting(session)
        seen = await self._prices.seen({instrument for wanted in waiting.values() for instrument in wanted})
        new = {instrument for instrument, price in seen.items() if met is None or met.get(instrument) != price.at}
        for account_id, instruments in waiting.items():
            if met is None or instruments & new:
                await self._match(account_id, seen)
        self._met = {instrument: price.at for instrument, price in seen.items()}

    async def _match(self, account_id: str, seen: Mapping[InstrumentId, SeenPrice]) -> None:
        try:
            async with self._database.transaction() as session:
                books = await Books.open(session, account_id, self._clock)
                await books.settle(seen)
        except DATABASE_AWAY:
            raise
        except Exception as error:  # noqa: BLE001 (supervised loop: the other accounts must not pay for one bug)
            _log.error("paper_account_not_matched", account_id=account_id, error=repr(error), exc_info=True)
            return
        if books.changed:
            await tell_changed(self._redis, [account_id])
