"""The prices that come with the project: MADE UP, by a seeded walk, of a share that does not exist."""

from datetime import date
from decimal import Decimal
from pathlib import Path

from trading.instruments import Instrument, InstrumentId, Segment

FILE = Path(__file__).parent / "samples" / "synthetic_minute_bars.csv"
FIRST_DAY, LAST_DAY = date(2026, 2, 2), date(2026, 2, 27)
DAYS = 20
NAME = "Sample: made-up prices of a share that does not exist"
INSTRUMENT = Instrument(InstrumentId("NSE", "SAMPLE"), NAME, Segment.CASH, Decimal("0.05"))
