"""Binary market data packets, little-endian, prices as four-byte floats (DhanHQ v2 documentation, "Live market feed")."""

import struct

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS
from simulator.dialects.dhan.segments import segment_number
from simulator.exchange.instruments import Instrument
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import PRICE_SCALE

_TICKER = struct.Struct("<BHBifI")
_QUOTE = struct.Struct("<BHBifHIfIIIffff")
_FULL = struct.Struct("<BHBifHIfIIIIIIffff")
_DEPTH = struct.Struct("<IIHHff")
_DISCONNECT = struct.Struct("<BHBiH")
_TICKER_CODE, _QUOTE_CODE, _CLOSE_CODE, _FULL_CODE, _DISCONNECT_CODE = 2, 4, 6, 8, 50
_LARGEST_INT, _LARGEST_SHORT = 2**31 - 1, 2**16 - 1
_LEVELS = 5
_NO_LEVEL = Level(0, 0, 0)

TICKER, QUOTE, FULL = "ticker", "quote", "full"
MODES = (TICKER, QUOTE, FULL)


def packet(market: Market, mode: str, *, shifted: bool = False) -> bytes:
    """One instrument's packet in one of the three modes: 16, 50, 162 bytes.

    `shifted` counts Indian wall-clock time as if it were UTC, as users have seen the real feed do.
    """
    instrument = market.instrument
    if mode == TICKER:
        return raw_ticker(market, market.last_price, shifted=shifted)
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    average = market.traded_value // market.volume if market.volume else 0
    traded = (
        _rupees(market.last_price),
        min(market.last_quantity, _LARGEST_SHORT),
        _seconds(market, shifted=shifted),
        _rupees(average),
        _fit(market.volume),
        _fit(sum(level.quantity for level in sells)),
        _fit(sum(level.quantity for level in buys)),
    )
    prices = (_rupees(market.open), _rupees(market.close), _rupees(market.high), _rupees(market.low))
    if mode == QUOTE:
        return _QUOTE.pack(*_header(_QUOTE_CODE, _QUOTE.size, instrument), *traded, *prices)
    length = _FULL.size + _LEVELS * _DEPTH.size
    return _FULL.pack(*_header(_FULL_CODE, length, instrument), *traded, 0, 0, 0, *prices) + _depth(buys, sells)


def raw_ticker(market: Market, price: int, *, shifted: bool = False) -> bytes:
    """A ticker packet with any price, however odd."""
    return _ticker(market.instrument, price, _seconds(market, shifted=shifted))


def previous_close(market: Market) -> bytes:
    """Sent once after each subscription."""
    return _TICKER.pack(*_header(_CLOSE_CODE, _TICKER.size, market.instrument), _rupees(market.close), 0)


def disconnect(reason: int) -> bytes:
    """The last packet before the server closes."""
    return _DISCONNECT.pack(_DISCONNECT_CODE, _DISCONNECT.size, 0, 0, reason)


def _ticker(instrument: Instrument, price: int, seconds: int) -> bytes:
    return _TICKER.pack(*_header(_TICKER_CODE, _TICKER.size, instrument), _rupees(price), seconds)


def _header(code: int, length: int, instrument: Instrument) -> tuple[int, int, int, int]:
    return code, length, segment_number(instrument), instrument.exchange_token


def _seconds(market: Market, *, shifted: bool) -> int:
    return market.last_trade_ns // SECOND_NS + (INDIA_OFFSET_SECONDS if shifted else 0)


def _depth(buys: list[Level], sells: list[Level]) -> bytes:
    rows = []
    for number in range(_LEVELS):
        bid = buys[number] if number < len(buys) else _NO_LEVEL
        ask = sells[number] if number < len(sells) else _NO_LEVEL
        rows.append(
            _DEPTH.pack(
                _fit(bid.quantity),
                _fit(ask.quantity),
                min(bid.orders, _LARGEST_SHORT),
                min(ask.orders, _LARGEST_SHORT),
                _rupees(bid.price),
                _rupees(ask.price),
            )
        )
    return b"".join(rows)


def _rupees(price: int) -> float:
    return price / PRICE_SCALE


def _fit(quantity: int) -> int:
    return min(quantity, _LARGEST_INT)
