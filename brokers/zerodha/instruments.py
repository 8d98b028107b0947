"""Kite's public instrument list: one CSV of everything that trades, made anew each morning."""

import asyncio
import csv
import gzip
import io
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import structlog

from brokers.answers import Answered
from brokers.connections import ConnectionPool
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from brokers.zerodha.session import VERSION_HEADERS
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument, UnreadableAnswer

log = structlog.get_logger()

COLUMNS = ("instrument_token", "tradingsymbol", "name", "tick_size", "lot_size", "instrument_type", "segment", "exchange")
_SEGMENTS: dict[str, Segment] = {"NSE": Segment.CASH, "BSE": Segment.CASH, "INDICES": Segment.INDEX}
_DERIVATIVE_SEGMENTS: dict[str, Segment] = {
    "NFO": Segment.DERIVATIVES,
    "BFO": Segment.DERIVATIVES,
    "CDS": Segment.CURRENCY,
    "BCD": Segment.CURRENCY,
    "MCX": Segment.COMMODITY,
    "NCO": Segment.COMMODITY,
}
_GZIP_MAGIC = b"\x1f\x8b"

Entry = dict[str, str]


class ZerodhaInstruments:
    name = BrokerName.ZERODHA

    def __init__(self, *, urls: BrokerUrls, timeout_seconds: float, connections: ConnectionPool) -> None:
        """The list is some megabytes: give it more time than an order."""
        self._transport = Transport(
            base_url=urls.api_url, connections=connections, timeout_seconds=timeout_seconds, headers=VERSION_HEADERS
        )

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        """Needs no login. Raises BrokerUnavailable, or UnreadableAnswer for something that is not the list."""
        result = await self._transport.read("/instruments")
        if not isinstance(result, Answered):
            raise BrokerUnavailable(result.why)
        if result.status != 200:
            raise BrokerUnavailable(f"HTTP {result.status} instead of the instrument list")
        # A hundred thousand lines take a second or two: not on the event loop.
        return await asyncio.to_thread(parse_master, result.body)


def parse_master(body: bytes) -> tuple[ListedInstrument, ...]:
    """The list, plain or gzipped. Lines of unknown segments, or that cannot be read, are left out and counted in the log."""
    entries = _entries(body)
    underlyings = {entry["name"] for entry in entries if entry["segment"].startswith(("NFO-", "BFO-"))}
    listed: dict[InstrumentId, ListedInstrument] = {}
    for entry in entries:
        one = _listed(entry, underlyings)
        if one is not None:
            listed.setdefault(one.instrument.id, one)
    if not listed:
        raise UnreadableAnswer("the instrument list is empty")
    if len(listed) < len(entries):
        log.info("instruments_left_out", broker=BrokerName.ZERODHA.value, count=len(entries) - len(listed))
    return tuple(listed.values())


def _entries(body: bytes) -> list[Entry]:
    try:
        plain = gzip.decompress(body) if body.startswith(_GZIP_MAGIC) else body
        reader = csv.DictReader(io.StringIO(plain.decode("utf-8")), restval="")
        entries = list(reader)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableAnswer(f"the instrument list cannot be read: {type(error).__name__}") from None
    _check_columns(reader.fieldnames or ())
    return entries


def _check_columns(found: Iterable[str]) -> None:
    missing = set(COLUMNS) - set(found)
    if missing:
        raise UnreadableAnswer(f"the instrument list has no column {', '.join(sorted(missing))}")


def _listed(entry: Entry, underlyings: set[str]) -> ListedInstrument | None:
    segment = segment_of(entry["segment"])
    if segment is None:
        return None
    try:
        token, tick, lot = int(entry["instrument_token"]), Decimal(entry["tick_size"]), int(entry["lot_size"])
        id = InstrumentId.parse(f"{entry['exchange']}:{entry['tradingsymbol']}")
    except (ValueError, InvalidOperation):
        return None
    instrument = Instrument(
        id=id,
        name=entry["name"] or entry["tradingsymbol"],
        segment=segment,
        tick_size=tick,
        # Indices, which nobody can buy, are listed with lots of zero.
        lot_size=max(lot, 1),
        has_derivatives=segment is Segment.CASH and entry["tradingsymbol"] in underlyings,
    )
    return ListedInstrument(instrument, str(token))


def segment_of(word: str) -> Segment | None:
    """`NSE`, `INDICES`, `NFO-FUT`, `MCX-OPT` ...; None for a word nobody knows."""
    if word in _SEGMENTS:
        return _SEGMENTS[word]
    return _DERIVATIVE_SEGMENTS.get(word.partition("-")[0])
