"""The judge: what the exchange's own log, and the books of paper accounts, forbid. Pure: evidence in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from tests.chaos.crossings import Answer, Stops, judge_stops
from tests.chaos.entries import SECOND_NS, Entry
from tests.chaos.evidence import Evidence, RunFacts

# A claim is taken before the deadline and may be sent for two seconds; the rest is the clock of a busy machine.
AFTER_DEADLINE_SECONDS = 2.5
# What the user has done by hand is known to the platform after this long: the book is read every 15 s while shares are held, a
# difference must be seen twice, and whoever reads may just have been killed.
KNOWN_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    account: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.account}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Verdict:
    violations: tuple[Violation, ...]
    answers: tuple[Answer, ...] = ()
    brief_crossings: int = 0
    # Runs that did not end and have an alarm, and accounts left short because the user sold in the same moment.
    handed_over: tuple[str, ...] = ()
    races_with_the_user: tuple[str, ...] = ()


def judge(evidence: Evidence) -> Verdict:
    """Everything that is wrong, in the order of the rules."""
    case = Case(evidence)
    stops: Stops = judge_stops(evidence)
    found = [violation for rule in RULES for violation in rule(case)]
    found += [Violation("a crossed stop was not answered", run.account, detail) for run, detail in stops.unanswered]
    handed = [f"{_name(run)}: {', '.join(run.alarms)}" for run in evidence.runs if not run.is_ended and run.alarms]
    return Verdict(tuple(found), stops.answers, stops.brief, tuple(handed), tuple(_shorts(case)))


class Case:
    """The evidence, indexed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.runs = evidence.runs
        self.paper = evidence.paper
        self.placed = [entry for entry in evidence.log if entry["action"] == "place" and entry.get("via_api", True)]
        self.fills = [entry for entry in evidence.log if entry["action"] == "fill"]
        self.terminal_at = {entry["order_id"]: entry["sequence"] for entry in evidence.log if entry["action"] == "terminal"}
        self._of_tag = {(run.account, order.tag): (run, order) for run in evidence.runs for order in run.orders}

    def run(self, entry: Entry) -> RunFacts | None:
        found = self._of_tag.get((entry["account"], entry.get("tag") or ""))
        return None if found is None else found[0]

    def deadline(self, entry: Entry) -> float | None:
        found = self._of_tag.get((entry["account"], entry.get("tag") or ""))
        return None if found is None else found[1].deadline

    def fills_by_run(self) -> Mapping[str, list[Entry]]:
        return _grouped(self.fills, lambda fill: run.run_id if (run := self.run(fill)) else None)

    def fills_by_place(self) -> Mapping[tuple[str, str], list[Entry]]:
        """By account and instrument, whoever traded."""
        return _grouped(self.fills, lambda fill: (fill["account"], fill["instrument"]))


Key = TypeVar("Key", bound=Hashable)
Rule = Callable[[Case], Iterator[Violation]]


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Key | None]) -> Mapping[Key, list[Entry]]:
    found: dict[Key, list[Entry]] = defaultdict(list)
    for entry in entries:
        group = key(entry)
        if group is not None:
            found[group].append(entry)
    return found


def signed(fill: Entry) -> int:
    quantity = int(fill["quantity"])
    return quantity if fill["side"] == "BUY" else -quantity


def _side(entry: Entry) -> str:
    """Of a request; one that was refused has it among its parameters only."""
    return str(entry.get("side") or entry["parameters"].get("transaction_type"))


def _name(run: RunFacts) -> str:
    return f"{run.account} {run.symbol} {run.run_id}"


def sent_twice(case: Case) -> Iterator[Violation]:
    """No tag reaches the exchange twice, whatever became of the first."""
    requests = Counter((entry["account"], entry["tag"]) for entry in case.placed if entry.get("tag"))
    for (account, tag), number in requests.items():
        if number > 1:
            yield Violation("an attempt was sent twice", account, f"tag {tag} arrived {number} times")


def without_a_row(case: Case) -> Iterator[Violation]:
    """No order without its intention in our rows."""
    for entry in case.placed:
        if entry["account"] is not None and case.run(entry) is None:
            yield Violation("an order nobody wrote down", entry["account"], f"tag {entry.get('tag')}, {entry['parameters']}")


def runs_oversold(case: Case) -> Iterator[Violation]:
    """A run sells at most what it bought."""
    for run_id, fills in case.fills_by_run().items():
        held = 0
        for fill in fills:
            held += signed(fill)
            if held < 0:
                yield Violation("a run sold more than it bought", fill["account"], f"{run_id} {fill['instrument']} holds {held}")
                break


def accounts_oversold(case: Case) -> Iterator[Violation]:
    """Our sales take no position below zero, or below the short that the user has made by hand himself.

    What he has just sold by hand may be unknown yet: a sale that meets it makes a short which is his to mend.
    """
    for (account, instrument), fills in case.fills_by_place().items():
        position, floor = 0, 0
        sold_by_hand: list[tuple[int, int]] = []
        for fill in fills:
            position += signed(fill)
            if case.run(fill) is None:
                floor = _own_short(floor, position, signed(fill))
                sold_by_hand.append((fill["at_ns"], max(0, -signed(fill))))
            elif position < floor:
                unknown_since = fill["at_ns"] - int(KNOWN_AFTER_SECONDS * SECOND_NS)
                unknown = sum(quantity for at, quantity in sold_by_hand if at > unknown_since)
                if floor - position > unknown:
                    detail = f"{instrument}: {position} after the sale tagged {fill['tag']}, of which {floor} by hand"
                    yield Violation("more was sold than was there", account, detail)
                    break
                floor = position


def _own_short(before: int, position: int, bought: int) -> int:
    """The short that is the user's own (zero or less) after he has traded by hand and the account is at `position`."""
    return min(0, before + bought) if bought > 0 else min(before, position)


def two_exits_at_once(case: Case) -> Iterator[Violation]:
    """A second exit leaves only when the first is dead."""
    sales = [entry for entry in case.placed if entry["outcome"] == "accepted" and _side(entry) == "SELL"]
    for run_id, entries in _grouped(sales, lambda entry: run.run_id if (run := case.run(entry)) else None).items():
        for before, after in pairwise(entries):
            if case.terminal_at.get(before["order_id"], after["sequence"]) >= after["sequence"]:
                detail = f"{run_id}: {after['tag']} was accepted while {before['tag']} was alive"
                yield Violation("two exits at once", after["account"], detail)


def late_entries(case: Case) -> Iterator[Violation]:
    """No entry reaches the exchange after its deadline."""
    for entry in case.placed:
        deadline = case.deadline(entry)
        late = 0.0 if deadline is None else entry["arrived_ns"] / SECOND_NS - deadline
        if _side(entry) == "BUY" and late > AFTER_DEADLINE_SECONDS:
            yield Violation("an entry after its deadline", entry["account"], f"tag {entry['tag']}, {late:.1f} s late")


def rows_differ(case: Case) -> Iterator[Violation]:
    """What we believe of a run is what the exchange says."""
    fills_of = case.fills_by_run()
    for run in case.runs:
        fills = fills_of.get(run.run_id, [])
        bought, sold = (sum(abs(signed(fill)) for fill in fills if fill["side"] == side) for side in ("BUY", "SELL"))
        if (bought, sold) != (run.bought, run.sold):
            detail = f"{_name(run)}: the exchange says {bought} bought, {sold} sold; we say {run.bought}, {run.sold}"
            yield Violation("rows and exchange differ", run.account, detail)


def not_flat(case: Case) -> Iterator[Violation]:
    """A run ends flat, or kept open on its owner's word; one that does not end has an alarm, and so has one that sold what its
    owner was selling by hand at the same moment (whether that could be helped, `accounts_oversold` says)."""
    for run in case.runs:
        left = run.bought - run.sold - run.taken_elsewhere
        if not run.is_ended and not run.alarms:
            yield Violation("a run does not end and nobody is told", run.account, f"{_name(run)} holds {left}")
        elif run.is_ended and left != 0 and run.left_open_at is None and not (left < 0 and "oversold" in run.alarms):
            yield Violation("a run ended with shares", run.account, f"{_name(run)} ended {run.end_reason} with {left}")


def taken_without_reason(case: Case) -> Iterator[Violation]:
    """Shares are taken off a run only when somebody else has sold that many. An exit that met its owner's sale by hand has sold
    too: those shares are gone from whoever buys next, once for the sale and once for the exit."""
    taken, gone = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for run in case.runs:
        place = run.account, f"NSE:{run.symbol}"
        taken[place] += run.taken_elsewhere
        if "oversold" in run.alarms:
            gone[place] += max(run.sold + run.taken_elsewhere - run.bought, 0)
    for (account, instrument), quantity in taken.items():
        fills = case.fills_by_place().get((account, instrument), []) if quantity else []
        by_hand = sum(int(fill["quantity"]) for fill in fills if fill["side"] == "SELL" and case.run(fill) is None)
        if quantity > by_hand + gone[account, instrument]:
            detail = f"{instrument}: {quantity} taken off runs, {by_hand} sold by hand"
            yield Violation("shares were written off", account, detail)


def books_contradict(case: Case) -> Iterator[Violation]:
    """Orders, trades, cash and shares of a paper account say the same, and it owes nobody a share."""
    for account, detail in case.paper.errors():
        yield Violation("a paper book contradicts itself", account, detail)


RULES: tuple[Rule, ...] = (
    sent_twice,
    without_a_row,
    runs_oversold,
    accounts_oversold,
    two_exits_at_once,
    late_entries,
    rows_differ,
    not_flat,
    taken_without_reason,
    books_contradict,
)


def _shorts(case: Case) -> Iterator[str]:
    """Accounts that end below zero: somebody sold by hand what an exit was selling at the same moment."""
    for (account, instrument), fills in case.fills_by_place().items():
        net = sum(signed(fill) for fill in fills)
        if net < 0:
            yield f"{account} {instrument}: {net}"
