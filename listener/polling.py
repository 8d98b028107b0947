"""Prices over REST where the feed does not do: stops are watched while it is down, and odd ticks get their second witness."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from listener.complaints import Complaints
from listener.feed import Feed
from listener.intake import Intake
from listener.quotes import KEYS_PER_REQUEST, Quotes
from listener.wanted import Wanted
from trading.instruments import InstrumentId
from trading.ports.broker import Broker, BrokerError
from trading.ports.clock import Clock

# A feed that comes back sooner than this is not worth a request.
DOWN_SECONDS = 1.0
LOOK_SECONDS = 0.25
# A suspicion lasts until a second tick or an answer ends it: the price may be true, and somebody's stop depends on it.
ASK_AGAIN_SECONDS = 1.0


class Polling:
    def __init__(
        self, feeds: Sequence[Feed], intake: Intake, wanted: Wanted, *, quotes: Quotes, clock: Clock, complaints: Complaints
    ) -> None:
        self._feeds = feeds
        self._intake = intake
        self._wanted = wanted
        self._quotes = quotes
        self._clock = clock
        self._complaints = complaints

    async def replace_feeds_that_are_down(self) -> None:
        """For ever: prices of the instruments whose stops nobody else watches."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for feed in self._feeds:
                unwatched = self._unwatched(feed)
                for start in range(0, len(unwatched), KEYS_PER_REQUEST):
                    await self._ask(feed.broker, unwatched[start : start + KEYS_PER_REQUEST])

    def _unwatched(self, feed: Feed) -> list[InstrumentId]:
        down_since = feed.down_since
        if feed.broker is None or down_since is None or self._clock.monotonic() - down_since < DOWN_SECONDS:
            return []
        stops = self._intake.triggers.watched_instruments()
        return [instrument for instrument in self._wanted.of(feed.name) if instrument in stops]

    async def confirm_odd_ticks(self) -> None:
        """For ever: a quote for each suspect, at once."""
        while True:
            await self._intake.suspected.wait()
            self._intake.suspected.clear()
            suspects = {suspect.tick.instrument for suspect in self._intake.suspects()}
            for feed in self._feeds:
                here = [instrument for instrument in self._wanted.of(feed.name) if instrument in suspects]
                if here:
                    await self._ask(feed.broker, here[:KEYS_PER_REQUEST])
            if self._intake.suspects():
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_AGAIN_SECONDS):
                        await self._intake.suspected.wait()
                self._intake.suspected.set()

    async def _ask(self, broker: Broker | None, instruments: Sequence[InstrumentId]) -> None:
        if broker is None:
            return
        try:
            prices = await self._quotes.ask(broker, instruments)
        except BrokerError as error:
            self._complaints.about("quotes_unavailable", error=f"{type(error).__name__}: {error}")
            return
        self._complaints.over("quotes_unavailable")
        self._intake.take_quotes(prices)
