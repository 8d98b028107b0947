"""Last prices asked for over REST, at the pace the brokers allow: one request a second for the whole listener.

Used where the feed alone does not do: to confirm an odd tick, and to watch stops while the feed is silent or cut.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from trading.instruments import InstrumentId
from trading.ports.broker import Broker
from trading.ports.clock import Clock

# The strictest broker's figures (brokers/*/limits.py), with a little air for clocks and queues.
SECONDS_BETWEEN = 1.05
KEYS_PER_REQUEST = 1_000


class Quotes:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pace = asyncio.Lock()
        self._free_at = 0.0

    async def ask(self, broker: Broker, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """Waits for its turn. Asks for no more than one request can carry: call again for the rest. Raises BrokerError."""
        async with self._pace:
            await asyncio.sleep(max(0.0, self._free_at - self._clock.monotonic()))
            self._free_at = self._clock.monotonic() + SECONDS_BETWEEN
            return await broker.ltp(instruments[:KEYS_PER_REQUEST])
