"""Collections of a process that trades: what was loaded is never looked at again, the young in portions."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import gc
import json
from runtime.garbage import collect_seldom
phases = []
collect_seldom()
gc.callbacks.append(lambda phase, info: phases.append(info["generation"]))
kept = [[] for _ in range(150_000)]
print(json.dumps({"frozen": gc.get_freeze_count(), "full": phases.count(2), "young": phases.count(0)}))
"""


@pytest.mark.timeout(120)
def test_nothing_of_the_start_is_looked_at_again_and_full_collections_are_rare() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["frozen"] > 1_000
    assert seen["full"] == 0
    assert 0 < seen["young"] < 200
