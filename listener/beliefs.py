"""Which prices are believed: odd ones need a second witness before they may sell anybody's shares. Pure.

A price of zero or below is an error and dropped. A price outside the circuit limits waits for a second tick or a quote: the
limits move during the day, so it may well be true. Where limits are not published, twenty percent from the last believed price
stand in for them, the widest fixed band at the exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trading.instruments import Instrument, InstrumentId
from trading.ports.broker import Tick

_ASSUMED_LOW, _ASSUMED_HIGH = Decimal("0.8"), Decimal("1.2")
_ZERO = Decimal(0)


class Verdict(Enum):
    BELIEVED = "believed"
    DROPPED = "dropped"
    SUSPECT = "suspect"


@dataclass(slots=True)
class _Band:
    low: Decimal
    high: Decimal
    # Published limits stay until they are proven to have moved; assumed ones follow the price.
    is_published: bool


@dataclass(frozen=True, slots=True)
class Suspect:
    """A tick nobody believes yet."""

    tick: Tick
    noticed_at: float


class Beliefs:
    def __init__(self) -> None:
        self._bands: dict[InstrumentId, _Band] = {}
        self._published: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        self._suspects: dict[InstrumentId, Suspect] = {}

    def judge(self, tick: Tick, *, now: float) -> Verdict:
        """`now` in monotonic seconds. A suspect is kept until a second tick or `settle` decides."""
        price = tick.last_price
        if price <= 0:
            return Verdict.DROPPED
        band = self._bands.get(tick.instrument)
        if band is not None and band.low <= price <= band.high:
            if self._suspects:
                self._suspects.pop(tick.instrument, None)
            if not band.is_published:
                self._assume(band, price)
            return Verdict.BELIEVED
        if band is None or self._suspects.pop(tick.instrument, None) is not None:
            self._believe(tick.instrument, price)
            return Verdict.BELIEVED
        self._suspects[tick.instrument] = Suspect(tick, now)
        return Verdict.SUSPECT

    def suspects(self) -> Sequence[Suspect]:
        """Those that wait for a witness, to be asked for as quotes."""
        return tuple(self._suspects.values())

    def settle(self, quote: Tick) -> bool:
        """A quote is always believed. True when it confirms the suspect: it lies outside the band too."""
        suspect = self._suspects.pop(quote.instrument, None)
        band = self._bands.get(quote.instrument)
        outside = band is None or not band.low <= quote.last_price <= band.high
        self._believe(quote.instrument, quote.last_price)
        return suspect is not None and outside

    def learn(self, instrument: Instrument) -> None:
        """Circuit limits, where published. The same limits again change nothing: they may have been seen to move since."""
        if instrument.lower_circuit is None or instrument.upper_circuit is None:
            return
        limits = (instrument.lower_circuit, instrument.upper_circuit)
        if self._published.get(instrument.id) != limits:
            self._published[instrument.id] = limits
            self._bands[instrument.id] = _Band(*limits, is_published=True)

    def forget(self, instrument: InstrumentId) -> None:
        """Nobody follows it any more: no suspicion, and no band made from a price that grows old."""
        self._suspects.pop(instrument, None)
        band = self._bands.get(instrument)
        if band is not None and not band.is_published:
            del self._bands[instrument]

    def _believe(self, instrument: InstrumentId, price: Decimal) -> None:
        """Widen the band no further than to this price: the next odd one needs its own witness."""
        band = self._bands.get(instrument)
        if band is None:
            band = self._bands[instrument] = _Band(_ZERO, _ZERO, is_published=False)
        if band.is_published:
            band.low, band.high = min(band.low, price), max(band.high, price)
        else:
            self._assume(band, price)

    @staticmethod
    def _assume(band: _Band, price: Decimal) -> None:
        band.low, band.high = price * _ASSUMED_LOW, price * _ASSUMED_HIGH
