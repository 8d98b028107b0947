"""Values the tests of the domain share: instruments, plans, days, and strategies that make prices."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

from hypothesis import strategies as st

from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.plan import Plan
from trading.sessions import REGULAR_CLOSE, REGULAR_OPEN, ExchangeDay, UnknownDay, instant

TCS = InstrumentId("NSE", "TCS")
SHARE = Instrument(TCS, "Tata Consultancy Services", Segment.CASH, Decimal("0.05"), freeze_quantity=40_000)
SHARE_WITH_DERIVATIVES = replace(SHARE, has_derivatives=True)
FUTURE = Instrument(InstrumentId("NFO", "TCS26NOVFUT"), "", Segment.DERIVATIVES, Decimal("0.05"), lot_size=175)
INDEX = Instrument(InstrumentId("NSE", "NIFTY 50"), "", Segment.INDEX, Decimal("0.05"))

USUAL_PLAN = Plan(
    instrument=TCS,
    product=Product.MIS,
    quantity=100,
    buy_time=time(9, 20),
    sell_time=time(15, 30),
    stop_loss=Decimal("3500.00"),
)

FRIDAY = date(2026, 11, 20)
SATURDAY = date(2026, 11, 21)
MONDAY = date(2026, 11, 23)
TICK_SIZES = tuple(Decimal(size) for size in ("0.01", "0.05", "0.10", "0.5", "1", "5"))


def at(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """The UTC instant of an Indian time of day."""
    return instant(day, time(hour, minute, second)).astimezone(UTC)


def regular(day: date) -> ExchangeDay:
    return ExchangeDay(day, REGULAR_OPEN, REGULAR_CLOSE)


def muhurat(day: date) -> ExchangeDay:
    return ExchangeDay(day, time(18, 0), time(19, 0), is_regular=False)


class ListedDays:
    """A calendar in memory: days it lists trade or are closed (None), and every other day is unknown."""

    def __init__(self, days: Mapping[date, ExchangeDay | None]) -> None:
        self._days = days

    def day(self, day: date) -> ExchangeDay | None:
        if day not in self._days:
            raise UnknownDay(f"{day} is not listed")
        return self._days[day]

    def typical_day(self) -> ExchangeDay:
        return regular(FRIDAY)


def prices(*, least: str = "0.05", most: str = "100000") -> st.SearchStrategy[Decimal]:
    """Last prices as a feed brings them, in rupees: positive, to the paisa."""
    return st.decimals(Decimal(least), Decimal(most), places=2, allow_nan=False)
