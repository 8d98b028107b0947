"""Prefixed, time-ordered ids: `run_01J...`. The prefix says what it is, the ULID when it was made."""

import re

from ulid import ULID


def new_id(prefix: str) -> str:
    """A fresh id such as `ord_01jb3m...`; lower case, so that it survives case-folding systems."""
    return f"{prefix}_{str(ULID()).lower()}"


def is_id(text: str, prefix: str) -> bool:
    """Whether the text could be an id of that kind."""
    return re.fullmatch(rf"{prefix}_[0-9a-z]{{26}}", text) is not None
