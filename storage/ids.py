"""Prefixed, time-ordered ids: `run_01J...`. The prefix says what it is, the ULID when it was made."""

import re
from datetime import datetime

from ulid import ULID


def new_id(prefix: str) -> str:
    """A fresh id such as `ord_01jb3m...`; lower case, so that it survives case-folding systems."""
    return f"{prefix}_{str(ULID()).lower()}"


def is_id(text: str, prefix: str) -> bool:
    """Whether the text could be an id of that kind."""
    return re.fullmatch(rf"{prefix}_[0-9a-z]{{26}}", text) is not None


def id_at(prefix: str, at: datetime) -> str:
    """The lowest id of that instant's millisecond: a span of time as a span of ids."""
    milliseconds = int(at.timestamp() * 1_000)
    return f"{prefix}_{str(ULID.from_bytes(max(0, milliseconds).to_bytes(6, 'big') + bytes(10))).lower()}"
