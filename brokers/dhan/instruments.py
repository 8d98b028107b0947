"""Dhan's public instrument list: one CSV of everything that trades, made anew each morning, in a compact and a detailed form."""

import asyncio
import csv
import gzip
import io
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import structlog

from brokers.answers import Answered
from brokers.connections import ConnectionPool
from brokers.dhan import words
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument, UnreadableAnswer

log = structlog.get_logger()

# Our names for what we read, and the columns that hold it in each form.
COMPACT: Mapping[str, str] = {
    "exchange": "SEM_EXM_EXCH_ID",
    "segment": "SEM_SEGMENT",
    "security_id": "SEM_SMST_SECURITY_ID",
    "symbol": "SEM_TRADING_SYMBOL",
    "lot": "SEM_LOT_UNITS",
    "tick": "SEM_TICK_SIZE",
    "series": "SEM_SERIES",
    "name": "SEM_CUSTOM_SYMBOL",
}
DETAILED: Mapping[str, str] = {
    "exchange": "EXCH_ID",
    "segment": "SEGMENT",
    "security_id": "SECURITY_ID",
    "symbol": "SYMBOL_NAME",
    "underlying": "UNDERLYING_SYMBOL",
    "lot": "LOT_SIZE",
    "tick": "TICK_SIZE",
    "series": "SERIES",
    "name": "DISPLAY_NAME",
}
_GZIP_MAGIC = b"\x1f\x8b"
# `NIFTY-Sep2026-25000-CE`, `BAJAJ-AUTO-Oct2026-FUT`: what comes before the month is what it is derived from.
_CONTRACT = re.compile(r"(?P<underlying>.+?)-(?:\d{1,2})?[A-Za-z]{3}\d{2,4}-.+\Z")
_PAISA = Decimal("0.01")
# What a line may lack.
_OPTIONAL = ("name", "series", "lot", "underlying")
# Shares of the main board and of exchange-traded funds go by their bare symbol; others carry their series, as at the exchange.
_BARE_SERIES = ("EQ", "")

Entry = dict[str, str]


class DhanInstruments:
    name = BrokerName.DHAN

    def __init__(self, *, urls: BrokerUrls, timeout_seconds: float, connections: ConnectionPool) -> None:
        """The list is tens of megabytes: give it more time than an order."""
        self._transport = Transport(base_url=urls.master_url, connections=connections, timeout_seconds=timeout_seconds)

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        """Needs no login. Raises BrokerUnavailable, or UnreadableAnswer for something that is not the list."""
        result = await self._transport.read("")
        if not isinstance(result, Answered):
            raise BrokerUnavailable(result.why)
        if result.status != 200:
            raise BrokerUnavailable(f"HTTP {result.status} instead of the instrument list")
        # Two hundred thousand lines take seconds: not on the event loop.
        return await asyncio.to_thread(parse_master, result.body)


def parse_master(body: bytes) -> tuple[ListedInstrument, ...]:
    """The list in either form, plain or gzipped. Lines of unknown segments, or that cannot be read, are left out and counted in
    the log."""
    entries = _entries(body)
    underlyings = {underlying_of(entry) for entry in entries if _is_derivative(entry)}
    listed: dict[InstrumentId, ListedInstrument] = {}
    for entry in entries:
        one = _listed(entry, underlyings)
        if one is not None:
            listed.setdefault(one.instrument.id, one)
    if not listed:
        raise UnreadableAnswer("the instrument list is empty")
    if len(listed) < len(entries):
        log.info("instruments_left_out", broker=BrokerName.DHAN.value, count=len(entries) - len(listed))
    return tuple(listed.values())


def _entries(body: bytes) -> list[Entry]:
    try:
        plain = gzip.decompress(body) if body.startswith(_GZIP_MAGIC) else body
        reader = csv.DictReader(io.StringIO(plain.decode("utf-8-sig")), restval="")
        columns = _columns([name.strip() for name in reader.fieldnames or ()])
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        return [{ours: (line.get(theirs) or "").strip() for ours, theirs in columns.items()} for line in reader]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableAnswer(f"the instrument list cannot be read: {type(error).__name__}") from None


def _columns(found: list[str]) -> Mapping[str, str]:
    form = DETAILED if "SECURITY_ID" in found else COMPACT
    missing = {theirs for ours, theirs in form.items() if ours not in _OPTIONAL} - set(found)
    if missing:
        raise UnreadableAnswer(f"the instrument list has no column {', '.join(sorted(missing))}")
    return form


def _is_derivative(entry: Entry) -> bool:
    return entry["segment"] == "D"


def underlying_of(entry: Entry) -> str:
    """What a contract is derived from; the compact form says it in the symbol alone."""
    if entry.get("underlying"):
        return entry["underlying"]
    found = _CONTRACT.match(entry["symbol"])
    return found["underlying"] if found else entry["symbol"]


def _listed(entry: Entry, underlyings: set[str]) -> ListedInstrument | None:
    segment = words.split_segment(entry["exchange"], entry["segment"])
    if segment is None:
        return None
    kind = words.KINDS[segment]
    symbol = _symbol(entry, kind)
    try:
        security_id, lot = int(entry["security_id"]), int(Decimal(entry["lot"] or "1"))
        tick = _tick(Decimal(entry["tick"]), kind)
    except (ValueError, InvalidOperation):
        return None
    if not symbol or not tick.is_finite() or tick <= 0:
        return None
    instrument = Instrument(
        id=InstrumentId(_exchange(entry, segment), symbol),
        name=entry["name"] or symbol,
        segment=kind,
        tick_size=tick.normalize() + Decimal("0.00"),
        # Indices, which nobody can buy, are listed with odd lots.
        lot_size=max(lot, 1),
        has_derivatives=kind is Segment.CASH and symbol in underlyings,
    )
    return ListedInstrument(instrument, words.token(segment, str(security_id)))


def _tick(written: Decimal, kind: Segment) -> Decimal:
    """Rupees. The list counts paise, but for indices, and only currencies have ticks finer than a paisa."""
    tick = written / 100
    return tick if kind is Segment.CURRENCY or tick >= _PAISA else written


def _exchange(entry: Entry, segment: str) -> str:
    return entry["exchange"] if segment == "IDX_I" else words.EXCHANGES[segment]


def _symbol(entry: Entry, kind: Segment) -> str:
    """The exchange's plain symbol: `M&M`, `BAJAJ-AUTO`; `XYZ-BE` for what trades at NSE in another series than EQ."""
    symbol = entry["symbol"]
    if kind is not Segment.CASH:
        return symbol
    symbol = entry.get("underlying") or symbol
    is_bare = entry["exchange"] != "NSE" or entry["series"] in _BARE_SERIES
    return symbol if is_bare or symbol.endswith("-" + entry["series"]) else f"{symbol}-{entry['series']}"
