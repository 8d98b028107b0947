"""Where last prices come from: a random walk, by hand, a ramp, or a recorded file. Selectable per instrument at any time."""

import asyncio
import csv
import heapq
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import split_key
from simulator.exchange.market import Market
from simulator.log import ExchangeLog
from simulator.money import to_price

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """Decides an instrument's next prices."""

    kind: str

    def next(self, market: Market, elapsed: float) -> tuple[int | None, float | None]:
        """The price due now (None: unchanged) and the seconds until the next call (None: never again)."""


@dataclass(slots=True)
class Hand:
    """The price stays until it is set."""

    kind: str = "hand"

    def next(self, market: Market, elapsed: float) -> tuple[int | None, float | None]:
        """Never moves."""
        return None, None


@dataclass(slots=True)
class Walk:
    """A seeded random walk on the tick, drawn gently back to where it began. `step_bps`: typical step, basis points."""

    rng: random.Random
    interval_seconds: float = 1.0
    step_bps: float = 3.0
    kind: str = "walk"
    _anchor: int | None = None

    def next(self, market: Market, elapsed: float) -> tuple[int | None, float | None]:
        """One step."""
        if self._anchor is None:
            self._anchor = market.last_price
        tick = market.instrument.tick_size
        pull = (self._anchor - market.last_price) / self._anchor * 0.02
        move = market.last_price * (self.rng.gauss(0, self.step_bps / 10_000) + pull)
        price = round((market.last_price + move) / tick) * tick
        low, high = market.lower_circuit + tick, market.upper_circuit - tick
        return (min(max(price, low), high) if low < high else None), self.interval_seconds


@dataclass(slots=True)
class Ramp:
    """Moves in a straight line to a price over some seconds, then holds."""

    to: int
    seconds: float
    interval_seconds: float = 0.25
    kind: str = "ramp"
    _start: int | None = None

    def next(self, market: Market, elapsed: float) -> tuple[int | None, float | None]:
        """Where the line is now."""
        if self._start is None:
            self._start = market.last_price
        if elapsed >= self.seconds:
            return self.to, None
        tick = market.instrument.tick_size
        price = round((self._start + (self.to - self._start) * elapsed / self.seconds) / tick) * tick
        return price, min(self.interval_seconds, self.seconds - elapsed)


@dataclass(slots=True)
class Replay:
    """Plays recorded rows of (seconds from the start, price); repeated, the last row lasts as long as the one before it."""

    rows: Sequence[tuple[float, int]]
    speed: float = 1.0
    loop: bool = False
    kind: str = "replay"
    _position: int = 0
    _offset: float = 0.0

    @property
    def _period(self) -> float:
        last = self.rows[-1][0]
        return last + (last - self.rows[-2][0] if len(self.rows) > 1 else 1.0)

    def next(self, market: Market, elapsed: float) -> tuple[int | None, float | None]:
        """The newest row whose moment has come."""
        price: int | None = None
        recorded = elapsed * self.speed - self._offset
        while self._position < len(self.rows) and self.rows[self._position][0] <= recorded:
            price = self.rows[self._position][1]
            self._position += 1
        if self._position == len(self.rows):
            if not self.loop or not self.rows:
                return price, None
            self._offset += self._period
            recorded -= self._period
            self._position = 0
        return price, max(0.001, (self.rows[self._position][0] - recorded) / self.speed)


def read_replay(path: Path) -> dict[str, list[tuple[float, int]]]:
    """Read `offset_seconds,symbol,price` rows, by instrument key. Raises OSError and ValueError."""
    found: dict[str, list[tuple[float, int]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if len(row) != 3 or row[0] == "offset_seconds":
                continue
            found.setdefault(split_key(row[1]), []).append((float(row[0]), to_price(row[2])))
    for rows in found.values():
        rows.sort(key=lambda entry: entry[0])
    return found


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    key: str = field(compare=False)
    source: Source = field(compare=False)
    started: float = field(compare=False)


class PriceBoard:
    """Runs every instrument's source on one timer; what is due together moves together, in one frame per socket."""

    def __init__(self, exchange: Exchange, log: ExchangeLog, *, seed: int) -> None:
        self._exchange = exchange
        self._exchange_log = log
        self._seed = seed
        self._sources: dict[str, Source] = {}
        self._queue: list[_Due] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def source(self, key: str) -> str:
        """The kind of an instrument's present source."""
        found = self._sources.get(key)
        return "hand" if found is None else found.kind

    def use(self, key: str, source: Source) -> None:
        """Let a source decide an instrument's price from now on."""
        self._sources[key] = source
        now = time.monotonic()
        heapq.heappush(self._queue, _Due(now, next(self._numbers), key, source, now))
        self._changed.set()

    def walk(self, key: str, *, interval_seconds: float = 1.0, step_bps: float = 3.0) -> None:
        """Let an instrument walk, the same way for the same seed."""
        self.use(key, Walk(random.Random(f"{self._seed}:{key}"), interval_seconds, step_bps))

    def set(self, prices: dict[str, int]) -> int:
        """Set prices by hand; they are held from now on. Answers when the ticks left. Raises Refusal."""
        sent_ns = self._exchange.set_prices(prices)
        for key in prices:
            self._sources[key] = Hand()
        self._exchange_log.priced(prices, sent_ns=sent_ns, source="hand")
        return sent_ns

    def _due(self, now: float) -> Iterator[tuple[str, int, str]]:
        while self._queue and self._queue[0].at <= now:
            due = heapq.heappop(self._queue)
            if self._sources.get(due.key) is not due.source:
                continue
            price, again = due.source.next(self._exchange.markets[due.key], now - due.started)
            if again is not None:
                # Counted from the planned moment, so that instruments in step stay in step.
                at = max(due.at + again, now)
                heapq.heappush(self._queue, _Due(at, next(self._numbers), due.key, due.source, due.started))
            else:
                self._sources[due.key] = Hand()
            if price is not None:
                yield due.key, price, due.source.kind

    def step(self, now: float) -> None:
        """Move what is due at this monotonic instant."""
        moves = list(self._due(now))
        if not moves or not self._exchange.is_open():
            return
        prices = {key: price for key, price, _ in moves}
        sent_ns = self._exchange.set_prices(prices)
        driven = {key: price for key, price, kind in moves if kind in ("ramp", "replay")}
        if driven:
            self._exchange_log.priced(driven, sent_ns=sent_ns, source="driven")

    async def run(self) -> None:
        """Serve the sources until cancelled."""
        while True:
            try:
                self.step(time.monotonic())
            except Exception:  # noqa: BLE001 - supervised loop: one bad source must not stop every other price
                _log.exception("price_step_failed")
            self._changed.clear()
            wait = None if not self._queue else max(0.0, self._queue[0].at - time.monotonic())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
