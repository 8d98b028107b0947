"""The broker port over the tiny exchange, with a network between them that loses, delays and repeats.

A request that was written goes its way whatever becomes of the process that wrote it. `Network` is shared by all processes and
holds what the next requests will meet; one `ModelBroker` belongs to one process.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from tests.exploration.exchange import Exchange, Request
from trading.accounts import BrokerName, Environment, Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import (
    BookSnapshot,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    PlaceOutcome,
    RefusalKind,
    Refused,
    Unknown,
)
from trading.ports.broker import BrokerUnavailable, Leisure, MaySend, SessionExpired, TickStream, at_once

TIMEOUT_SECONDS = 0.8


class Fate(Enum):
    """What a write meets on its way."""

    ARRIVES = "arrives"
    ANSWER_LOST = "answer lost"  # carried out, and nobody hears of it
    ANSWER_LATE = "answer late"  # carried out at once, answered shortly before the timeout
    LANDS_SLOWLY = "lands slowly"  # carried out after the sender has given up, within the HTTP timeout
    LANDS_MUCH_LATER = "lands much later"  # carried out when its absence has long been proven
    LOST = "lost"
    NEVER_LEFT = "never left"  # the connection failed before the first byte
    REFUSED = "refused"
    RATE_LIMITED = "rate limited"
    NO_SESSION = "no session"
    MODIFICATIONS_USED_UP = "modifications used up"


class BookFate(Enum):
    """What a read of the book meets."""

    FRESH = "fresh"
    LAGS = "lags"
    FAILS = "fails"
    EMPTY = "empty"


_REFUSALS = {
    Fate.REFUSED: RefusalKind.MARGIN,
    Fate.RATE_LIMITED: RefusalKind.RATE_LIMIT,
    Fate.NO_SESSION: RefusalKind.SESSION,
    Fate.NEVER_LEFT: RefusalKind.NOT_SENT,
    Fate.MODIFICATIONS_USED_UP: RefusalKind.BUDGET,
}


class Network:
    """`latency`: seconds each way. `check`: asked about each request once its first byte is written, before it lands."""

    def __init__(self, exchange: Exchange, now: Callable[[], datetime]) -> None:
        self.exchange = exchange
        self.latency = 0.01
        self.late_by = 9.0
        self.writes: deque[Fate] = deque()
        self.reads: deque[BookFate] = deque()
        self.lag = timedelta(seconds=0.3)
        self.repeats_updates = False
        self.stream_is_up = True
        # An empty book of an account without other orders looks like a true one.
        self.has_shown_nothing = False
        self.under_way: set[asyncio.Task[None]] = set()
        self.check: Callable[[Request], Awaitable[None]] = _no_check
        self.on_effect: Callable[[], None] = lambda: None
        self._now = now

    def write(self, request: Request, carry_out: Callable[[], Any], fate: Fate) -> "asyncio.Future[Any]":
        """The first byte leaves now. The future brings the answer, if one ever comes."""
        self.exchange.log.append(request)
        self.on_effect()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        work = self._carry(request, carry_out, fate, answer)
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return answer

    async def _carry(self, request: Request, carry_out: Callable[[], Any], fate: Fate, answer: "asyncio.Future[Any]") -> None:
        await self.check(request)
        if fate is Fate.LOST:
            request.is_lost = True
            return
        request.is_overdue = fate is Fate.LANDS_MUCH_LATER
        if fate in _REFUSALS:
            request.is_lost = True
            await asyncio.sleep(2 * self.latency)
            _answer(answer, Refused(_REFUSALS[fate], fate.value))
            return
        slow = {Fate.LANDS_SLOWLY: TIMEOUT_SECONDS + 0.4, Fate.LANDS_MUCH_LATER: self.late_by}.get(fate, 0.0)
        await asyncio.sleep(self.latency + slow)
        result = carry_out()
        request.landed = True
        self.on_effect()
        await asyncio.sleep(TIMEOUT_SECONDS - 0.1 if fate is Fate.ANSWER_LATE else self.latency)
        if fate is not Fate.ANSWER_LOST:
            _answer(answer, result)


async def _no_check(request: Request) -> None:
    """Nobody wants to know."""


def _answer(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)


class ModelBroker:
    """One process's connection. Cut off when the process is dead."""

    name = BrokerName.ZERODHA
    environment = Environment.SIMULATED

    def __init__(self, network: Network, who: str, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._network = network
        self._exchange = network.exchange
        self._who = who
        self._now = now
        self._monotonic = monotonic
        self.is_cut_off = False

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        request = Request("place", self._who, self._now(), order.tag, order.side, order.quantity, order.price)
        outcome: PlaceOutcome = await self._write(request, lambda: self._exchange.place(order), may_send)
        return outcome

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        seen = self._exchange.orders[change.broker_order_id]
        request = Request(
            "modify", self._who, self._now(), seen.tag, seen.side, change.quantity, change.price, change.broker_order_id
        )
        outcome: ChangeOutcome = await self._write(request, lambda: self._exchange.modify(change), may_send)
        return outcome

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        seen = self._exchange.orders[broker_order_id]
        request = Request("cancel", self._who, self._now(), seen.tag, seen.side, broker_order_id=broker_order_id)
        outcome: ChangeOutcome = await self._write(request, lambda: self._exchange.cancel(broker_order_id), may_send)
        return outcome

    async def _write(self, request: Request, carry_out: Callable[[], Any], may_send: MaySend) -> Any:
        self._check_connection()
        await asyncio.sleep(0.001)
        fate = self._network.writes.popleft() if self._network.writes else Fate.ARRIVES
        if fate is Fate.NEVER_LEFT or not may_send():
            return Refused(RefusalKind.NOT_SENT, "nothing was sent")
        answer = self._network.write(replace(request, at=self._now()), carry_out, fate)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await answer
        except TimeoutError:
            return Unknown("no answer in time")

    async def warm(self, connections: int) -> int:
        return connections

    # --- reading ------------------------------------------------------------------------------------------------------

    async def orders(self) -> BookSnapshot:
        requested_at = self._monotonic()
        fate = await self._read()
        if fate is BookFate.EMPTY:
            self._network.has_shown_nothing = True
            return BookSnapshot((), requested_at)
        lag = self._network.lag if fate is BookFate.LAGS else timedelta(0)
        listed = self._exchange.book(older_by=lag)
        await asyncio.sleep(self._network.latency)
        return BookSnapshot(listed, requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        await self._read()
        return self._exchange.orders[broker_order_id]

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        return (await self.orders()).by_tag(tag)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        await self._read()
        return tuple(self._exchange.trades)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        await self._read()
        return self._exchange.positions()

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        return ()

    async def margins(self) -> Margins:
        return Margins(Decimal(10_000_000), Decimal(0))

    async def profile(self) -> Profile:
        return Profile("sim", "Model")

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        self._check_connection()
        await asyncio.sleep(self._network.latency)
        return dict.fromkeys(instruments, self._exchange.price)

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """There are none here."""
        self._check_connection()
        return {instrument: PriceLimits() for instrument in instruments}

    def ticks(self) -> AbstractAsyncContextManager[TickStream]:
        raise NotImplementedError("nobody here listens to prices")

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        self._check_connection()
        if not self._network.stream_is_up:
            raise BrokerUnavailable("the stream is down")
        heard: asyncio.Queue[BrokerOrder] = asyncio.Queue()
        self._exchange.listeners.append(heard.put_nowait)
        try:
            yield self._updates(heard, leisure)
        finally:
            self._exchange.listeners.remove(heard.put_nowait)

    async def _updates(self, heard: "asyncio.Queue[BrokerOrder]", leisure: Leisure) -> AsyncIterator[BrokerOrder]:
        older: dict[str, BrokerOrder] = {}
        while True:
            update = await heard.get()
            await leisure()
            await asyncio.sleep(self._network.latency)
            if not self._network.stream_is_up:
                raise BrokerUnavailable("the stream was cut")
            yield update
            if self._network.repeats_updates:
                yield update
                yield older.get(update.broker_order_id, update)
            older.setdefault(update.broker_order_id, update)

    async def _read(self) -> BookFate:
        self._check_connection()
        await asyncio.sleep(self._network.latency)
        fate = self._network.reads.popleft() if self._network.reads else BookFate.FRESH
        if fate is BookFate.FAILS:
            raise BrokerUnavailable("no answer")
        return fate

    def _check_connection(self) -> None:
        if self.is_cut_off:
            raise SessionExpired("this process is dead")
