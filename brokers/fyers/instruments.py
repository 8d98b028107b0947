"""Fyers' public instrument lists: for each segment a CSV without a header, made anew each morning, and the indices' names."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

import structlog

from brokers.answers import Answered
from brokers.connections import ConnectionPool
from brokers.exact_json import parse_json
from brokers.fyers.symbols import INDEX_SUFFIX, Key, index_name, instrument_of, segment_of
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerUnavailable, ListedInstrument, UnreadableAnswer

log = structlog.get_logger()

# The first has to be there; of the others a server may have no such list.
FILES = ("NSE_CM", "NSE_FO", "BSE_CM", "BSE_FO", "NSE_CD", "MCX_COM")
INDEX_NAMES_PATH = "/index_hsm_mapping.json"

_FY_TOKEN, _NAME, _LOT, _TICK, _TICKER, _UNDERLYING = 0, 1, 3, 4, 9, 13
_FEWEST_COLUMNS = 14
_NOT_FOUND = 404

Line = list[str]


class FyersInstruments:
    name = BrokerName.FYERS

    def __init__(self, *, urls: BrokerUrls, timeout_seconds: float, connections: ConnectionPool) -> None:
        """The lists are some megabytes: give them more time than an order."""
        self._transport = Transport(base_url=urls.master_url, connections=connections, timeout_seconds=timeout_seconds)

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        """Needs no login. Raises BrokerUnavailable, or UnreadableAnswer for something that is not the list."""
        names = await self._index_names()
        bodies = [body for body in [await self._file(name) for name in FILES] if body is not None]
        # A hundred thousand lines take a second or two: not on the event loop.
        return await asyncio.to_thread(parse_master, bodies, names)

    async def _file(self, name: str) -> bytes | None:
        result = await self._transport.read(f"/{name}.csv")
        if not isinstance(result, Answered):
            raise BrokerUnavailable(result.why)
        if result.status == _NOT_FOUND and name != FILES[0]:
            log.warning("instrument_list_missing", broker=self.name.value, list=name)
            return None
        if result.status != 200:
            raise BrokerUnavailable(f"HTTP {result.status} instead of the instrument list {name}")
        return result.body

    async def _index_names(self) -> Mapping[str, str]:
        """Indices cannot be bought: without their names only their prices are missing."""
        result = await self._transport.read(INDEX_NAMES_PATH)
        try:
            value = parse_json(result.body) if isinstance(result, Answered) and result.status == 200 else None
        except ValueError:
            value = None
        if isinstance(value, dict):
            return {ticker: name for ticker, name in value.items() if isinstance(name, str) and name}
        log.warning("index_names_missing", broker=self.name.value)
        return {}


def parse_master(bodies: Iterable[bytes], index_names: Mapping[str, str]) -> tuple[ListedInstrument, ...]:
    """All lists as one. Lines of unknown segments, or that cannot be read, are left out and counted in the log."""
    lines = [line for body in bodies for line in _lines(body)]
    underlyings = {line[_UNDERLYING] for line in lines if _is_derivative(line)}
    names = dict(index_names)
    listed: dict[InstrumentId, ListedInstrument] = {}
    for line in lines:
        one = _listed(line, underlyings, names)
        if one is not None:
            listed.setdefault(one.instrument.id, one)
    if not listed:
        raise UnreadableAnswer("the instrument list is empty")
    if len(listed) < len(lines):
        log.info("instruments_left_out", broker=BrokerName.FYERS.value, count=len(lines) - len(listed))
    return tuple(listed.values())


def _lines(body: bytes) -> list[Line]:
    try:
        return [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"))) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableAnswer(f"the instrument list cannot be read: {type(error).__name__}") from None


def _is_derivative(line: Line) -> bool:
    return len(line) >= _FEWEST_COLUMNS and line[_FY_TOKEN][:4] in ("1011", "1211")


def _listed(line: Line, underlyings: set[str], names: dict[str, str]) -> ListedInstrument | None:
    if len(line) < _FEWEST_COLUMNS:
        return None
    fy_token, ticker = line[_FY_TOKEN].strip(), line[_TICKER].strip()
    is_index = ticker.endswith(INDEX_SUFFIX)
    try:
        segment = Segment.INDEX if is_index else segment_of(fy_token)[2]
        key = Key(ticker, fy_token, index_name(ticker, names) if is_index else "")
        id = instrument_of(ticker, fy_token, names)
        tick, lot = Decimal(line[_TICK]), int(Decimal(line[_LOT]))
    except (UnreadableAnswer, InvalidOperation, ValueError):
        return None
    if not tick.is_finite() or tick <= 0:
        return None
    instrument = Instrument(
        id=id,
        name=line[_NAME].strip() or id.symbol,
        segment=segment,
        tick_size=tick,
        # Indices, which nobody can buy, are listed with lots of zero.
        lot_size=max(lot, 1),
        has_derivatives=segment is Segment.CASH and line[_UNDERLYING] in underlyings,
    )
    return ListedInstrument(instrument, str(key))
