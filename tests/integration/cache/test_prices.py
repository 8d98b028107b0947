from datetime import UTC, datetime
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from cache.connection import CacheUnavailable
from cache.prices import PRICE_LIFE_SECONDS, HotPrice, PriceCache
from trading.instruments import InstrumentId

TCS = InstrumentId("NSE", "TCS")
TCS_AT_BSE = InstrumentId("BSE", "TCS")
AT = datetime(2026, 11, 20, 5, 0, 0, 250, tzinfo=UTC)


async def test_prices_come_back_exactly_and_absent_ones_stay_absent(redis: Redis) -> None:
    cache = PriceCache(redis)
    written = {TCS: HotPrice(Decimal("3490.05"), AT)}
    await cache.write(written)
    assert await cache.read([TCS, TCS_AT_BSE]) == written


async def test_the_same_symbol_at_two_exchanges_has_two_prices(redis: Redis) -> None:
    cache = PriceCache(redis)
    written = {TCS: HotPrice(Decimal("3490.05"), AT), TCS_AT_BSE: HotPrice(Decimal("3491.00"), AT)}
    await cache.write(written)
    assert await cache.read([TCS_AT_BSE, TCS]) == written


async def test_a_price_lives_five_seconds(redis: Redis) -> None:
    await PriceCache(redis).write({TCS: HotPrice(Decimal("3490"), AT)})
    remaining = await redis.pttl("price:TCS")
    assert 0 < remaining <= PRICE_LIFE_SECONDS * 1000


async def test_without_redis_reading_and_writing_say_so(absent_redis: Redis) -> None:
    cache = PriceCache(absent_redis)
    with pytest.raises(CacheUnavailable):
        await cache.write({TCS: HotPrice(Decimal("3490"), AT)})
    with pytest.raises(CacheUnavailable):
        await cache.read([TCS])


@pytest.mark.parametrize("garbage", [b"", b"3490", b"{}", b'{"price":"x","at":"2026-11-20T05:00:00Z"}', b"[1,2]", b"null"])
async def test_an_unreadable_price_is_no_price(redis: Redis, garbage: bytes) -> None:
    await redis.set("price:TCS", garbage)
    with pytest.raises(CacheUnavailable):
        await PriceCache(redis).read([TCS])


async def test_a_removed_price_is_absent_and_others_stay(redis: Redis) -> None:
    prices = PriceCache(redis)
    await prices.write({TCS: HotPrice(Decimal(3600), AT), TCS_AT_BSE: HotPrice(Decimal(3601), AT)})
    await prices.remove([TCS])
    await prices.remove([])
    assert set(await prices.read([TCS, TCS_AT_BSE])) == {TCS_AT_BSE}
