"""The instruments the exchange lists at its start, with the price each begins at."""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from simulator.exchange.instruments import Instrument, Kind, tick_for_price
from simulator.money import PRICE_SCALE, round_down, to_price

_EQUITIES = Path(__file__).parent.parent / "data" / "equities.csv"
_FREEZE_VALUE = 10_00_00_000 * PRICE_SCALE
"""Orders above about ten crore rupees are cut at the freeze quantity (a plausible stand-in for the exchange's table)."""
_DERIVATIVE_TICK = PRICE_SCALE // 20
_FUTURES = (
    ("NIFTY", 24_500, 75, 1_800),
    ("BANKNIFTY", 54_000, 35, 600),
    ("RELIANCE", 1_400, 500, 40_000),
    ("TCS", 3_600, 175, 10_500),
)
"""Underlying, rupees, lot, freeze quantity."""
_FIRST_DERIVATIVE_TOKEN = 35_001
_FIRST_SYNTHETIC_TOKEN = 900_001


class Listing(NamedTuple):
    """An instrument and its first price (price units)."""

    instrument: Instrument
    price: int


def starting_listings(today: date, *, extra: int) -> Iterator[Listing]:
    """Shares, indices, the current and next derivatives, and `extra` synthetic shares `SYM0001` and on."""
    yield from _indices()
    yield from _equities()
    yield from _derivatives(today)
    for number in range(1, extra + 1):
        token = _FIRST_SYNTHETIC_TOKEN + number - 1
        yield equity("NSE", f"SYM{number:04d}", f"SYNTHETIC {number}", token, price=(100 + number % 900) * PRICE_SCALE)


def equity(exchange: str, symbol: str, name: str, exchange_token: int, *, price: int) -> Listing:
    """A share with the tick and freeze quantity that belong to its price."""
    freeze = max(1, _FREEZE_VALUE // price)
    tick = tick_for_price(price)
    return Listing(Instrument(exchange, symbol, name, exchange_token, Kind.EQUITY, tick, 1, freeze), price)


def _indices() -> Iterator[Listing]:
    tick = PRICE_SCALE // 20
    for symbol, token, rupees in (("NIFTY 50", 1001, 24_450), ("NIFTY BANK", 1016, 53_900)):
        yield Listing(Instrument("NSE", symbol, symbol, token, Kind.INDEX, tick, 0, 0), rupees * PRICE_SCALE)


def _equities() -> Iterator[Listing]:
    with _EQUITIES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            price = to_price(row["price"])
            yield equity("NSE", row["symbol"], row["name"], int(row["exchange_token"]), price=price)
            if row["bse_token"]:
                yield equity("BSE", row["symbol"], row["name"], int(row["bse_token"]), price=price)


def _derivatives(today: date) -> Iterator[Listing]:
    token = _FIRST_DERIVATIVE_TOKEN + 100 * (today.year * 12 + today.month) % 1_000_000
    near, far = monthly_expiry(today), monthly_expiry(monthly_expiry(today) + timedelta(days=1))
    for underlying, rupees, lot, freeze in _FUTURES:
        for expiry in (near, far):
            yield Listing(
                Instrument(
                    "NFO",
                    f"{underlying}{_month_code(expiry)}FUT",
                    underlying,
                    token,
                    Kind.FUTURE,
                    _DERIVATIVE_TICK,
                    lot,
                    freeze,
                    expiry.isoformat(),
                ),
                rupees * PRICE_SCALE,
            )
            token += 1
    for strike in (24_300, 24_400, 24_500, 24_600, 24_700):
        for kind in (Kind.CALL, Kind.PUT):
            intrinsic = 24_450 - strike if kind is Kind.CALL else strike - 24_450
            premium = round_down((max(intrinsic, 0) + 180) * PRICE_SCALE, _DERIVATIVE_TICK)
            yield Listing(
                Instrument(
                    "NFO",
                    f"NIFTY{_month_code(near)}{strike}{kind}",
                    "NIFTY",
                    token,
                    kind,
                    _DERIVATIVE_TICK,
                    75,
                    1_800,
                    near.isoformat(),
                    strike * PRICE_SCALE,
                ),
                premium,
            )
            token += 1


def monthly_expiry(day: date) -> date:
    """The last Tuesday of the month, or of the next month once that has passed (NSE, since September 2025)."""
    first_of_next = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    last = first_of_next - timedelta(days=1)
    expiry = last - timedelta(days=(last.weekday() - 1) % 7)
    return expiry if expiry >= day else monthly_expiry(first_of_next)


def _month_code(expiry: date) -> str:
    return f"{expiry:%y%b}".upper()
