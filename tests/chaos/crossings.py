"""Crossed stops and their answers: prices and stops are step functions of time, looked at between first fill and first sale."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.chaos.entries import SECOND_NS, Entry
from tests.chaos.evidence import Evidence, RunFacts

# A price that is at a stop for this long has been seen, whatever was killed meanwhile.
VISIBLE_SECONDS = 20.0
# And the exit it calls for has left by then.
ANSWERED_WITHIN_SECONDS = 60.0
# A crossing that is over already is answered by a sale this soon after its end; later ones have other reasons.
SOON_SECONDS = 2.0

Steps = Sequence[tuple[float, Decimal]]
"""Values with the instant (seconds since the epoch) from which they hold, in order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A stop that was crossed while shares were held, and how long its exit order took to arrive, seconds."""

    run_id: str
    crossed_at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Stops:
    """`brief`: crossings that were over before anybody could be blamed for not seeing them."""

    answers: tuple[Answer, ...]
    brief: int
    unanswered: tuple[tuple[RunFacts, str], ...]


@dataclass(frozen=True, slots=True)
class Dip:
    """While the price was at or below the stop; instants in seconds since the epoch."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def judge_stops(evidence: Evidence) -> Stops:
    """Every stop crossed while shares were held and nothing had been sold yet."""
    if not evidence.log:
        return Stops((), 0, ())
    prices = _prices(evidence.log)
    over = evidence.log[-1]["arrived_ns"] / SECOND_NS
    first_fill, first_sale = _firsts(evidence.log)
    answers: list[Answer] = []
    unanswered: list[tuple[RunFacts, str]] = []
    brief = 0
    for run in evidence.runs:
        tags = [order.tag for order in run.orders]
        held_from = min((first_fill[tag] for tag in tags if tag in first_fill), default=None)
        sold_at = min((first_sale[tag] for tag in tags if tag in first_sale), default=None)
        if held_from is None or run.taken_elsewhere:
            continue
        until = min(over, run.left_open_at or over, over if sold_at is None else sold_at + VISIBLE_SECONDS)
        for dip in dips(prices.get(run.symbol, ()), run.stops, begin=held_from, end=until):
            if sold_at is not None and sold_at <= dip.begin:
                break
            if sold_at is not None and sold_at <= dip.end + SOON_SECONDS:
                answers.append(Answer(run.run_id, dip.begin, sold_at - dip.begin))
                if sold_at - dip.begin > ANSWERED_WITHIN_SECONDS:
                    unanswered.append((run, _words(run, dip, sold_at)))
                break
            # Its owner may keep the shares, or move the stop away, as long as the exit could still have come in time.
            ended_by_owner = dip.end == run.left_open_at or any(dip.end == at for at, _ in run.stops)
            limit = ANSWERED_WITHIN_SECONDS if ended_by_owner else VISIBLE_SECONDS
            if dip.seconds >= limit:
                unanswered.append((run, _words(run, dip, sold_at)))
                break
            brief += 1
    return Stops(tuple(answers), brief, tuple(unanswered))


def _words(run: RunFacts, dip: Dip, sold_at: float | None) -> str:
    sold = "never sold" if sold_at is None else f"sold {sold_at - dip.begin:.1f} s after the crossing"
    return f"{run.symbol} {run.run_id} was at its stop for {dip.seconds:.1f} s from {dip.begin:.3f}: {sold}"


def dips(prices: Steps, stops: Steps, *, begin: float, end: float) -> Iterator[Dip]:
    """The spans between `begin` and `end` in which the price is at or below the stop."""
    moments = sorted({begin, *(at for at, _ in (*prices, *stops) if begin < at < end)})
    began: float | None = None
    for moment in moments:
        price, stop = _value(prices, moment), _value(stops, moment)
        is_crossed = price is not None and stop is not None and price <= stop
        if is_crossed and began is None:
            began = moment
        elif not is_crossed and began is not None:
            yield Dip(began, moment)
            began = None
    if began is not None:
        yield Dip(began, end)


def _value(steps: Steps, at: float) -> Decimal | None:
    index = bisect_right(steps, at, key=lambda step: step[0])
    return steps[index - 1][1] if index else None


def _prices(log: Sequence[Entry]) -> Mapping[str, list[tuple[float, Decimal]]]:
    found: dict[str, list[tuple[float, Decimal]]] = defaultdict(list)
    for entry in log:
        if entry["action"] == "price":
            for instrument, price in entry["prices"].items():
                found[instrument.partition(":")[2]].append((entry["sent_ns"] / SECOND_NS, Decimal(str(price))))
    return found


def _firsts(log: Sequence[Entry]) -> tuple[dict[str, float], dict[str, float]]:
    """By tag: when it was first filled as a buy, and when its sale arrived. An expired login has a tag, and no account."""
    bought: dict[str, float] = {}
    sold: dict[str, float] = {}
    for entry in log:
        tag = entry.get("tag") or ""
        if entry["action"] == "fill" and entry["side"] == "BUY":
            bought.setdefault(tag, entry["at_ns"] / SECOND_NS)
        elif entry["action"] == "place" and "SELL" in (entry.get("side"), entry["parameters"].get("transaction_type")):
            sold.setdefault(tag, entry["arrived_ns"] / SECOND_NS)
    return bought, sold
