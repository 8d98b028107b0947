"""Short runs of the real thing: everything is killed while people trade, and the only worker dies amid a herd of exits.

The long ones are run by hand: `python -m tests.chaos` (docs/chaos.md).
"""

from pathlib import Path

import pytest

from tests.chaos import exits, scenario

# No assertion depends on how fast the machine is; only a failure takes this long.
LIMIT_SECONDS = 600


@pytest.mark.timeout(LIMIT_SECONDS)
async def test_a_short_chaos_leaves_nothing_forbidden_in_the_exchanges_log(tmp_path: Path) -> None:
    plan = scenario.Plan(seed=7, seconds=22.0, accounts=6, strategies=3, workers=2, state=tmp_path)
    outcome = await scenario.run(plan, scenario.Progress(plan))
    assert outcome.verdict.violations == ()
    assert outcome.ledger.settled_in is not None, "not everything had ended"
    assert sum(outcome.ledger.killed.values()) > 0
    assert sum(outcome.ledger.faults.values()) > 0
    assert sum(run.bought > 0 for run in outcome.evidence.runs) > 0


@pytest.mark.timeout(LIMIT_SECONDS)
async def test_the_only_worker_killed_amid_forty_exits_leaves_every_account_flat_and_sold_once(tmp_path: Path) -> None:
    report = await exits.run(tmp_path, count=40, say=lambda _: None)
    assert report.problems == ()
    assert report.arrived_at_kill > 0
