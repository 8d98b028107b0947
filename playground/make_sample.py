"""`python -m playground.make_sample` writes the sample of made-up prices again, the same to the last byte."""

from datetime import timedelta
from decimal import Decimal

from playground.bars import Bars, to_instant, to_rupees
from playground.sample import DAYS, FILE, FIRST_DAY, INSTRUMENT
from playground.walk import Walk, walk
from trading.sessions import INDIA

SEED = 20_260_105


def make() -> Bars:
    """Twenty weekdays of minutes."""
    weekdays = (FIRST_DAY + timedelta(days=offset) for offset in range(DAYS * 2))
    days = [day for day in weekdays if day.weekday() < 5][:DAYS]
    return walk(days, Walk(SEED, Decimal(1000), INSTRUMENT.tick_size))


def as_csv(bars: Bars) -> str:
    lines = ["time,open,high,low,close"]
    for row in zip(
        bars.start.tolist(), *(column.tolist() for column in (bars.open, bars.high, bars.low, bars.close)), strict=True
    ):
        at = to_instant(row[0]).astimezone(INDIA).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(",".join([at, *(f"{to_rupees(units):.2f}" for units in row[1:])]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(as_csv(make()), encoding="utf-8")
