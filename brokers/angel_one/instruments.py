"""SmartAPI's public instrument list: one JSON array of everything that trades, made anew each morning."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import urlsplit

import structlog

from brokers.angel_one.fields import decimal, name, optional_name
from brokers.angel_one.symbols import ORDINARY, AngelInstrument, index_of, instrument_of
from brokers.angel_one.words import EXCHANGE_TYPES
from brokers.answers import Answered
from brokers.connections import ConnectionPool
from brokers.fields import Row
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument, UnreadableAnswer

log = structlog.get_logger()

_SEGMENTS: dict[str, Segment] = {
    "NSE": Segment.CASH,
    "BSE": Segment.CASH,
    "NFO": Segment.DERIVATIVES,
    "BFO": Segment.DERIVATIVES,
    "CDS": Segment.CURRENCY,
    "MCX": Segment.COMMODITY,
    "NCDEX": Segment.COMMODITY,
}
_INDEX = "AMXIDX"
_STOCK_DERIVATIVES = ("FUTSTK", "OPTSTK")
_PAISE = Decimal(100)
_GZIP_MAGIC = b"\x1f\x8b"
_BETWEEN = " \t\r\n,"


class AngelOneInstruments:
    name = BrokerName.ANGEL_ONE

    def __init__(self, *, urls: BrokerUrls, timeout_seconds: float, connections: ConnectionPool) -> None:
        """The list is some tens of megabytes: give it more time than an order. It has a server of its own."""
        parts = urlsplit(urls.master_url)
        self._path = parts.path or "/"
        self._transport = Transport(
            base_url=f"{parts.scheme}://{parts.netloc}", connections=connections, timeout_seconds=timeout_seconds
        )

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        """Needs no login. Raises BrokerUnavailable, or UnreadableAnswer for something that is not the list."""
        result = await self._transport.read(self._path)
        if not isinstance(result, Answered):
            raise BrokerUnavailable(result.why)
        if result.status != 200:
            raise BrokerUnavailable(f"HTTP {result.status} instead of the instrument list")
        # More than a hundred thousand entries take seconds: not on the event loop.
        return await asyncio.to_thread(parse_master, result.body)


def parse_master(body: bytes) -> tuple[ListedInstrument, ...]:
    """The list, plain or gzipped. Entries of unknown segments, or that cannot be read, are left out and counted in the log."""
    entries = list(_entries(_plain(body)))
    underlyings = {entry.get("name") for entry in entries if entry.get("instrumenttype") in _STOCK_DERIVATIVES}
    listed: dict[InstrumentId, ListedInstrument] = {}
    for entry in entries:
        one = _listed(entry, underlyings)
        # The ordinary series owns its plain symbol, whatever else is listed under it.
        if one is not None and (one.instrument.id not in listed or one.token.endswith(ORDINARY)):
            listed[one.instrument.id] = one
    if not listed:
        raise UnreadableAnswer("the instrument list is empty")
    if len(listed) < len(entries):
        log.info("instruments_left_out", broker=BrokerName.ANGEL_ONE.value, count=len(entries) - len(listed))
    return tuple(listed.values())


def _plain(body: bytes) -> str:
    try:
        return (gzip.decompress(body) if body.startswith(_GZIP_MAGIC) else body).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UnreadableAnswer(f"the instrument list cannot be read: {type(error).__name__}") from None


def _entries(text: str) -> Iterator[Row]:
    """One after another: read as a whole, the list would hold up every other thread of the process for a second."""
    decoder = json.JSONDecoder(parse_float=Decimal)
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise UnreadableAnswer("the instrument list is not a list")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        try:
            entry, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise UnreadableAnswer("the instrument list is cut short or damaged") from None
        if not isinstance(entry, dict):
            raise UnreadableAnswer("the instrument list has an entry that is not an object")
        yield entry
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at


def _listed(entry: Row, underlyings: set[object]) -> ListedInstrument | None:
    try:
        exchange, token, symbol = name(entry, "exch_seg"), name(entry, "token"), name(entry, "symbol")
        tick, lot = decimal(entry, "tick_size") / _PAISE, int(decimal(entry, "lotsize"))
        if exchange not in EXCHANGE_TYPES:
            return None
        is_index = entry.get("instrumenttype") == _INDEX
        found = index_of(exchange, symbol) if is_index else instrument_of(exchange, symbol)
    except UnreadableAnswer:
        return None
    segment = Segment.INDEX if is_index else _SEGMENTS[exchange]
    if tick <= 0 and segment is not Segment.INDEX:
        return None
    title = optional_name(entry, "name") or symbol
    instrument = Instrument(
        id=found,
        name=title,
        segment=segment,
        tick_size=tick,
        # Indices, which nobody can buy, may be listed with lots of zero.
        lot_size=max(lot, 1),
        has_derivatives=segment is Segment.CASH and title in underlyings,
    )
    return ListedInstrument(instrument, AngelInstrument(exchange, token, symbol).key)
