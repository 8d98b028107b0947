"""Dhan's instrument list in both its forms."""

import gzip
from decimal import Decimal

import pytest

from brokers.dhan.instruments import parse_master
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import ListedInstrument, UnreadableAnswer

COMPACT = """SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,\
SEM_LOT_UNITS,\
SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,SEM_EXCH_INSTRUMENT_TYPE,\
SEM_SERIES,SM_SYMBOL_NAME
NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,EQ,RELIANCE INDUSTRIES LTD
NSE,E,16669,EQUITY,0,BAJAJ-AUTO,1.0,Bajaj Auto,,,,50.0000,NA,ES,EQ,BAJAJ AUTO LIMITED
NSE,E,2031,EQUITY,0,M&M,1.0,Mahindra & Mahindra,,,,10.0000,NA,ES,EQ,MAHINDRA & MAHINDRA LTD
NSE,E,101,EQUITY,0,SMALL,1.0,Small Company,,,,1.0000,NA,ES,BE,SMALL COMPANY LTD
BSE,E,500325,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,5.0000,NA,ES,A,RELIANCE INDUSTRIES LTD
NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,0001-01-01,,XX,0.05,,INDEX,X,NIFTY
NSE,D,49081,OPTSTK,0,RELIANCE-Sep2026-1500-CE,500.0,RELIANCE 29 SEP 1500 CALL,2026-09-29 14:30:00,1500.0,CE,5.0000,M,OP,,
NSE,D,49082,FUTSTK,0,BAJAJ-AUTO-Sep2026-FUT,75.0,BAJAJ-AUTO SEP FUT,2026-09-29 14:30:00,-0.01,XX,500.0000,M,FUT,,
NSE,C,1100,FUTCUR,0,USDINR-Sep2026-FUT,1000.0,USDINR SEP FUT,2026-09-29 12:30:00,-0.01,XX,0.2500,M,FUTCUR,,USDINR
NSE,Q,1,ODD,0,ODD,1.0,Odd,,,,5.0000,NA,ES,EQ,ODD
NSE,E,x,EQUITY,0,BROKEN,1.0,Broken,,,,5.0000,NA,ES,EQ,BROKEN
NSE,E,102,EQUITY,0,FREE,1.0,No tick,,,,0.0000,NA,ES,EQ,FREE
"""
DETAILED = """EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,\
INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG
NSE,E,2885,INE002A01018,EQUITY,,RELIANCE,RELIANCE INDUSTRIES LTD,Reliance Industries,ES,EQ,1.0,,,,10.0000,NA
NSE,D,49081,NA,OPTSTK,2885,RELIANCE,RELIANCE-Sep2026-1500-CE,RELIANCE 29 SEP 1500 CALL,OP,NA,500.0,2026-09-29,1500.0,CE,5.0000,M
"""


def listed(text: str = COMPACT) -> dict[InstrumentId, ListedInstrument]:
    return {entry.instrument.id: entry for entry in parse_master(text.encode())}


def test_a_share_is_read_whole() -> None:
    assert listed()[InstrumentId("NSE", "RELIANCE")] == ListedInstrument(
        Instrument(
            id=InstrumentId("NSE", "RELIANCE"),
            name="Reliance Industries",
            segment=Segment.CASH,
            tick_size=Decimal("0.10"),
            lot_size=1,
            has_derivatives=True,
        ),
        "NSE_EQ:2885",
    )


def test_both_forms_of_the_list_say_the_same() -> None:
    compact, detailed = listed(), listed(DETAILED)
    assert set(detailed) == {InstrumentId("NSE", "RELIANCE"), InstrumentId("NFO", "RELIANCE-Sep2026-1500-CE")}
    for id in detailed:
        assert detailed[id] == compact[id]


def test_symbols_are_the_exchanges_own_and_carry_their_series_where_it_is_not_eq() -> None:
    symbols = {str(id) for id in listed()}
    assert {"NSE:M&M", "NSE:BAJAJ-AUTO", "NSE:SMALL-BE", "BSE:RELIANCE", "NSE:NIFTY", "CDS:USDINR-Sep2026-FUT"} <= symbols


def test_ticks_and_lots_are_read_in_their_units() -> None:
    found = listed()
    assert found[InstrumentId("NSE", "BAJAJ-AUTO")].instrument.tick_size == Decimal("0.50")
    assert found[InstrumentId("NFO", "RELIANCE-Sep2026-1500-CE")].instrument.lot_size == 500
    assert found[InstrumentId("CDS", "USDINR-Sep2026-FUT")].instrument.tick_size == Decimal("0.0025")
    assert found[InstrumentId("NSE", "NIFTY")].instrument.segment is Segment.INDEX


def test_a_tick_written_in_rupees_is_not_taken_for_paise() -> None:
    in_rupees = COMPACT.replace("10.0000,NA,ES,EQ,RELIANCE", "0.05,NA,ES,EQ,RELIANCE")
    assert listed(in_rupees)[InstrumentId("NSE", "RELIANCE")].instrument.tick_size == Decimal("0.05")
    assert listed()[InstrumentId("NSE", "NIFTY")].instrument.tick_size == Decimal("0.05")


def test_a_list_with_only_what_trading_needs_is_enough() -> None:
    bare = "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_TRADING_SYMBOL,SEM_TICK_SIZE\nNSE,E,2885,RELIANCE,10.0\n"
    (only,) = parse_master(bare.encode())
    assert (only.instrument.id, only.instrument.name, only.token) == (InstrumentId("NSE", "RELIANCE"), "RELIANCE", "NSE_EQ:2885")
    with pytest.raises(UnreadableAnswer, match="SEM_TICK_SIZE"):
        parse_master(bare.replace("SEM_TICK_SIZE", "TICK").encode())


def test_a_share_has_derivatives_when_a_contract_is_made_of_it() -> None:
    having = {str(id) for id, entry in listed().items() if entry.instrument.has_derivatives}
    assert having == {"NSE:RELIANCE", "NSE:BAJAJ-AUTO", "BSE:RELIANCE"}


def test_keys_are_told_apart_by_segment() -> None:
    assert listed()[InstrumentId("BSE", "RELIANCE")].token == "BSE_EQ:500325"
    assert len({entry.token for entry in listed().values()}) == len(listed())


def test_lines_that_cannot_be_read_are_left_out() -> None:
    assert not {"NSE:ODD", "NSE:BROKEN", "NSE:FREE"} & {str(id) for id in listed()}


def test_a_compressed_list_is_read() -> None:
    assert parse_master(gzip.compress(COMPACT.encode())) == parse_master(COMPACT.encode())


@pytest.mark.parametrize("body", [b"", b"<html>", COMPACT.split("\n", maxsplit=1)[0].encode(), b"\xff\xfe", b"\x1f\x8bjunk"])
def test_what_is_not_the_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_master(body)
