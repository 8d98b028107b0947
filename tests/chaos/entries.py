"""Entries of a log: the exchange's own, or a paper book told in the same shape."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]
SECOND_NS = 1_000_000_000


def read_log(path: Path) -> Iterator[Entry]:
    """The exchange's log, oldest first."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
