"""A Parquet file of bars or ticks, column by column as in CSV.

What the file says of itself is checked before anything is unpacked; what it does not say truly is met by the memory and time
limits of the process this runs in (playground/apart.py).
"""

from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from playground.bars import SCALE, Bars
from playground.csv_file import column_places, read_price, read_time
from playground.problems import whole_file
from playground.rows import MOST_ROWS, Row, Rows, Stamp

# What the wanted columns may unpack to: five of eight bytes for the most rows, twice.
MOST_UNPACKED_BYTES = 2 * 5 * 8 * MOST_ROWS
MOST_COLUMNS = 50
BATCH = 20_000
# A float64 shows a price of ten-thousandths exactly to far beyond the highest price; what is further off was never a price.
FLOAT_TOLERANCE = Decimal("0.000001")


def read_parquet(content: bytes, *, bar_seconds: int | None = None, stamp: Stamp = Stamp.START) -> Bars:
    """Raises BadFile."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content), thrift_string_size_limit=1_000_000, thrift_container_size_limit=100_000)
        names, places = _columns(file)
        rows = Rows(are_ticks="price" in places)
        line = 1
        for batch in file.iter_batches(batch_size=BATCH, columns=names, use_threads=False):
            line = _take(rows, batch, places, line)
    except (pa.ArrowException, OSError) as error:
        raise whole_file(f"the file is not Parquet that can be read: {str(error)[:200]}") from error
    return rows.bars(bar_seconds=bar_seconds, stamp=stamp)


def _columns(file: pq.ParquetFile) -> tuple[list[str], dict[str, str]]:
    """The columns to read, and the name in the file of each that is wanted. Raises BadFile."""
    known = file.metadata
    if known.num_rows > MOST_ROWS:
        raise whole_file(f"{known.num_rows:,} rows are more than {MOST_ROWS:,}; split the file")
    if known.num_columns > MOST_COLUMNS:
        raise whole_file(f"{known.num_columns} columns are more than {MOST_COLUMNS}")
    header = list(file.schema_arrow.names)
    places = {name: header[place] for name, place in column_places(header).items()}
    wanted = set(places.values())
    unpacked = sum(
        known.row_group(group).column(column).total_uncompressed_size
        for group in range(known.num_row_groups)
        for column in range(known.num_columns)
        if known.row_group(group).column(column).path_in_schema in wanted
    )
    if unpacked > MOST_UNPACKED_BYTES:
        raise whole_file(f"the prices unpack to {unpacked:,} bytes, at most {MOST_UNPACKED_BYTES:,} are read")
    return sorted(wanted), places


def _take(rows: Rows, batch: pa.RecordBatch, places: dict[str, str], line: int) -> int:
    times = _times(batch.column(places["time"]))
    prices = [_prices(batch.column(name)) for wanted, name in places.items() if wanted != "time"]
    for number, start in enumerate(times):
        line += 1
        try:
            found = [_present(column[number]) for column in prices]
            begin = read_time(start) if isinstance(start, str) else _present(start)
        except ValueError as error:
            rows.wrong(line, str(error))
            continue
        rows.add(Row(line, begin, *found) if len(found) > 1 else Row(line, begin, *found * 4))
    return line


def _present(value: int | str | None) -> int:
    if value is None:
        raise ValueError("a cell is empty, or no price of at most four decimals")
    return read_price(value) if isinstance(value, str) else value


def _times(column: pa.Array) -> Sequence[int | str | None]:
    """Milliseconds; texts are read like those of CSV. Timestamps without a zone are Indian, integers are seconds since 1970."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            column = pc.assume_timezone(column, "Asia/Kolkata")
        found: Sequence[int | str | None] = column.cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64()).to_pylist()
        return found
    if pa.types.is_integer(kind):
        return [None if value is None else value * 1000 for value in column.to_pylist()]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts: Sequence[int | str | None] = column.to_pylist()
        return texts
    raise whole_file(f"the column of times has type {kind}; timestamps, texts and whole seconds are read")


def _prices(column: pa.Array) -> Sequence[int | str | None]:
    kind = column.type
    readable = (pa.types.is_floating(kind), pa.types.is_integer(kind), pa.types.is_decimal(kind), pa.types.is_string(kind))
    if not any(readable):
        raise whole_file(f"a column of prices has type {kind}; numbers, decimals and texts are read")
    if pa.types.is_string(kind):
        texts: Sequence[int | str | None] = column.to_pylist()
        return texts
    return [None if value is None else _units(value) for value in column.to_pylist()]


def _units(value: int | Decimal | object) -> int | None:
    """Ten-thousandths; None for what is no price. A float is taken for the four-decimal number it stands for."""
    price = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not price.is_finite() or abs(price) > 10_000_000:
        return None
    units = (price * SCALE).to_integral_value()
    return int(units) if abs(units / SCALE - price) <= FLOAT_TOLERANCE else None
