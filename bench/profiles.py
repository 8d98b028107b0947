"""Profiles that processes have left, as text a person reads."""

import io
import pstats
from pathlib import Path

_SHOWN = 60


def write_tops(folder: Path) -> list[Path]:
    """Beside each profile a text: what took most time by itself, then with everything it called."""
    return [_write_top(path) for path in sorted(folder.glob("*.prof"))]


def _write_top(path: Path) -> Path:
    text = io.StringIO()
    stats = pstats.Stats(str(path), stream=text).strip_dirs()
    for order in (pstats.SortKey.TIME, pstats.SortKey.CUMULATIVE):
        stats.sort_stats(order).print_stats(_SHOWN)
    written = path.with_suffix(".txt")
    written.write_text(text.getvalue(), encoding="utf-8")
    return written
