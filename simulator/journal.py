"""The append-only journal: every accepted change, on its way to the disk before anybody is answered.

One line is one operation: a JSON array of records, each an array that begins with its kind. A line that was cut off by
a crash is not an operation and is dropped. `compact` rewrites the file with the same records, so there is one format.
Writes reach the operating system before the call returns: a killed process loses nothing, a power cut may.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from simulator.clock import SECOND_NS, now_ns
from simulator.exchange.accounts import Account
from simulator.exchange.events import Conversion, Event, Filled, OrderChanged, OrderPlaced
from simulator.exchange.gtt import Gtt
from simulator.exchange.market import Market
from simulator.exchange.orders import Order, Snapshot, Trade

Record = Sequence[object]
_PRICES_EVERY_NS = 10 * SECOND_NS


class DataFolderBusy(Exception):
    """Another simulator uses this data folder."""


class FileJournal:
    """Writes records of an exchange to `journal.jsonl` in a folder that it locks."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "journal.jsonl"
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise DataFolderBusy(f"The data folder {folder} is in use by another simulator.") from None
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._unwritten_prices: dict[str, int] = {}
        self._prices_written_ns = 0

    def close(self) -> None:
        """Write what may wait, and give the folder free."""
        self._flush_prices()
        os.close(self._file)
        self._lock.close()

    def write(self, records: Iterable[Record]) -> None:
        """Append one operation."""
        os.write(self._file, orjson.dumps(list(records)) + b"\n")

    def write_events(self, events: Sequence[Event]) -> None:
        """Append what an operation did."""
        self.write(record for event in events for record in event_records(event))

    def write_account(self, account: Account) -> None:
        """Append an account's identity and session."""
        self.write([account_record(account)])

    def write_instrument(self, market: Market) -> None:
        """Append an instrument."""
        self.write([market_record(market)])

    def write_prices(self, markets: Sequence[Market]) -> None:
        """Remember last prices and append them now and then: they are not worth a write each."""
        for market in markets:
            self._unwritten_prices[market.instrument.key] = market.last_price
        if now_ns() - self._prices_written_ns > _PRICES_EVERY_NS:
            self._flush_prices()

    def write_gtt(self, gtt: Gtt) -> None:
        """Append a good-till-triggered order."""
        self.write([gtt_record(gtt)])

    def _flush_prices(self) -> None:
        if self._unwritten_prices:
            self.write([("prices", self._unwritten_prices)])
            self._unwritten_prices = {}
        self._prices_written_ns = now_ns()

    def read(self) -> Iterator[list[Record]]:
        """The operations written so far, oldest first."""
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield orjson.loads(line)

    def compact(self, records: Iterable[Record]) -> None:
        """Replace the journal by these records, atomically."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            for record in records:
                file.write(orjson.dumps([record]) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)
        os.close(self._file)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND, 0o600)


def event_records(event: Event) -> Iterator[Record]:
    match event:
        case OrderPlaced(order=order):
            yield order_record(order)
        case OrderChanged(order=order, snapshot=snapshot):
            yield state_record(order, snapshot)
        case Filled(trade=trade):
            yield trade_record(trade)
        case Conversion():
            yield ("conversion", *event)


def order_record(order: Order) -> Record:
    """What never changes about an order."""
    return (
        "order",
        order.order_id,
        order.account,
        order.instrument,
        order.side,
        order.product,
        order.tag,
        order.tags,
        order.placed_by,
        order.via_api,
        order.created_ns,
    )


def state_record(order: Order, snapshot: Snapshot) -> Record:
    """One state of an order."""
    return ("state", order.order_id, order.priority, order.fill_cap, order.modifications, tuple(snapshot))


def trade_record(trade: Trade) -> Record:
    """One fill."""
    return (
        "trade",
        trade.trade_id,
        trade.order_id,
        trade.account,
        trade.instrument,
        trade.side,
        trade.product,
        trade.quantity,
        trade.price,
        trade.at_ns,
        trade.exchange_order_id,
        trade.ordered_ns,
    )


def account_record(account: Account) -> Record:
    """Identity, session, funds. Positions follow from trades."""
    names = (
        "api_key",
        "api_secret",
        "user_id",
        "funds",
        "rate_limits",
        "redirect_url",
        "postback_url",
        "app_id",
        "access_token",
        "access_token_expires_ns",
        "login_ns",
        "dialect",
        "request_tokens",
    )
    return ("account", {name: getattr(account, name) for name in names})


def market_record(market: Market) -> Record:
    """An instrument and the state of its market."""
    instrument = market.instrument
    rules = (
        instrument.exchange,
        instrument.symbol,
        instrument.name,
        instrument.exchange_token,
        instrument.kind,
        instrument.tick_size,
        instrument.lot_size,
        instrument.freeze_quantity,
        instrument.expiry,
        instrument.strike,
    )
    day = (
        market.last_price,
        market.open,
        market.high,
        market.low,
        market.close,
        market.volume,
        market.traded_value,
        market.last_quantity,
        market.last_trade_ns,
        market.lower_circuit,
        market.upper_circuit,
        market.depth,
    )
    return ("market", rules, day)


def gtt_record(gtt: Gtt) -> Record:
    """A good-till-triggered order as it is now."""
    legs = [(leg.side, leg.product, leg.quantity, leg.price) for leg in gtt.requests]
    return (
        "gtt",
        gtt.trigger_id,
        gtt.account,
        gtt.kind,
        gtt.instrument,
        gtt.trigger_prices,
        gtt.last_price,
        legs,
        gtt.created_ns,
        gtt.updated_ns,
        gtt.status,
        gtt.fired_leg,
        gtt.result,
    )
