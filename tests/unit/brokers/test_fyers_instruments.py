"""Fyers' tickers, tokens and instrument lists."""

from decimal import Decimal

import pytest

from brokers.fyers.instruments import parse_master
from brokers.fyers.symbols import Key, instrument_of, segment_of, ticker_of
from brokers.instrument_tokens import InstrumentTokens
from trading.instruments import InstrumentId, Segment
from trading.ports.broker import UnreadableAnswer

SHARES = b"""10100000002885,RELIANCE INDUSTRIES LTD,0,1,0.1,INE002A01018,0915-1530|1815-1915:,2026-09-09,,NSE:RELIANCE-EQ,10,10,2885,RELIANCE,2885,-1.0,XX,10100000002885,None,1,3.7
10100000003045,STATE BANK OF INDIA,0,1,0.1,INE062A01020,0915-1530|1815-1915:,2026-09-09,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX,10100000003045,None,1,3.7
101000000016669,BAJAJ AUTO LIMITED,0,1,0.5,INE917I01010,0915-1530|1815-1915:,2026-09-09,,NSE:BAJAJ-AUTO-EQ,10,10,16669,BAJAJ-AUTO,16669,-1.0,XX,101000000016669,None,1,3.7
10100000002031,MAHINDRA & MAHINDRA LTD,0,1,0.1,INE101A01026,0915-1530|1815-1915:,2026-09-09,,NSE:M&M-EQ,10,10,2031,M&M,2031,-1.0,XX,10100000002031,None,1,3.7
10100000009999,SOME SUSPENDED LTD,0,1,0.05,INE000A01000,0915-1530|1815-1915:,2026-09-09,,NSE:SUSP-BE,10,10,9999,SUSP,9999,-1.0,XX,10100000009999,None,1,3.7
101000000026000,NIFTY50-INDEX,10,0,0.05,,0915-1530|1815-1915:,2026-09-09,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX,101000000026000,None,0,0.0
not,a,line
99990000000001,UNKNOWN,0,1,0.1,,,2026-09-09,,NSE:UNKNOWN-EQ,10,10,1,UNKNOWN,1,-1.0,XX,1,None,1,3.7
"""  # noqa: E501
DERIVATIVES = b"""101126112435001,RELIANCE 24 Nov 26 FUT,13,500,0.05,,0915-1540|1815-1915:,2026-09-09,1795514400,NSE:RELIANCE26NOVFUT,10,11,35001,RELIANCE,2885,-1.0,XX,10100000002885,None,1,3.7
"""  # noqa: E501
BSE = b"""1210000000500112,STATE BANK OF INDIA,0,1,0.05,INE062A01020,0915-1530|1815-1915:,2026-09-09,,BSE:SBIN-A,12,10,500112,SBIN,500112,-1.0,XX,1210000000500112,None,1,3.7
"""  # noqa: E501


def test_the_lists_give_rules_and_keys() -> None:
    listed = {str(entry.instrument.id): entry for entry in parse_master([SHARES, DERIVATIVES, BSE], {})}
    assert set(listed) == {
        "NSE:RELIANCE",
        "NSE:SBIN",
        "NSE:BAJAJ-AUTO",
        "NSE:M&M",
        "NSE:SUSP-BE",
        "NSE:NIFTY 50",
        "NFO:RELIANCE26NOVFUT",
        "BSE:SBIN",
    }
    reliance, sbin = listed["NSE:RELIANCE"].instrument, listed["NSE:SBIN"].instrument
    assert (reliance.tick_size, reliance.lot_size, reliance.segment) == (Decimal("0.1"), 1, Segment.CASH)
    assert (reliance.has_derivatives, sbin.has_derivatives) == (True, False)
    future = listed["NFO:RELIANCE26NOVFUT"].instrument
    assert (future.segment, future.lot_size, future.has_derivatives) == (Segment.DERIVATIVES, 500, False)
    index = listed["NSE:NIFTY 50"].instrument
    assert (index.segment, index.lot_size) == (Segment.INDEX, 1)


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("NSE:SBIN", "sf|nse_cm|3045"),
        ("NSE:NIFTY 50", "if|nse_cm|Nifty 50"),
        ("NFO:RELIANCE26NOVFUT", "sf|nse_fo|35001"),
        ("BSE:SBIN", "sf|bse_cm|500112"),
    ],
)
def test_each_key_makes_its_topic(name: str, topic: str) -> None:
    listed = {str(entry.instrument.id): entry for entry in parse_master([SHARES, DERIVATIVES, BSE], {})}
    assert Key.parse(listed[name].token).topic == topic


def test_the_brokers_own_index_names_come_first() -> None:
    listed = parse_master([SHARES], {"NSE:NIFTY50-INDEX": "Nifty Fifty"})
    (index,) = [entry for entry in listed if entry.instrument.segment is Segment.INDEX]
    assert (str(index.instrument.id), Key.parse(index.token).topic) == ("NSE:NIFTY FIFTY", "if|nse_cm|Nifty Fifty")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"<html>busy</html>", b"a,b\nc,d\n"])
def test_what_is_no_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_master([body], {})


@pytest.mark.parametrize(
    ("ticker", "fy_token", "instrument"),
    [
        ("NSE:SBIN-EQ", "10100000003045", "NSE:SBIN"),
        ("NSE:SBIN-EQ", None, "NSE:SBIN"),
        ("NSE:BAJAJ-AUTO-EQ", None, "NSE:BAJAJ-AUTO"),
        ("NSE:M&M-EQ", None, "NSE:M&M"),
        ("NSE:SUSP-BE", None, "NSE:SUSP-BE"),
        ("BSE:SBIN-A", "1210000000500112", "BSE:SBIN"),
        ("BSE:BAJAJ-AUTO-A", None, "BSE:BAJAJ-AUTO"),
        ("NSE:NIFTY26NOV24500CE", None, "NFO:NIFTY26NOV24500CE"),
        ("NSE:USDINR26NOVFUT", "10122611275001", "CDS:USDINR26NOVFUT"),
        ("BSE:SENSEX26NOVFUT", None, "BFO:SENSEX26NOVFUT"),
        ("MCX:CRUDEOIL26NOVFUT", None, "MCX:CRUDEOIL26NOVFUT"),
        ("NSE:NIFTYBANK-INDEX", None, "NSE:NIFTY BANK"),
    ],
)
def test_a_ticker_becomes_our_key(ticker: str, fy_token: str | None, instrument: str) -> None:
    assert str(instrument_of(ticker, fy_token)) == instrument


def test_a_share_is_found_with_the_list_and_without_it() -> None:
    known = InstrumentTokens(parse_master([SHARES, BSE], {}))
    for tokens in (known, InstrumentTokens()):
        assert ticker_of(InstrumentId("NSE", "SBIN"), tokens) == "NSE:SBIN-EQ"
        assert ticker_of(InstrumentId("NSE", "BAJAJ-AUTO"), tokens) == "NSE:BAJAJ-AUTO-EQ"
        assert ticker_of(InstrumentId("NSE", "SUSP-BE"), tokens) == "NSE:SUSP-BE"
    assert ticker_of(InstrumentId("BSE", "SBIN"), known) == "BSE:SBIN-A"
    assert ticker_of(InstrumentId("BSE", "SBIN"), InstrumentTokens()) is None


@pytest.mark.parametrize("fy_token", ["", "1010", "abcd0000003045", "99990000003045"])
def test_an_unknown_segment_is_unreadable(fy_token: str) -> None:
    with pytest.raises(UnreadableAnswer):
        segment_of(fy_token)


@pytest.mark.parametrize("token", ["", "NSE:SBIN-EQ", "|10100000003045"])
def test_a_key_made_elsewhere_is_unreadable(token: str) -> None:
    with pytest.raises(UnreadableAnswer):
        Key.parse(token)
