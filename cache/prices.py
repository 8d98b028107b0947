"""Hot prices: the newest price of each instrument, gone five seconds after it was last written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import orjson
from redis.asyncio import Redis

from cache.connection import answering
from cache.keys import price_key
from trading.instruments import InstrumentId

PRICE_LIFE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class HotPrice:
    """A last traded price in rupees and the instant it was seen, aware. The instant is the tick's, not the writing's."""

    price: Decimal
    at: datetime


class PriceCache:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def write(self, prices: Mapping[InstrumentId, HotPrice]) -> None:
        """One round trip for all of them. Raises CacheUnavailable."""
        if not prices:
            return
        async with answering(), self._redis.pipeline(transaction=False) as pipeline:
            for instrument, hot in prices.items():
                pipeline.set(price_key(instrument), _encode(hot), ex=PRICE_LIFE_SECONDS)
            await pipeline.execute()

    async def remove(self, instruments: Iterable[InstrumentId]) -> None:
        """Nobody watches them any more: their last prices tell nothing. Raises CacheUnavailable."""
        keys = [price_key(instrument) for instrument in instruments]
        if keys:
            async with answering():
                await self._redis.delete(*keys)

    async def read(self, instruments: Iterable[InstrumentId]) -> dict[InstrumentId, HotPrice]:
        """Those that have a price now; the others are absent. Raises CacheUnavailable."""
        wanted = list(instruments)
        if not wanted:
            return {}
        async with answering():
            values = await self._redis.mget([price_key(instrument) for instrument in wanted])
            return {instrument: _decode(value) for instrument, value in zip(wanted, values, strict=True) if value is not None}


def _encode(hot: HotPrice) -> bytes:
    return orjson.dumps({"price": str(hot.price), "at": hot.at})


def _decode(value: bytes | str) -> HotPrice:
    read = orjson.loads(value)
    try:
        return HotPrice(Decimal(read["price"]), datetime.fromisoformat(read["at"]))
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"not a price: {value!r}") from error
