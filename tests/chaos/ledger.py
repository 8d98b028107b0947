"""The ledger of a chaos run: what was done to the platform, what it did, and how long anything was left alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from tests.chaos.evidence import Evidence
from tests.chaos.judge import Verdict


@dataclass(slots=True)
class Ledger:
    """Counts of one run; seconds where it says so."""

    seed: int
    seconds: float
    accounts: int
    killed: Counter[str] = field(default_factory=Counter)
    paused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    longest_unmanaged: float = 0.0
    settled_in: float | None = None

    def table(self, evidence: Evidence, verdict: Verdict) -> Table:
        """Everything a reader wants to know, one line each."""
        table = Table(title=f"chaos, seed {self.seed}, {self.seconds:.0f} s, {self.accounts} accounts", show_header=False)
        orders = Counter(str(entry["action"]) for entry in evidence.log)
        struck = Counter(str(entry["fault"]) for entry in evidence.log if entry["action"] == "place" and entry.get("fault"))
        ends = Counter(str(run.end_reason) for run in evidence.runs)
        found, absent = evidence.events.get("order_found", 0), evidence.events.get("order_absent", 0)
        for name, value in (
            ("killed with -9", _counts(self.killed)),
            ("stopped and woken", _counts(self.paused)),
            ("faults injected", _counts(self.faults)),
            ("faults that struck an order", _counts(struck)),
            ("what people did", _counts(self.deeds)),
            ("runs, by their end", _counts(ends)),
            ("orders placed", str(orders["place"])),
            ("modified, cancelled", f"{orders['modify']}, {orders['cancel']}"),
            ("fills", str(orders["fill"])),
            ("orders in doubt, resolved by the book", f"{found + absent}: {found} found, {absent} had never arrived"),
            ("stops crossed while held, answered", _times([answer.seconds for answer in verdict.answers])),
            ("crossings too brief to be seen for certain", str(verdict.brief_crossings)),
            ("longest time an account had no desk", f"{self.longest_unmanaged:.1f} s"),
            ("all ended after the last disturbance", "no" if self.settled_in is None else f"{self.settled_in:.1f} s"),
            ("handed to a person", "\n".join(verdict.handed_over) or "none"),
            ("sold by hand while an exit was selling", "\n".join(verdict.races_with_the_user) or "none"),
        ):
            table.add_row(name, value)
        return table


def _counts(counter: Counter[str]) -> str:
    total = sum(counter.values())
    return f"{total}" + (f" ({', '.join(f'{name} {number}' for name, number in counter.most_common())})" if counter else "")


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    shown = {"median": 0.5, "p90": 0.9, "p99": 0.99}
    figures = ", ".join(f"{name} {ordered[int((len(ordered) - 1) * share)] * 1000:.0f} ms" for name, share in shown.items())
    return f"{len(ordered)}: {figures}, longest {ordered[-1]:.1f} s"
