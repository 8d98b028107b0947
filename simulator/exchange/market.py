"""One instrument's market: its price, the day's figures, the maker, the resting orders."""

from collections import deque
from typing import NamedTuple

from simulator.clock import SECOND_NS
from simulator.exchange.book import BookSide, Triggers
from simulator.exchange.instruments import Instrument
from simulator.exchange.orders import Side
from simulator.money import PRICE_SCALE, round_down, round_up

_DEFAULT_CIRCUIT_PERCENT = 20
_SHOWN_QUANTITY = 500
_MILLION = 1_000_000
_BARS_KEPT = 2 * 24 * 60
UNLIMITED = 2**40
"""The maker's quantity when no depth is set."""


class Level(NamedTuple):
    """One row of market depth."""

    price: int
    quantity: int
    orders: int


class Bar(NamedTuple):
    """Prices within one minute that began at `minute` (epoch minutes)."""

    minute: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class Market:
    """The state of one instrument. `depth` is the maker's quantity per side and price event, None for unlimited.

    `spread_millionths`: how far from the last price the maker trades, on the tick; None: at the last price itself.
    """

    def __init__(self, instrument: Instrument, *, price: int, at_ns: int) -> None:
        self.instrument = instrument
        self.last_price = price
        self.open = self.high = self.low = self.close = price
        self.volume = 0
        self.traded_value = 0
        self.last_quantity = 0
        self.last_trade_ns = at_ns
        self.priced_ns = at_ns
        self.lower_circuit, self.upper_circuit = default_circuit(instrument, price)
        self.depth: int | None = None
        self.spread_millionths: int | None = None
        self.maker_left: dict[Side, int] = {Side.BUY: UNLIMITED, Side.SELL: UNLIMITED}
        self.resting: dict[Side, BookSide] = {Side.BUY: BookSide(Side.BUY), Side.SELL: BookSide(Side.SELL)}
        self.triggers = Triggers()
        self.bars: deque[Bar] = deque(maxlen=_BARS_KEPT)

    def set_price(self, price: int, at_ns: int) -> None:
        """Move the last price and give the maker fresh quantity."""
        self.last_price = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.priced_ns = at_ns
        self._add_to_bar(price, 0, at_ns)
        self.refill_maker()

    def set_depth(self, quantity: int | None) -> None:
        """Set the maker's quantity per side and price event; None is unlimited."""
        self.depth = quantity
        self.refill_maker()

    def refill_maker(self) -> None:
        """Nobody buys at the lower circuit limit and nobody sells at the upper one: the maker neither."""
        quantity = UNLIMITED if self.depth is None else self.depth
        self.maker_left[Side.BUY] = 0 if self.last_price <= self.lower_circuit else quantity
        self.maker_left[Side.SELL] = 0 if self.last_price >= self.upper_circuit else quantity

    def maker_price(self, side: Side) -> int:
        """What the maker pays (BUY) or asks (SELL), inside the circuit limits."""
        if self.spread_millionths is None:
            return self.last_price
        tick = self.instrument.tick_size
        distance = self.last_price * self.spread_millionths
        if side is Side.BUY:
            pays = round_down((self.last_price * _MILLION - distance) // _MILLION, tick)
            return max(pays, tick, self.lower_circuit)
        asks = round_up(-(-(self.last_price * _MILLION + distance) // _MILLION), tick)
        return min(asks, self.upper_circuit)

    def count_trade(self, quantity: int, price: int, at_ns: int) -> None:
        """Add a trade to the day's figures. The last price stays the price source's own."""
        self.volume += quantity
        self.traded_value += quantity * price
        self.last_quantity = quantity
        self.last_trade_ns = at_ns
        self._add_to_bar(self.last_price, quantity, at_ns)

    def _add_to_bar(self, price: int, volume: int, at_ns: int) -> None:
        minute = at_ns // (60 * SECOND_NS)
        if self.bars and self.bars[-1].minute == minute:
            bar = self.bars[-1]
            self.bars[-1] = Bar(minute, bar.open, max(bar.high, price), min(bar.low, price), price, bar.volume + volume)
        else:
            self.bars.append(Bar(minute, price, price, price, price, volume))

    def begin_day(self) -> None:
        """A new trading day: yesterday's last price is the close, the day's figures start again."""
        price = self.last_price
        self.open = self.high = self.low = self.close = price
        self.volume = self.traded_value = self.last_quantity = 0
        self.lower_circuit, self.upper_circuit = default_circuit(self.instrument, price)
        self.refill_maker()

    def depth_rows(self, side: Side) -> list[Level]:
        """The five best rows shown for one side: the maker's around the last price together with resting orders."""
        shown: dict[int, tuple[int, int]] = {}
        for price, quantity, orders in self.resting[side].levels(5):
            shown[price] = (quantity, orders)
        if self.maker_left[side] > 0:
            step = -self.instrument.tick_size if side is Side.BUY else self.instrument.tick_size
            for number in range(1, 6):
                price = self.last_price + number * step
                if not self.lower_circuit <= price <= self.upper_circuit:
                    break
                quantity, orders = shown.get(price, (0, 0))
                shown[price] = (quantity + min(self.maker_left[side], _SHOWN_QUANTITY * number), orders + number)
        best_first = sorted(shown, reverse=side is Side.BUY)[:5]
        return [Level(price, *shown[price]) for price in best_first]


def default_circuit(instrument: Instrument, price: int) -> tuple[int, int]:
    """Lower and upper limit: 20 percent around the close, on the tick. Derivatives and indices get a wide band."""
    percent = _DEFAULT_CIRCUIT_PERCENT if instrument.kind == "EQ" else 90
    tick = instrument.tick_size
    lower = max(tick, round_up(price * (100 - percent) // 100, tick))
    upper = round_down(price * (100 + percent) // 100, tick)
    return lower, max(upper, lower + tick, round_up(price, PRICE_SCALE // 100))
