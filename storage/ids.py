"""Prefixed, time-ordered ids: `run_01J...`. The prefix says what it is, the ULID when it was made."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """A fresh id such as `ord_01jb3m...`; lower case, so that it survives case-folding systems."""
    return f"{prefix}_{str(ULID()).lower()}"
