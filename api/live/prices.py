"""Prices of what the connected users' running strategies trade: each one when it has changed, a few times a second at most."""

import asyncio
from decimal import Decimal

import structlog

from api.live.hub import Hub
from api.live.strategies import StrategyNews
from api.live.told import price_event
from cache.connection import CacheUnavailable
from cache.prices import PriceCache
from trading.instruments import InstrumentId

_log = structlog.get_logger()

# Four a second of each symbol, whatever the market does.
PAUSE_SECONDS = 0.25
WITHOUT_REDIS_SECONDS = 1.0
OFFERED_AT_ONCE = 25


class Prices:
    def __init__(self, hub: Hub, strategies: StrategyNews, cache: PriceCache) -> None:
        self._hub = hub
        self._strategies = strategies
        self._cache = cache
        self._told: dict[InstrumentId, Decimal] = {}

    async def run(self) -> None:
        """For ever; while Redis is away there are no prices."""
        while True:
            pause = PAUSE_SECONDS
            try:
                await self.round()
            except CacheUnavailable:
                pause = WITHOUT_REDIS_SECONDS
            except Exception as error:  # noqa: BLE001 (supervised loop: the next prices are told whatever one of them holds)
                _log.error("stream_prices_broken", error=repr(error), exc_info=True)
            await asyncio.sleep(pause)

    async def round(self) -> None:
        """Whatever has another price than the one told last."""
        traded = self._strategies.traded()
        prices = await self._cache.read(traded)
        offered = 0
        for instrument, hot in prices.items():
            if self._told.get(instrument) == hot.price:
                continue
            self._told[instrument] = hot.price
            for user_id, strategy_ids in traded[instrument].items():
                event = price_event(instrument, hot, about=strategy_ids)
                for reader in self._hub.readers([user_id]):
                    reader.offer(event)
                    offered += 1
                    if offered % OFFERED_AT_ONCE == 0:
                        # Each one offered is a message to write; lines and other requests must not wait for a thousand of them.
                        await asyncio.sleep(0)
        self._told = {instrument: price for instrument, price in self._told.items() if instrument in prices}
