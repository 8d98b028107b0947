"""A CSV file of bars or ticks. Strict on purpose: where a number has to be guessed at, so has the profit."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from playground.bars import Bars, to_milliseconds
from playground.problems import whole_file
from playground.rows import Row, Rows, Stamp
from trading.sessions import INDIA

LONGEST_LINE = 400
_PRICE = re.compile(r"(\d{1,8})(?:\.(\d{1,4})0*)?", re.ASCII)
_SECONDS = re.compile(r"\d{9,10}", re.ASCII)

TIME_NAMES = ("time", "timestamp", "datetime", "date")
PRICE_NAMES = ("price", "last_price", "ltp")
BAR_NAMES = ("open", "high", "low", "close")


def read_csv(content: bytes, *, bar_seconds: int | None = None, stamp: Stamp = Stamp.START) -> Bars:
    """Raises BadFile with the lines and what is wrong with them."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise whole_file("the file is not UTF-8 text") from error
    if "\0" in text:
        raise whole_file("the file holds NUL characters: it is not a text file")
    if any(len(line) > LONGEST_LINE for line in text.splitlines()):
        raise whole_file(f"a line is longer than {LONGEST_LINE} characters")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: Rows | None = None
    try:
        for cells in reader:
            if rows is None:
                columns, width = column_places(cells), len(cells)
                rows = Rows(are_ticks="price" in columns)
            elif cells:
                _take(rows, reader.line_num, cells, columns=columns, width=width)
    except csv.Error as error:
        raise whole_file(f"line {reader.line_num} is not CSV: {error}") from error
    if rows is None:
        raise whole_file("the file is empty")
    return rows.bars(bar_seconds=bar_seconds, stamp=stamp)


def _take(rows: Rows, line: int, cells: Sequence[str], *, columns: Mapping[str, int], width: int) -> None:
    if len(cells) != width:
        rows.wrong(line, f"has {len(cells)} cells where the header has {width}")
        return
    try:
        start = read_time(cells[columns["time"]].strip())
        prices = [read_price(cells[place].strip()) for name, place in columns.items() if name != "time"]
    except ValueError as error:
        rows.wrong(line, str(error))
        return
    rows.add(Row(line, start, *prices) if len(prices) > 1 else Row(line, start, *prices * 4))


def column_places(header: Sequence[str]) -> Mapping[str, int]:
    """Where `time` and either `price` or the four prices of a bar are. Raises BadFile."""
    names = [name.strip().lower() for name in header]
    if len(set(names)) != len(names):
        raise whole_file("the header names a column twice")
    time_name = next((name for name in TIME_NAMES if name in names), None)
    if time_name is None:
        raise whole_file(f"the header has no column of times; it is called one of {', '.join(TIME_NAMES)}")
    places = {"time": names.index(time_name)}
    price_name = next((name for name in PRICE_NAMES if name in names), None)
    if all(name in names for name in BAR_NAMES):
        return places | {name: names.index(name) for name in BAR_NAMES}
    if price_name is None:
        raise whole_file("the header has neither open, high, low and close (bars) nor price (ticks)")
    return places | {"price": names.index(price_name)}


def read_price(text: str) -> int:
    """Ten-thousandths of a rupee. Raises ValueError for anything but digits with at most four decimals."""
    found = _PRICE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:30]!r} is no price: digits, a point, at most four decimals")
    return int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))


def read_time(text: str) -> int:
    """Milliseconds. Without an offset the time is Indian; a number is seconds since 1970. Raises ValueError."""
    if _SECONDS.fullmatch(text):
        return int(text) * 1000
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or len(text) < len("2026-01-01 09:15"):
        raise ValueError(f"{text[:40]!r} is no time: write 2026-11-20 09:15:00, with +05:30 or without") from None
    return to_milliseconds(parsed if parsed.tzinfo else parsed.replace(tzinfo=INDIA))
