from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from listener.beliefs import Beliefs
from listener.complaints import Complaints
from listener.feed import Feed
from listener.intake import Intake
from listener.leadership import Leadership
from listener.prices import REFRESH_SECONDS, HotPrices
from listener.triggers import Triggers
from runtime.metrics import PrometheusMetrics
from tests.listener.fakes import HeldClock
from trading.instruments import InstrumentId
from trading.ports.broker import Tick

TCS, INFY = InstrumentId("NSE", "TCS"), InstrumentId("NSE", "INFY")


@dataclass
class FakeCache:
    """Keeps what is written; `is_down` makes it fail."""

    written: list[dict[InstrumentId, HotPrice]] = field(default_factory=list)
    live: dict[InstrumentId, HotPrice] = field(default_factory=dict)
    is_down: bool = False

    async def write(self, prices: Mapping[InstrumentId, HotPrice]) -> None:
        if self.is_down:
            raise CacheUnavailable("away")
        self.written.append(dict(prices))
        self.live.update(prices)

    async def remove(self, instruments: Iterable[InstrumentId]) -> None:
        for instrument in instruments:
            self.live.pop(instrument, None)


class Bench:
    def __init__(self) -> None:
        self.clock, self.cache, metrics = HeldClock(), FakeCache(), PrometheusMetrics()
        self.intake = Intake(triggers=Triggers(), beliefs=Beliefs(), on_crossed=lambda _: None, clock=self.clock, metrics=metrics)
        self.connection = SimpleNamespace(connected_at=self.clock.now(), subscribed={TCS, INFY})
        self.feed = SimpleNamespace(connection=self.connection, is_healthy=True)
        self.prices = HotPrices(
            cast(PriceCache, self.cache),
            self.intake,
            [cast(Feed, self.feed)],
            leadership=cast(Leadership, SimpleNamespace(is_active=True)),
            clock=self.clock,
            metrics=metrics,
            complaints=Complaints(self.clock),
        )

    def tick(self, price: str, instrument: InstrumentId = TCS) -> HotPrice:
        tick = Tick(instrument, Decimal(price), self.clock.now())
        self.intake.take([tick])
        return HotPrice(tick.last_price, tick.received_at)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_only_the_newest_price_of_a_batch_is_written_and_only_once(bench: Bench) -> None:
    bench.tick("3600")
    newest = bench.tick("3601")
    await bench.prices.write()
    await bench.prices.write()
    assert bench.cache.written == [{TCS: newest}]


async def test_a_quiet_symbol_is_written_again_with_the_time_it_was_seen(bench: Bench) -> None:
    seen = bench.tick("3600")
    await bench.prices.write()
    bench.clock.advance(REFRESH_SECONDS)
    other = bench.tick("1500", INFY)
    await bench.prices.write()
    assert bench.cache.written[1:] == [{TCS: seen, INFY: other}]


@pytest.mark.parametrize("trouble", ["silent", "cut", "connected anew", "unsubscribed"])
async def test_a_price_nobody_vouches_for_is_not_written_again(bench: Bench, trouble: str) -> None:
    bench.tick("3600")
    await bench.prices.write()
    bench.clock.advance(REFRESH_SECONDS)
    match trouble:
        case "silent":
            bench.feed.is_healthy = False
        case "cut":
            bench.feed.connection = None
        case "connected anew":
            bench.connection.connected_at = bench.clock.now()
        case "unsubscribed":
            bench.connection.subscribed = {INFY}
    await bench.prices.write()
    assert len(bench.cache.written) == 1


async def test_after_redis_was_away_every_true_price_is_written(bench: Bench) -> None:
    bench.cache.is_down = True
    seen = bench.tick("3600")
    await bench.prices.write()
    bench.cache.is_down = False
    bench.clock.advance(REFRESH_SECONDS)
    await bench.prices.write()
    assert bench.cache.written == [{TCS: seen}]


async def test_the_price_of_an_unsubscribed_symbol_is_gone_at_once_and_a_new_one_takes_its_place() -> None:
    bench = Bench()
    bench.tick("3600")
    await bench.prices.write()
    bench.intake.forget([TCS])
    await bench.prices.write()
    assert bench.cache.live == {}
    bench.intake.forget([TCS])
    fresh = bench.tick("3490")
    await bench.prices.write()
    assert bench.cache.live == {TCS: fresh}
