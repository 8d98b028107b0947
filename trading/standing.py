"""Where a run stands under a kill switch, for the person who pressed it. Pure: facts in, a verdict and a sentence out."""

from dataclasses import dataclass
from enum import Enum

from trading.runs import EndReason


class Standing(str, Enum):
    """`flat` is by the run's own fills alone; `flat_verified` by the broker's position as well."""

    WAITING = "waiting"
    NOTHING_BOUGHT = "nothing_bought"
    HELD = "held"
    PENDING = "pending"
    FLAT = "flat"
    FLAT_VERIFIED = "flat_verified"
    DIFFERS = "differs"
    NEEDS_PERSON = "needs_person"


@dataclass(frozen=True, slots=True)
class Position:
    """The broker's net quantity in the run's instrument and product, and what our open runs and the day's beginning explain."""

    seen: int
    explained: int


@dataclass(frozen=True, slots=True)
class StandingFacts:
    """What rows, and perhaps a read of the broker's position, say of one run. `position` is None while it could not be read."""

    symbol: str
    bought: int
    open_quantity: int
    end_reason: EndReason | None
    is_open: bool
    is_selling: bool
    has_working_order: bool
    person_needed_for: str = ""
    position: Position | None = None


def stand(facts: StandingFacts) -> tuple[Standing, str]:
    if facts.person_needed_for:
        return Standing.NEEDS_PERSON, facts.person_needed_for
    if facts.open_quantity > 0 and not facts.is_open:
        return Standing.NEEDS_PERSON, f"{facts.open_quantity} {facts.symbol} were left open; look at your broker account"
    if facts.has_working_order:
        return Standing.PENDING, "an order is still working or its outcome is being read from the broker's book"
    if facts.open_quantity > 0:
        if facts.is_selling:
            return Standing.PENDING, f"{facts.open_quantity} {facts.symbol} are still to be sold"
        return Standing.HELD, f"{facts.open_quantity} {facts.symbol} are held, with their stop-loss and sell time"
    if not facts.bought:
        if facts.is_open and not facts.is_selling:
            return Standing.WAITING, "has bought nothing, and buys nothing while the switch is on"
        return Standing.NOTHING_BOUGHT, "has bought nothing"
    return _flat(facts)


def _flat(facts: StandingFacts) -> tuple[Standing, str]:
    if facts.position is None:
        return Standing.FLAT, "flat by its own fills; the broker's position could not be read now"
    if facts.position.seen == facts.position.explained:
        return Standing.FLAT_VERIFIED, "flat by its own fills and by the broker's position"
    seen, explained = facts.position.seen, facts.position.explained
    return (
        Standing.DIFFERS,
        f"flat by its own fills, but the broker shows {seen} {facts.symbol} where {explained} are known: look at your account",
    )
