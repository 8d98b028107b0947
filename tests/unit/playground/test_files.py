"""Files of prices: what is read, what is refused and how it is said, and what a hostile one can do: nothing."""

import io
import os
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from playground import apart, make_sample, sample
from playground.bars import Bars, to_instant, to_rupees
from playground.csv_file import read_csv
from playground.parquet_file import read_parquet
from playground.problems import BadFile
from playground.rows import MOST_ROWS, Stamp

HEADER = "time,open,high,low,close\n"
GOOD = HEADER + "2026-11-20 09:15:00,100,101.5,99,100.05\n2026-11-20 09:16:00,100,100,100,100\n"


def refused(content: str | bytes, **options: Any) -> list[tuple[int, str]]:
    with pytest.raises(BadFile) as raised:
        read_csv(content.encode() if isinstance(content, str) else content, **options)
    return [(problem.line, problem.reason) for problem in raised.value.problems]


def test_bars_are_read_exactly_and_their_length_is_found() -> None:
    bars = read_csv(GOOD.encode())
    assert (bars.bar_seconds, to_rupees(bars.high[0]), to_rupees(bars.close[0])) == (60, Decimal("101.5"), Decimal("100.05"))
    assert to_instant(bars.start[0]).isoformat() == "2026-11-20T03:45:00+00:00"


@pytest.mark.parametrize(
    "moment", ["2026-11-20 09:15", "2026-11-20T09:15:00+05:30", "2026-11-20T03:45:00Z", "1795146300", "2026-11-20 09:15:00.000"]
)
def test_a_moment_may_be_written_in_many_ways(moment: str) -> None:
    bars = read_csv(f"Timestamp,LTP\r\n{moment},100\r\n".encode())
    assert (bars.bar_seconds, to_instant(bars.start[0]).isoformat()) == (0, "2026-11-20T03:45:00+00:00")


def test_other_columns_quotes_and_a_byte_order_mark_do_no_harm() -> None:
    content = '\ufeffvolume,"close",low,high,open,date\n5,"100",99,101,100,"2026-11-20 09:15:00"\n\n'
    assert len(read_csv(content.encode(), bar_seconds=60)) == 1


def test_a_bar_that_is_written_at_its_end_is_known_at_its_end() -> None:
    bars = read_csv(GOOD.encode(), stamp=Stamp.END)
    assert to_instant(bars.start[0]).isoformat() == "2026-11-20T03:44:00+00:00"


def test_many_ticks_of_one_moment_stay_in_order() -> None:
    ticks = read_csv(b"time,price\n2026-11-20 09:15:00,100\n2026-11-20 09:15:00,99\n")
    assert ticks.open.tolist() == [1_000_000, 990_000]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-11-20 09:17:00,100,99,98,97", "low, open, high and close contradict each other"),
        ("2026-11-20 09:17:00,0,0,0,0", "a price is not above 0 and at most one crore rupees"),
        ("2026-11-20 09:17:00,99999999,99999999,99999999,99999999", "a price is not above 0 and at most one crore rupees"),
        ("2026-11-20 09:17:00,-1,1,1,1", "'-1' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,1e3,1,1,1", "'1e3' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,NaN,1,1,1", "'NaN' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,1.00001,1,1,1", "'1.00001' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,١,1,1,1", "'١' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,,1,1,1", "'' is no price: digits, a point, at most four decimals"),
        ("2026-11-20 09:17:00,1,1,1", "has 4 cells where the header has 5"),
        ("2026-11-20 09:16:00,1,1,1,1", "the time is not after the row before; sort the file and remove what is there twice"),
        ("2026-11-20 09:10:00,1,1,1,1", "the time is not after the row before; sort the file and remove what is there twice"),
        ("20-11-2026 09:17,1,1,1,1", "'20-11-2026 09:17' is no time: write 2026-11-20 09:15:00, with +05:30 or without"),
        ("2026-11-20,1,1,1,1", "'2026-11-20' is no time: write 2026-11-20 09:15:00, with +05:30 or without"),
        ("1950-11-20 09:15:00,1,1,1,1", "the time is not between 1990 and 2100"),
    ],
)
def test_a_bad_row_is_named_with_its_reason(row: str, reason: str) -> None:
    assert refused(GOOD + row + "\n") == [(4, reason)]


@pytest.mark.parametrize(
    ("content", "begins"),
    [
        ("", "the file is empty"),
        (HEADER, "there is no row of prices"),
        ("open,high,low,close\n1,1,1,1\n", "the header has no column of times"),
        ("time,open\n2026-11-20 09:15:00,1\n", "the header has neither open"),
        ("time,price,price\n", "the header names a column twice"),
        (b"\xff\xfe", "the file is not UTF-8 text"),
        (b"time,price\n\0", "the file holds NUL"),
        ("time,price\n" + "x" * 500, "a line is longer than 400"),
        ('time,price\n"2026', "line 2 is not CSV"),
        (HEADER + "2026-11-20 09:15:00,1,1,1,1\n", "with one row the length of a bar cannot be told"),
        (
            HEADER + "2026-11-19 09:15:00,1,1,1,1\n2026-11-20 09:15:00,1,1,1,1\n",
            "bars must be 1 to 3600 seconds long, these look",
        ),
    ],
)
def test_a_file_that_is_no_good_as_a_whole_is_refused(content: str | bytes, begins: str) -> None:
    ((line, reason),) = refused(content)
    assert line == 0
    assert reason.startswith(begins)


def test_bars_that_overlap_are_refused() -> None:
    ((_, reason),) = refused(GOOD, bar_seconds=300)
    assert reason.startswith("bars of 300 seconds overlap")


def test_no_more_than_twenty_problems_are_told() -> None:
    assert len(refused(HEADER + "nonsense\n" * 1_000)) == 20


def test_more_rows_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.rows.MOST_ROWS", 1)
    assert refused(GOOD) == [(0, "more than 1 rows; split the file")]


# --- Parquet ------------------------------------------------------------------------------------------------------------


def parquet(table: pa.Table, **options: Any) -> bytes:
    into = io.BytesIO()
    pq.write_table(table, into, **options)
    return into.getvalue()


TIMES = [1_795_146_300, 1_795_146_360]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(TIMES),
        pa.array(TIMES, pa.timestamp("s", "UTC")),
        pa.array([moment + 19_800 for moment in TIMES], pa.timestamp("s")),
        pa.array(["2026-11-20 09:15:00", "2026-11-20 09:16:00"]),
    ],
    ids=["seconds", "zoned", "indian", "text"],
)
@pytest.mark.parametrize(
    "prices",
    [pa.array([100.05, 100.1]), pa.array([Decimal("100.0500"), Decimal("100.1000")]), pa.array(["100.05", "100.10"])],
    ids=["float", "decimal", "text"],
)
def test_parquet_says_what_csv_says(times: pa.Array, prices: pa.Array) -> None:
    read = read_parquet(parquet(pa.table({"timestamp": times, **dict.fromkeys(("open", "high", "low", "close"), prices)})))
    told = read_csv(b"time,open,high,low,close\n1795146300" + b",100.05" * 4 + b"\n1795146360" + b",100.1" * 4 + b"\n")
    assert (read.bar_seconds, read.start.tolist(), read.close.tolist()) == (60, told.start.tolist(), told.close.tolist())


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"time": TIMES, "price": [1.0, None]}), "line 3: a cell is empty, or no price of at most four decimals"),
        (
            pa.table({"time": TIMES, "price": [1.0, float("nan")]}),
            "line 3: a cell is empty, or no price of at most four decimals",
        ),
        (pa.table({"time": TIMES, "price": [1.0, 1.00005]}), "line 3: a cell is empty, or no price of at most four decimals"),
        (pa.table({"time": TIMES, "price": [True, False]}), "a column of prices has type bool"),
        (pa.table({"time": [1.5, 2.5], "price": [1.0, 2.0]}), "the column of times has type double"),
        (pa.table({f"column{n}": TIMES for n in range(60)}), "60 columns are more than 50"),
    ],
)
def test_a_parquet_file_that_is_no_good_is_refused_in_words(table: pa.Table, reason: str) -> None:
    with pytest.raises(BadFile, match=reason.replace("(", ".")):
        read_parquet(parquet(table))


def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused_before_it_is_unpacked() -> None:
    bomb = parquet(pa.table({"time": pa.array([0] * (MOST_ROWS + 1)), "price": pa.array([1] * (MOST_ROWS + 1))}))
    assert len(bomb) < 10_000
    with pytest.raises(BadFile, match="500,001 rows are more than 500,000"):
        read_parquet(bomb)
    wide = parquet(pa.table({"time": ["x" * 2_000_000] * 30, "price": [1] * 30}), use_dictionary=False, compression="zstd")
    assert len(wide) < 100_000
    with pytest.raises(BadFile, match="unpack to"):
        read_parquet(wide)


def test_every_cut_of_a_parquet_file_is_a_bad_file_and_no_crash() -> None:
    whole = parquet(pa.table({"time": TIMES, "price": [1.0, 2.0]}))
    for end in range(4, len(whole) - 1, 7):
        with pytest.raises(BadFile):
            read_parquet(whole[:end])


# --- the process of its own ---------------------------------------------------------------------------------------------


async def test_a_file_is_read_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await apart.run_to_the_end({"kind": "read", "bar_seconds": None, "stamp": "start"}, GOOD.encode())
    assert (found["rows"], found["first_day"]) == (2, "2026-11-20")
    assert len(Bars.from_bytes(bytes.fromhex(found["bars"]))) == 2


async def test_the_process_gets_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AES_MASTER_KEYS", "a1:secret")
    assert os.environ["AES_MASTER_KEYS"] not in str(apart.environment())


async def test_a_process_that_takes_too_long_is_ended() -> None:
    with pytest.raises(apart.WentAstray):
        await apart.run_to_the_end({"kind": "read", "bar_seconds": None, "stamp": "start"}, GOOD.encode(), timeout_seconds=0.001)


async def test_a_process_that_dies_is_told_of_with_its_last_words() -> None:
    with pytest.raises(apart.WentAstray, match="KeyError"):
        await apart.run_to_the_end({"kind": "nothing there is"})


# --- the sample ---------------------------------------------------------------------------------------------------------


def test_the_sample_is_what_its_script_writes_and_says_what_it_is() -> None:
    assert sample.FILE.read_text(encoding="utf-8") == make_sample.as_csv(make_sample.make())
    bars = read_csv(sample.FILE.read_bytes())
    assert (bars.bar_seconds, len(bars), bars.first_day, bars.last_day) == (60, 7_500, sample.FIRST_DAY, sample.LAST_DAY)
    assert len({day for day, _ in bars.days()}) == sample.DAYS
    assert "made-up" in sample.NAME
    assert date(2026, 2, 2) == sample.FIRST_DAY
