import gzip
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.connections import ConnectionPool
from brokers.urls import BrokerUrls
from brokers.zerodha.instruments import ZerodhaInstruments, parse_master, segment_of
from tests.unit.brokers.raw_server import Connection, raw_server, unused_port
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument, UnreadableAnswer

FIRST_COLUMNS = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike"
HEADER = f"{FIRST_COLUMNS},tick_size,lot_size,instrument_type,segment,exchange"
LINES = """\
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
500209,1954,INFY,INFOSYS,0,,0,0.05,1,EQ,BSE,BSE
779521,3045,SMALLCAP,"SMALL, BUT LISTED",0,,0,0.01,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
12345602,48225,INFY26AUGFUT,INFY,0,2026-08-27,0,0.05,400,FUT,NFO-FUT,NFO
12345858,48226,NIFTY26AUG25000CE,NIFTY,0,2026-08-27,25000,0.05,75,CE,NFO-OPT,NFO
274179,1071,USDINR26AUGFUT,USDINR,0,2026-08-27,0,0.0025,1,FUT,CDS-FUT,CDS
53556743,209206,GOLD26OCTFUT,GOLD,0,2026-10-05,0,1,100,FUT,MCX-FUT,MCX
"""
MASTER = f"{HEADER}\n{LINES}".encode()


def by_id(body: bytes) -> dict[str, ListedInstrument]:
    return {str(listed.instrument.id): listed for listed in parse_master(body)}


def test_the_list_is_read_with_exact_ticks_lots_and_the_brokers_token() -> None:
    listed = by_id(MASTER)
    assert len(listed) == 8
    expected = Instrument(InstrumentId("NSE", "INFY"), "INFOSYS", Segment.CASH, Decimal("0.05"), has_derivatives=True)
    assert listed["NSE:INFY"] == ListedInstrument(expected, "408065")
    assert listed["NSE:SMALLCAP"].instrument.name == "SMALL, BUT LISTED"
    assert listed["NFO:INFY26AUGFUT"].instrument.lot_size == 400
    assert listed["CDS:USDINR26AUGFUT"].instrument.tick_size == Decimal("0.0025")
    assert all(entry.instrument.freeze_quantity is None for entry in listed.values())


def test_a_share_has_derivatives_when_a_future_or_option_names_it() -> None:
    having = {key for key, listed in by_id(MASTER).items() if listed.instrument.has_derivatives}
    assert having == {"NSE:INFY", "BSE:INFY"}


def test_an_index_lot_of_zero_becomes_one() -> None:
    index = by_id(MASTER)["NSE:NIFTY 50"].instrument
    assert (index.segment, index.lot_size) == (Segment.INDEX, 1)


@pytest.mark.parametrize(
    ("word", "segment"),
    [
        ("NSE", Segment.CASH),
        ("BSE", Segment.CASH),
        ("INDICES", Segment.INDEX),
        ("NFO-FUT", Segment.DERIVATIVES),
        ("NFO-OPT", Segment.DERIVATIVES),
        ("BFO-OPT", Segment.DERIVATIVES),
        ("CDS-FUT", Segment.CURRENCY),
        ("BCD-OPT", Segment.CURRENCY),
        ("MCX-FUT", Segment.COMMODITY),
        ("NCO-FUT", Segment.COMMODITY),
        ("MOON", None),
        ("", None),
    ],
)
def test_segments_are_translated_and_unknown_ones_are_nobodys(word: str, segment: Segment | None) -> None:
    assert segment_of(word) is segment


@pytest.mark.parametrize(
    "line",
    [
        "1,1,MARS,MARS,0,,0,0.05,1,EQ,MOON,MOON",
        "x,1,BADTOKEN,X,0,,0,0.05,1,EQ,NSE,NSE",
        "1,1,BADTICK,X,0,,0,tick,1,EQ,NSE,NSE",
        "1,1,,X,0,,0,0.05,1,EQ,NSE,NSE",
        "1,1,SHORT",
    ],
)
def test_a_line_that_cannot_be_read_costs_only_itself(line: str) -> None:
    assert len(parse_master(MASTER + line.encode() + b"\n")) == 8


def test_a_gzipped_list_reads_the_same() -> None:
    assert parse_master(gzip.compress(MASTER)) == parse_master(MASTER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HEADER.encode(),
        b"<html>maintenance</html>",
        gzip.compress(MASTER, mtime=0)[:-20],
        b"\xff\xfe",
        b"instrument_token\n1\n",
    ],
)
def test_something_else_than_the_list_is_unreadable_and_not_empty(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_master(body)


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


async def test_the_list_is_fetched_gzipped_and_without_a_login(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(body=gzip.compress(MASTER), content_type="text/csv", headers=("Content-Encoding: gzip",))

    async with raw_server(script) as server:
        listed = await ZerodhaInstruments(urls=BrokerUrls(server.url, "", ""), timeout_seconds=5, connections=pool).instruments()
    assert len(listed) == 8
    assert server.requests[0].startswith(b"GET /instruments HTTP")
    assert b"authorization" not in server.requests[0].lower()


async def test_a_server_in_trouble_has_no_list(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(status=503, body=MASTER)

    async with raw_server(script) as server:
        for url in (server.url, f"http://127.0.0.1:{unused_port()}"):
            with pytest.raises(BrokerUnavailable):
                await ZerodhaInstruments(urls=BrokerUrls(url, "", ""), timeout_seconds=5, connections=pool).instruments()
