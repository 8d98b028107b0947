"""What the exchange itself has written down: arrivals of orders and fills, in nanoseconds of the machine's one wall clock."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
Entry = Mapping[str, Any]


class ExchangeLog:
    """The log's file. A `mark` is a place in it: what is written later lies behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        return self._path.stat().st_size

    def since(self, mark: int, action: str) -> Iterator[Entry]:
        """Whole lines of that action, oldest first; the exchange may be writing the next one."""
        wanted = b'"action":"' + action.encode() + b'"'
        with self._path.open("rb") as file:
            file.seek(mark)
            for line in file:
                if line.endswith(b"\n") and wanted in line:
                    yield orjson.loads(line)

    def count(self, mark: int, action: str, side: str) -> int:
        """How many accepted entries of that side."""
        return sum(1 for entry in self.since(mark, action) if entry.get("side") == side)

    def first_arrivals(self, mark: int, side: str) -> dict[str, int]:
        """By account: when its first accepted order of that side arrived, nanoseconds."""
        found: dict[str, int] = {}
        for entry in self.since(mark, "place"):
            if entry.get("side") == side:
                found.setdefault(entry["account"], entry["arrived_ns"])
        return found

    def arrivals(self, mark: int, side: str) -> list[int]:
        """When each accepted order of that side arrived, nanoseconds."""
        return [entry["arrived_ns"] for entry in self.since(mark, "place") if entry.get("side") == side]

    def first_fills(self, mark: int, side: str) -> dict[str, int]:
        """By tag: when the order had its first share, nanoseconds."""
        found: dict[str, int] = {}
        for entry in self.since(mark, "fill"):
            if entry["side"] == side:
                found.setdefault(entry["tag"], entry["at_ns"])
        return found

    def last_fill_ns(self, mark: int, side: str) -> int:
        return max(int(entry["at_ns"]) for entry in self.since(mark, "fill") if entry["side"] == side)


def milliseconds(later_ns: int, earlier_ns: int) -> float:
    return (later_ns - earlier_ns) / MILLISECOND_NS
