"""The public list: documented entries, and what is wrong with it on bad days."""

import gzip
import json
from decimal import Decimal

import pytest

from brokers.angel_one.instruments import parse_master
from brokers.angel_one.symbols import AngelInstrument, instrument_of
from trading.instruments import InstrumentId, Segment
from trading.ports.broker import UnreadableAnswer

Entry = dict[str, object]


def entry(symbol: str, token: str, **changes: object) -> Entry:
    documented: Entry = {
        "token": token,
        "symbol": symbol,
        "name": symbol.removesuffix("-EQ"),
        "expiry": "",
        "strike": "-1.000000",
        "lotsize": "1",
        "instrumenttype": "",
        "exch_seg": "NSE",
        "tick_size": "5.000000",
    }
    return documented | changes


FUTURE = entry(
    "SBIN26NOV26FUT", "35001", name="SBIN", exch_seg="NFO", instrumenttype="FUTSTK", lotsize="750", tick_size="5.000000"
)
LIST = [
    entry("SBIN-EQ", "3045", tick_size="10.000000"),
    entry("M&M-EQ", "2031"),
    entry("BAJAJ-AUTO-EQ", "16669"),
    entry("SOMETHING-BE", "77"),
    entry("SBIN", "500112", exch_seg="BSE"),
    entry("Nifty 50", "99926000", name="NIFTY", instrumenttype="AMXIDX", tick_size="0.000000", lotsize="0"),
    FUTURE,
]


def body(entries: list[Entry]) -> bytes:
    return json.dumps(entries).encode()


def test_the_list_is_read_with_our_symbols_and_the_brokers_keys() -> None:
    listed = {str(one.instrument.id): one for one in parse_master(body(LIST))}
    keys = {symbol: one.token for symbol, one in listed.items()}
    assert keys == {
        "NSE:SBIN": "NSE|3045|SBIN-EQ",
        "NSE:M&M": "NSE|2031|M&M-EQ",
        "NSE:BAJAJ-AUTO": "NSE|16669|BAJAJ-AUTO-EQ",
        "NSE:SOMETHING-BE": "NSE|77|SOMETHING-BE",
        "BSE:SBIN": "BSE|500112|SBIN",
        "NSE:NIFTY 50": "NSE|99926000|Nifty 50",
        "NFO:SBIN26NOV26FUT": "NFO|35001|SBIN26NOV26FUT",
    }
    sbin = listed["NSE:SBIN"].instrument
    assert (sbin.tick_size, sbin.lot_size, sbin.segment, sbin.has_derivatives) == (Decimal("0.1"), 1, Segment.CASH, True)
    assert not listed["NSE:M&M"].instrument.has_derivatives
    index, future = listed["NSE:NIFTY 50"].instrument, listed["NFO:SBIN26NOV26FUT"].instrument
    assert (index.segment, index.lot_size) == (Segment.INDEX, 1)
    assert (future.segment, future.lot_size, future.tick_size) == (Segment.DERIVATIVES, 750, Decimal("0.05"))


@pytest.mark.parametrize("order", [1, -1])
def test_the_ordinary_series_owns_its_plain_symbol(order: int) -> None:
    (one,) = parse_master(body([entry("SBIN-EQ", "3045"), entry("SBIN", "9")][::order]))
    assert one.token == "NSE|3045|SBIN-EQ"


@pytest.mark.parametrize("key", ["NSE|3045|SBIN-EQ", "NFO|35001|SBIN26NOV26FUT", "NSE|1|A|B"])
def test_a_key_gives_its_parts_back(key: str) -> None:
    assert AngelInstrument.parse(key).key == key


@pytest.mark.parametrize("key", ["", "3045", "NSE|3045", "NSE||SBIN-EQ", "|1|SBIN"])
def test_a_foreign_key_is_no_instrument(key: str) -> None:
    with pytest.raises(ValueError, match="not an instrument key"):
        AngelInstrument.parse(key)


def test_only_the_ordinary_series_of_the_national_exchange_loses_its_suffix() -> None:
    assert instrument_of("NSE", "A-EQ") == InstrumentId("NSE", "A")
    assert instrument_of("BSE", "A-EQ") == InstrumentId("BSE", "A-EQ")
    assert instrument_of("NSE", "A-BE") == InstrumentId("NSE", "A-BE")


def test_a_gzipped_list_and_one_with_a_byte_order_mark_are_the_same_list() -> None:
    plain = parse_master(body(LIST))
    assert parse_master(gzip.compress(body(LIST))) == parse_master(b"\xef\xbb\xbf" + body(LIST)) == plain
    assert parse_master(json.dumps(LIST, indent=2).encode()) == plain


def test_entries_that_cannot_be_read_are_left_out() -> None:
    bad: list[Entry] = [
        entry("A-EQ", ""),
        entry("", "1"),
        entry("B-EQ", "2", tick_size=None),
        entry("E-EQ", "6", tick_size="0.000000"),
        entry("F-EQ", "7", tick_size="-1.000000"),
        entry("C-EQ", "3", lotsize="x"),
        entry("D-EQ", "4", exch_seg="NYSE"),
        entry("-EQ", "5"),
        {},
    ]
    assert [str(one.instrument.id) for one in parse_master(body([*bad, *LIST[:1]]))] == ["NSE:SBIN"]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"[1]",
        b"null",
        body(LIST)[:-1],
        body(LIST)[:-30],
        gzip.compress(body(LIST), mtime=0)[:-20],
        b"\xff\xfe",
        b"[" * 100_000,
        body([entry("A-EQ", "")]),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_is_not_the_list_is_unreadable_and_never_an_empty_list(damaged: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_master(damaged)
