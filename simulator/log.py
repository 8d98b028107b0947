"""The exchange's own log: what reached it and what became of it. Tests and benchmarks judge by this, not by the client."""

import os
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from simulator.clock import SECOND_NS, now_ns
from simulator.exchange.events import Event, Filled, OrderCancelRequested, OrderChanged, OrderModified, OrderPlaced
from simulator.exchange.orders import Order, Origin
from simulator.money import rupees

KEPT_IN_MEMORY = 200_000
_DROPPED_AT_ONCE = 20_000
Entry = dict[str, Any]


class ExchangeLog:
    """Entries in memory (the newest 200,000) and, with a path, appended to a file, each write flushed."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self.sequence = _last_sequence(path)
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def record(self, action: str, **fields: Any) -> Entry:
        """Append an entry. `arrived_ns` and `monotonic_ns` default to now."""
        self.sequence += 1
        entry: Entry = {"sequence": self.sequence, "action": action, "arrived_ns": now_ns(), "monotonic_ns": 0, **fields}
        if not entry["monotonic_ns"]:
            entry["monotonic_ns"] = time.monotonic_ns()
        self.entries.append(entry)
        if len(self.entries) > KEPT_IN_MEMORY + _DROPPED_AT_ONCE:
            del self.entries[:_DROPPED_AT_ONCE]
        if self._file is not None:
            os.write(self._file, orjson.dumps(entry) + b"\n")
        return entry

    def refused(self, action: str, *, account: str | None, origin: Origin, order_id: str | None, outcome: str) -> None:
        """A place, modify or cancel that had no effect, and why."""
        self.record(
            action,
            account=account,
            tag=origin.parameters.get("tag") or None,
            order_id=order_id,
            parameters=origin.parameters,
            outcome=outcome,
            fault=origin.fault,
            arrived_ns=origin.arrived_ns,
            monotonic_ns=origin.monotonic_ns,
        )

    def priced(self, prices: dict[str, int], *, sent_ns: int, source: str) -> None:
        """Prices that were set, and when their ticks were sent."""
        self.record("price", prices={key: rupees(price) for key, price in prices.items()}, sent_ns=sent_ns, source=source)

    def observe(self, event: Event) -> None:
        """Log what the engine did."""
        match event:
            case OrderPlaced(order=order, origin=origin):
                self._accepted("place", order, origin)
            case OrderModified(order=order, origin=origin):
                self._accepted("modify", order, origin)
            case OrderCancelRequested(order=order, origin=origin):
                self._accepted("cancel", order, origin)
            case Filled(order=order, trade=trade):
                self.record(
                    "fill",
                    account=order.account,
                    tag=order.tag,
                    order_id=order.order_id,
                    trade_id=trade.trade_id,
                    instrument=order.instrument,
                    side=order.side,
                    product=order.product,
                    quantity=trade.quantity,
                    price=rupees(trade.price),
                    filled=order.filled,
                    at_ns=trade.at_ns,
                )
            case OrderChanged(order=order, snapshot=snapshot) if snapshot.status.is_terminal:
                self.record(
                    "terminal",
                    account=order.account,
                    tag=order.tag,
                    order_id=order.order_id,
                    instrument=order.instrument,
                    side=order.side,
                    status=snapshot.status,
                    filled=snapshot.filled,
                    cancelled=snapshot.cancelled,
                    message=snapshot.message,
                    at_ns=snapshot.at_ns,
                )

    def _accepted(self, action: str, order: Order, origin: Origin) -> None:
        self.record(
            action,
            account=order.account,
            tag=order.tag,
            order_id=order.order_id,
            instrument=order.instrument,
            side=order.side,
            parameters=origin.parameters,
            outcome="accepted",
            fault=origin.fault,
            arrived_ns=origin.arrived_ns or now_ns(),
            monotonic_ns=origin.monotonic_ns,
            via_api=order.via_api,
        )

    def since(self, sequence: int, *, limit: int | None = None, **filters: str | None) -> list[Entry]:
        """Entries after a sequence number whose fields equal the given filters (None matches all)."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        newer = islice(self.entries, self._first_after(sequence), None)
        found = (entry for entry in newer if all(entry.get(name) == value for name, value in wanted.items()))
        return list(islice(found, limit))

    def _first_after(self, sequence: int) -> int:
        """Where the entries after a sequence number begin: they are numbered without gaps."""
        return max(0, len(self.entries) - max(0, self.sequence - sequence))

    def stats(self, *, since: int = 0) -> dict[str, Any]:
        """Counts per action, order writes per second and a histogram of arrivals by second."""
        counts: Counter[str] = Counter()
        seconds: Counter[int] = Counter()
        for entry in islice(self.entries, self._first_after(since), None):
            counts[entry["action"]] += 1
            if entry["action"] in ("place", "modify", "cancel"):
                seconds[entry["arrived_ns"] // SECOND_NS] += 1
        return {
            "sequence": self.sequence,
            "counts": counts,
            "busiest_second": max(seconds.values(), default=0),
            "arrivals": [{"second": second, "orders": number} for second, number in sorted(seconds.items())[-120:]],
        }


def _last_sequence(path: Path | None) -> int:
    """Where the numbering of an earlier run ended; 0 for a new or unreadable end."""
    if path is None or not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        lines = file.read().splitlines()
    for line in reversed(lines):
        try:
            return int(orjson.loads(line)["sequence"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
    return 0
