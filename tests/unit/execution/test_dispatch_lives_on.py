"""The dispatcher is the one loop through which every order of a process leaves: nothing that happens in it may end it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from brokers.limits import Rate
from execution.armed import ArmedOrder
from execution.budget import Budget
from execution.dispatch import Dispatcher
from execution.due import QUOTE_LIVES_SECONDS, Due, Quote
from execution.rush import Rush
from tests.waiting import eventually
from trading.accounts import Environment
from trading.instruments import InstrumentId
from trading.orders import Leg
from trading.runs import ExitReason

NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
TCS = InstrumentId("NSE", "TCS")


@dataclass
class NoListYet:
    """Raises as the instrument directory does while a fresh installation has loaded no list."""

    asked: int = 0

    def find(self, instrument: InstrumentId) -> None:
        self.asked += 1
        raise LookupError("no instrument list has been loaded yet")


@dataclass
class OneIsPoisoned(NoListYet):
    """Only of TCS nothing can be said; other shares are merely unknown."""

    def find(self, instrument: InstrumentId) -> None:
        self.asked += 1
        if instrument == TCS:
            raise ArithmeticError("a price that nobody thought of")


@dataclass
class NoPrices:
    async def hot(self, wanted: object) -> dict[InstrumentId, Decimal]:
        return {}

    async def quoted(self, wanted: Mapping[InstrumentId, object]) -> dict[InstrumentId, Decimal]:
        return {}


@dataclass
class SlowQuotes(NoPrices):
    """Somebody's broker does not answer: whoever needs its price waits."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0

    async def quoted(self, wanted: Mapping[InstrumentId, object]) -> dict[InstrumentId, Decimal]:
        self.times += 1
        self.asked.set()
        await self.answer.wait()
        return {}


@dataclass
class BrokenQuotes(NoPrices):
    async def quoted(self, wanted: Mapping[InstrumentId, object]) -> dict[InstrumentId, Decimal]:
        raise RuntimeError("nobody thought of this")


@dataclass
class World:
    instruments: NoListYet = field(default_factory=NoListYet)
    prices: Any = field(default_factory=NoPrices)

    def dispatcher(self) -> Dispatcher:
        clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time(), now=lambda: NOW)
        broker = SimpleNamespace(environment=Environment.SIMULATED)
        desk = SimpleNamespace(broker=broker, budget=Budget((Rate(8, 1),)), open_positions=0, resting_buys=lambda _: [])
        limits = SimpleNamespace(find=lambda instrument, _environment: self.instruments.find(instrument))
        tools = SimpleNamespace(clock=clock, instruments=self.instruments, limits=limits, prices=self.prices, rush=Rush())
        return Dispatcher(tools, desk_of=lambda _account_id: desk, mark=lambda _run_id: None, take_back=lambda desk, ids: None)  # type: ignore[arg-type]


@asynccontextmanager
async def dispatching(world: World) -> AsyncIterator[tuple[Dispatcher, "asyncio.Task[None]"]]:
    """A dispatcher, and its one loop, for as long as a test looks at it."""
    dispatcher = world.dispatcher()
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher, running
    finally:
        dispatcher.stop()
        await asyncio.wait([running])


def an_exit(order_id: str) -> Due:
    order = ArmedOrder(order_id, "run_1", "brk_1", Leg.EXIT, 1, TCS, NOW, Decimal(3500), 1, 0)
    return Due(order, NOW, "desk", ExitReason.STOP_LOSS, Decimal(3490))


async def test_an_order_that_cannot_even_be_measured_does_not_end_the_dispatcher() -> None:
    world = World()
    async with dispatching(world) as (dispatcher, running):
        dispatcher.submit([an_exit("ord_1")])
        await eventually(lambda: world.instruments.asked == 1, "the first order was looked at")
        dispatcher.submit([an_exit("ord_2")])
        await eventually(lambda: world.instruments.asked == 2 or running.done(), "the second order was looked at")
        assert not running.done()
        assert world.instruments.asked == 2


async def test_an_order_that_cannot_be_measured_holds_up_no_other_of_its_batch() -> None:
    world = World(instruments=OneIsPoisoned())
    async with dispatching(world) as (dispatcher, _):
        healthy = replace(an_exit("ord_2"), order=replace(an_exit("ord_2").order, instrument=InstrumentId("NSE", "INFY")))
        dispatcher.submit([an_exit("ord_1"), healthy])
        await eventually(lambda: world.instruments.asked == 2, "the healthy one was looked at too")


def a_timed_exit(order_id: str) -> Due:
    return replace(an_exit(order_id), reason=ExitReason.SELL_TIME, trigger=None)


async def test_a_crossed_stop_does_not_wait_for_a_price_that_another_order_needs() -> None:
    world = World(prices=SlowQuotes())
    async with dispatching(world) as (dispatcher, _):
        dispatcher.submit([a_timed_exit("ord_1")])
        await asyncio.wait_for(world.prices.asked.wait(), 5)
        dispatcher.submit([an_exit("ord_2")])
        await eventually(lambda: world.instruments.asked == 1, "the crossed stop was looked at")
        assert not world.prices.answer.is_set()


async def test_an_exit_whose_price_could_not_be_asked_for_leaves_without_it() -> None:
    world = World(prices=BrokenQuotes())
    async with dispatching(world) as (dispatcher, _):
        dispatcher.submit([a_timed_exit("ord_1")])
        await eventually(lambda: world.instruments.asked == 1, "it was measured without a quote")


async def test_an_exit_that_the_sweep_hands_in_again_and_again_is_asked_about_once_and_leaves() -> None:
    world = World(prices=SlowQuotes())
    async with dispatching(world) as (dispatcher, _):
        dispatcher.submit([a_timed_exit("ord_1")])
        await asyncio.wait_for(world.prices.asked.wait(), 5)
        for _ in range(20):
            dispatcher.submit([a_timed_exit("ord_1")])
            await asyncio.sleep(0)
        world.prices.answer.set()
        await eventually(lambda: world.instruments.asked == 1, "it was measured without a quote")
        assert world.prices.times == 1


def test_an_exit_asks_a_broker_that_said_nothing_once_only_and_an_entry_asks_again() -> None:
    asked = Quote(None, at=100.0)
    waiting = replace(a_timed_exit("ord_1"), quote=asked)
    assert waiting.has_been_quoted(now=100.0 + 10 * QUOTE_LIVES_SECONDS)
    entry = replace(waiting, order=replace(waiting.order, leg=Leg.ENTRY), reason=None)
    assert not entry.has_been_quoted(now=100.0 + 10 * QUOTE_LIVES_SECONDS)
    assert not replace(waiting, quote=Quote(Decimal(3500), at=100.0)).has_been_quoted(now=100.0 + 10 * QUOTE_LIVES_SECONDS)
