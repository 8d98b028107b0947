"""The last price an order is measured against: the hot price, else the broker's, else nothing. A price is never made up."""

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal

import structlog

from cache.connection import CacheUnavailable
from cache.prices import PriceCache
from trading.instruments import InstrumentId
from trading.ports.broker import Broker, BrokerError

_log = structlog.get_logger()

# An order that is due does not wait longer than this for a quote.
QUOTE_SECONDS = 1.0


class ReferencePrices:
    def __init__(self, hot: PriceCache) -> None:
        self._hot = hot

    async def of(self, wanted: Mapping[InstrumentId, Broker]) -> dict[InstrumentId, Decimal]:
        """Prices of those instruments; the broker beside each is asked when there is no hot price. Absent: no price now."""
        prices = await self.hot(wanted)
        return prices | await self.quoted({instrument: wanted[instrument] for instrument in wanted if instrument not in prices})

    async def hot(self, wanted: Iterable[InstrumentId]) -> dict[InstrumentId, Decimal]:
        """What the listener last wrote down of them, as far as it is fresh."""
        try:
            return {instrument: hot.price for instrument, hot in (await self._hot.read(wanted)).items()}
        except CacheUnavailable:
            return {}

    async def quoted(self, wanted: Mapping[InstrumentId, Broker]) -> dict[InstrumentId, Decimal]:
        """What the brokers beside them say, all asked at once; takes no longer than `QUOTE_SECONDS`."""
        by_broker: dict[int, tuple[Broker, list[InstrumentId]]] = {}
        for instrument, broker in wanted.items():
            by_broker.setdefault(id(broker), (broker, []))[1].append(instrument)
        answers = await asyncio.gather(*(_quote(broker, instruments) for broker, instruments in by_broker.values()))
        return {instrument: price for answer in answers for instrument, price in answer.items()}


async def _quote(broker: Broker, instruments: list[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
    try:
        async with asyncio.timeout(QUOTE_SECONDS):
            return await broker.ltp(instruments)
    except (BrokerError, TimeoutError) as error:
        _log.warning("no_quote", instruments=[str(instrument) for instrument in instruments], error=str(error))
        return {}
