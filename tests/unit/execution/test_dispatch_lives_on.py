"""The dispatcher is the one loop through which every order of a process leaves: nothing that happens in it may end it."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

from brokers.limits import Rate
from execution.armed import ArmedOrder
from execution.budget import Budget
from execution.dispatch import Dispatcher, Due
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
class NoPrices:
    async def of(self, wanted: object) -> dict[InstrumentId, Decimal]:
        return {}


@dataclass
class World:
    instruments: NoListYet = field(default_factory=NoListYet)

    def dispatcher(self) -> Dispatcher:
        clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time(), now=lambda: NOW)
        broker = SimpleNamespace(environment=Environment.SIMULATED)
        desk = SimpleNamespace(broker=broker, budget=Budget((Rate(8, 1),)), open_positions=0, resting_buys=lambda _: [])
        limits = SimpleNamespace(find=lambda instrument, _environment: self.instruments.find(instrument))
        tools = SimpleNamespace(clock=clock, instruments=self.instruments, limits=limits, prices=NoPrices())
        return Dispatcher(tools, desk_of=lambda _account_id: desk, mark=lambda _run_id: None, take_back=lambda desk, ids: None)  # type: ignore[arg-type]


def an_exit(order_id: str) -> Due:
    order = ArmedOrder(order_id, "run_1", "brk_1", Leg.EXIT, 1, TCS, NOW, Decimal(3500), 1, 0)
    return Due(order, NOW, "desk", ExitReason.STOP_LOSS, Decimal(3490))


async def test_an_order_that_cannot_even_be_measured_does_not_end_the_dispatcher() -> None:
    world = World()
    dispatcher = world.dispatcher()
    running = asyncio.create_task(dispatcher.run())
    try:
        dispatcher.submit([an_exit("ord_1")])
        await eventually(lambda: world.instruments.asked == 1, "the first order was looked at")
        dispatcher.submit([an_exit("ord_2")])
        await eventually(lambda: world.instruments.asked == 2 or running.done(), "the second order was looked at")
        assert not running.done()
        assert world.instruments.asked == 2
    finally:
        dispatcher.stop()
        await asyncio.wait([running])
