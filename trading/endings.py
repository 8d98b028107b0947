"""Why a run ended, from what its rows say."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading.orders import OrderState, SupersededFor
from trading.runs import END_REASON_OF_EXIT, EndReason, ExitReason, Holding


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """The last word on one attempt to buy. `message` is the broker's own, or why it was never sent."""

    state: OrderState
    superseded_for: SupersededFor | None
    message: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Everything that decides how a settled run ended."""

    holding: Holding
    entries: Sequence[EntryFacts]
    exit_reason: ExitReason | None
    leave_open: bool
    stop_requested: bool
    handed_over: bool = False
    never_read: bool = False  # an order was still in doubt when the broker's day ended


_OF_SUPERSEDED: dict[SupersededFor, tuple[EndReason, str]] = {
    SupersededFor.STOPPED: (EndReason.STOPPED_BY_USER, "stopped before the entry was sent"),
    SupersededFor.PRICE_AT_STOP: (EndReason.ENTRY_SKIPPED, "the price was at or below the stop-loss at the buy time"),
    SupersededFor.PRICE_AT_TARGET: (EndReason.ENTRY_SKIPPED, "the price was at or above the target at the buy time"),
    SupersededFor.DEADLINE: (EndReason.ENTRY_FAILED, "the entry could not be sent before its deadline"),
    SupersededFor.KILL_SWITCH: (EndReason.KILL_SWITCH, "the kill switch was engaged before the entry was sent"),
    SupersededFor.NOT_NEEDED: (EndReason.STOPPED_BY_USER, "the entry was no longer needed"),
    SupersededFor.HANDED_OVER: (EndReason.ENTRY_FAILED, "the entry could not be sent before the end of the session"),
    SupersededFor.RISK_LIMIT: (EndReason.ENTRY_FAILED, "the entry was over a risk limit"),
    SupersededFor.SUSPENDED: (EndReason.ENTRY_FAILED, "the user was suspended before the entry was sent"),
}


def how_it_ended(facts: RunFacts) -> tuple[EndReason, str]:
    """The end reason of a settled run, and a sentence for its owner where one is needed."""
    holding = facts.holding
    if facts.handed_over and (holding.open_quantity > 0 or facts.never_read):
        return EndReason.HANDED_OVER, _what_is_left(facts)
    if holding.open_quantity < 0:
        return EndReason.HANDED_OVER, f"{-holding.open_quantity} shares too many were sold: look at the position in your account"
    if facts.leave_open and holding.open_quantity > 0:
        return EndReason.LEFT_OPEN_BY_USER, f"{holding.open_quantity} shares were left open at your request"
    if holding.bought and holding.taken_elsewhere:
        return EndReason.CLOSED_ELSEWHERE, f"{holding.taken_elsewhere} shares were sold by somebody else"
    if holding.bought:
        return END_REASON_OF_EXIT[facts.exit_reason or ExitReason.SELL_TIME], ""
    return _never_bought(facts)


def _what_is_left(facts: RunFacts) -> str:
    shares = facts.holding.open_quantity
    open_shares = f"{shares} shares were not sold by this run" if shares > 0 else "nothing is known to be open"
    doubt = "; the outcome of an order was never learned" if facts.never_read else ""
    return f"handed to you: {open_shares}{doubt}. Look at the position in your broker account"


def _never_bought(facts: RunFacts) -> tuple[EndReason, str]:
    last = facts.entries[-1] if facts.entries else None
    if facts.stop_requested:
        return EndReason.STOPPED_BY_USER, "stopped before anything was bought"
    if facts.exit_reason is ExitReason.KILL_SWITCH:
        return EndReason.KILL_SWITCH, "the kill switch was engaged before anything was bought"
    if last is None:
        return EndReason.ENTRY_FAILED, "nothing was attempted"
    if last.superseded_for is not None:
        reason, words = _OF_SUPERSEDED[last.superseded_for]
        return reason, last.message or words
    if last.state is OrderState.CANCELLED:
        return EndReason.ENTRY_FAILED, "the entry was not filled before its deadline and was cancelled"
    return EndReason.ENTRY_FAILED, last.message or f"the entry ended {last.state.value}"
