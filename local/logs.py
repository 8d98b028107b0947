"""Log files of the parts: appended to, set aside when they have grown, and quoted when something fails."""

from pathlib import Path
from typing import BinaryIO

_ROTATE_BYTES = 10 * 1024 * 1024


def open_log(path: Path) -> BinaryIO:
    """Opens for appending; a file over 10 MiB is kept once as `<name>.1` and a new one begun."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _ROTATE_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def tail(path: Path, *, from_offset: int = 0, lines: int = 15) -> str:
    """The last lines written after `from_offset`, as text."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        size = log.seek(0, 2)
        # A rotated or cleared file is shorter than the offset: then all of it is new.
        start = from_offset if from_offset <= size else 0
        log.seek(max(start, size - 64 * 1024))
        text = log.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])
