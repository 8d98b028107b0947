"""Collections of a process that trades: what was loaded is never looked at again, the young in portions, the old at night."""

import gc
import json
import subprocess
import sys
from datetime import date

import pytest

from runtime.garbage import MUCH_MORE, QUIET_HOUR, Schedule, memory_in_use, search_all

_PROGRAM = """
import gc
import json
from runtime.garbage import collect_seldom
phases = []
collect_seldom()
gc.callbacks.append(lambda phase, info: phases.append(info["generation"]))
kept = [[] for _ in range(450_000)]
print(json.dumps({"frozen": gc.get_freeze_count(), "full": phases.count(2), "young": phases.count(0)}))
"""
TODAY, TOMORROW = date(2026, 11, 20), date(2026, 11, 21)


@pytest.mark.timeout(120)
def test_nothing_of_the_start_is_looked_at_again_and_the_old_are_not_looked_at_by_day() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["frozen"] > 1_000
    assert seen["full"] == 0
    # Each is told twice, and a third of them look at older portions as well: Python's own portions would be twelve hundred.
    assert 0 < seen["young"] < 700


def test_what_was_left_out_is_searched_with_all_the_rest_and_left_out_again() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    gc.collect()
    try:
        gc.freeze()
        del cycle
        left_out = gc.get_freeze_count()
        assert search_all() > 0
        assert gc.get_freeze_count() > left_out * 0.9
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    ("day", "hour", "more", "due"),
    [
        (TODAY, 11, 0, False),
        (TODAY, QUIET_HOUR, 0, False),
        (TOMORROW, QUIET_HOUR, 0, True),
        (TOMORROW, QUIET_HOUR, -100, True),
        (TOMORROW, QUIET_HOUR + 1, 0, False),
        (TODAY, 11, MUCH_MORE - 1, False),
        (TODAY, 11, MUCH_MORE, True),
    ],
)
def test_all_of_it_is_searched_at_night_and_when_memory_has_grown_by_much(day: date, hour: int, more: int, due: bool) -> None:
    assert Schedule(searched_on=TODAY, memory=300).is_due(day, hour, 300 + more) is due


def test_memory_is_that_of_this_process() -> None:
    before = memory_in_use()
    kept = bytearray(b"x" * (200 * 1024 * 1024))
    assert 150 < memory_in_use() - before < 400
    assert len(kept) == 200 * 1024 * 1024
