"""The only worker dies with -9 amid many exits: how long after its restart each position is flat.

Crash, judge and rows are those of the chaos tests (tests/chaos/exits.py); here they are a measurement.
"""

from bench.result import Measured, Row, Statistic, Target
from bench.stack import Options
from tests.chaos import exits

# By the state of the exit's row when the worker died.
IN_DOUBT = frozenset({"sending", "unknown"})
UNTOUCHED_OR_FOUND = (Target(Statistic.MOST, 5),)
DOUBTFUL = (Target(Statistic.MOST, 15),)


async def measure(options: Options) -> Measured:
    report = await exits.run(options.state, count=options.count, say=options.say)
    doubtful = [second for state, seconds in report.seconds_to_flat.items() if state in IN_DOUBT for second in seconds]
    others = [second for state, seconds in report.seconds_to_flat.items() if state not in IN_DOUBT for second in seconds]
    amid = f"worker killed amid {report.count} exits"
    remark = "process start of the next worker to the last share sold"
    rows = [Row(f"{amid}: untouched or found", "s", tuple(others), UNTOUCHED_OR_FOUND, remark)] if others else []
    rows += [Row(f"{amid}: in doubt", "s", tuple(doubtful), DOUBTFUL, remark)] if doubtful else []
    facts: dict[str, float | str] = {
        "exits at the exchange when the worker was killed": report.arrived_at_kill,
        "next worker process started after (s)": round(report.restarted_after, 2),
        **{f"exits then {state}": len(seconds) for state, seconds in report.seconds_to_flat.items()},
    }
    return Measured(tuple(rows), facts=facts, problems=report.problems)
