from decimal import Decimal
from itertools import product

import pytest

from trading.endings import EntryFacts, RunFacts, how_it_ended
from trading.orders import DEAD_STATES, OrderState, SupersededFor
from trading.runs import END_REASON_OF_EXIT, EndReason, ExitReason, Holding

NOTHING = Holding()
FLAT = Holding(100, Decimal(350_000), 100, Decimal(351_000))
HALF_SOLD = Holding(100, Decimal(350_000), 50, Decimal(175_500))
CLOSED_BY_HAND = Holding(100, Decimal(350_000), 40, Decimal(140_400), taken_elsewhere=60)

FILLED = EntryFacts(OrderState.FILLED, None, "")
CANCELLED = EntryFacts(OrderState.CANCELLED, None, "")
ABSENT = EntryFacts(OrderState.ABSENT, None, "")


def rejected(message: str) -> EntryFacts:
    return EntryFacts(OrderState.REJECTED, None, message)


def superseded(why: SupersededFor) -> EntryFacts:
    return EntryFacts(OrderState.SUPERSEDED, why, "")


def facts(
    holding: Holding = NOTHING,
    *entries: EntryFacts,
    exit_reason: ExitReason | None = None,
    leave_open: bool = False,
    stop_requested: bool = False,
) -> RunFacts:
    return RunFacts(holding, entries, exit_reason, leave_open, stop_requested)


def handed_over(holding: Holding, *entries: EntryFacts, never_read: bool = False) -> RunFacts:
    return RunFacts(holding, entries, ExitReason.SELL_TIME, False, False, handed_over=True, never_read=never_read)


CASES = [
    (
        "handed over with shares",
        handed_over(HALF_SOLD, FILLED),
        EndReason.HANDED_OVER,
        "handed to you: 50 shares were not sold by this run. Look at the position in your broker account",
    ),
    (
        "handed over with an order nobody could read",
        handed_over(NOTHING, EntryFacts(OrderState.HANDED_OVER, None, ""), never_read=True),
        EndReason.HANDED_OVER,
        "handed to you: nothing is known to be open; the outcome of an order was never learned. "
        "Look at the position in your broker account",
    ),
    ("handed over and sold after all", handed_over(FLAT, FILLED), EndReason.SOLD_AT_TIME, ""),
    ("its time", facts(FLAT, FILLED, exit_reason=ExitReason.SELL_TIME), EndReason.SOLD_AT_TIME, ""),
    ("its target", facts(FLAT, FILLED, exit_reason=ExitReason.TARGET), EndReason.TARGET, ""),
    (
        "a price at the target at the buy time",
        facts(NOTHING, superseded(SupersededFor.PRICE_AT_TARGET)),
        EndReason.ENTRY_SKIPPED,
        "the price was at or above the target at the buy time",
    ),
    ("its stop", facts(FLAT, FILLED, exit_reason=ExitReason.STOP_LOSS), EndReason.STOP_LOSS, ""),
    (
        "a stop request",
        facts(FLAT, FILLED, exit_reason=ExitReason.USER_STOP, stop_requested=True),
        EndReason.STOPPED_BY_USER,
        "",
    ),
    (
        "a stop that came true while the user asked to stop",
        facts(FLAT, FILLED, exit_reason=ExitReason.STOP_LOSS, stop_requested=True),
        EndReason.STOP_LOSS,
        "",
    ),
    ("the kill switch", facts(FLAT, FILLED, exit_reason=ExitReason.KILL_SWITCH), EndReason.KILL_SWITCH, ""),
    ("a late fill", facts(FLAT, ABSENT, exit_reason=ExitReason.LATE_FILL), EndReason.ENTRY_FAILED, ""),
    (
        "left open",
        facts(HALF_SOLD, FILLED, leave_open=True, stop_requested=True),
        EndReason.LEFT_OPEN_BY_USER,
        "50 shares were left open at your request",
    ),
    (
        "asked to be left open when nothing was left",
        facts(FLAT, FILLED, exit_reason=ExitReason.STOP_LOSS, leave_open=True, stop_requested=True),
        EndReason.STOP_LOSS,
        "",
    ),
    (
        "closed by hand",
        facts(CLOSED_BY_HAND, FILLED, exit_reason=ExitReason.SELL_TIME),
        EndReason.CLOSED_ELSEWHERE,
        "60 shares were sold by somebody else",
    ),
    (
        "stopped before the entry was sent",
        facts(NOTHING, superseded(SupersededFor.STOPPED)),
        EndReason.STOPPED_BY_USER,
        "stopped before the entry was sent",
    ),
    (
        "stopped before anything was armed",
        facts(NOTHING, stop_requested=True),
        EndReason.STOPPED_BY_USER,
        "stopped before anything was bought",
    ),
    (
        "stopped while the entry was refused",
        facts(NOTHING, rejected("margin"), stop_requested=True),
        EndReason.STOPPED_BY_USER,
        "stopped before anything was bought",
    ),
    (
        "the price was at its stop",
        facts(NOTHING, superseded(SupersededFor.PRICE_AT_STOP)),
        EndReason.ENTRY_SKIPPED,
        "the price was at or below the stop-loss at the buy time",
    ),
    (
        "the kill switch before the entry",
        facts(NOTHING, superseded(SupersededFor.KILL_SWITCH)),
        EndReason.KILL_SWITCH,
        "the kill switch was engaged before the entry was sent",
    ),
    (
        "not sent in time",
        facts(NOTHING, superseded(SupersededFor.DEADLINE)),
        EndReason.ENTRY_FAILED,
        "the entry could not be sent before its deadline",
    ),
    (
        "no longer needed",
        facts(NOTHING, superseded(SupersededFor.NOT_NEEDED)),
        EndReason.STOPPED_BY_USER,
        "the entry was no longer needed",
    ),
    (
        "not filled in time",
        facts(NOTHING, CANCELLED),
        EndReason.ENTRY_FAILED,
        "the entry was not filled before its deadline and was cancelled",
    ),
    (
        "refused, in the broker's words",
        facts(NOTHING, ABSENT, rejected("Insufficient funds. Required margin is 3,50,000")),
        EndReason.ENTRY_FAILED,
        "Insufficient funds. Required margin is 3,50,000",
    ),
    ("refused without a word", facts(NOTHING, rejected("")), EndReason.ENTRY_FAILED, "the entry ended rejected"),
    ("never reached the broker", facts(NOTHING, ABSENT), EndReason.ENTRY_FAILED, "the entry ended absent"),
    ("nothing was attempted", facts(NOTHING), EndReason.ENTRY_FAILED, "nothing was attempted"),
]


@pytest.mark.parametrize(("run", "reason", "detail"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_run_ends_for(run: RunFacts, reason: EndReason, detail: str) -> None:
    assert how_it_ended(run) == (reason, detail)


def test_rows_reach_every_end_except_the_one_that_is_given() -> None:
    """A missed run has no rows that could say so."""
    assert {reason for _, _, reason, _ in CASES} == set(EndReason) - {EndReason.MISSED}


def test_the_last_attempt_to_buy_has_the_last_word() -> None:
    first, last = rejected("too many requests"), superseded(SupersededFor.DEADLINE)
    assert how_it_ended(facts(NOTHING, first, last))[0] is EndReason.ENTRY_FAILED
    assert how_it_ended(facts(NOTHING, first, last))[1] == "the entry could not be sent before its deadline"


@pytest.mark.parametrize("exit_reason", list(ExitReason))
def test_what_was_bought_and_sold_ends_for_the_reason_it_was_sold(exit_reason: ExitReason) -> None:
    assert how_it_ended(facts(FLAT, FILLED, exit_reason=exit_reason)) == (END_REASON_OF_EXIT[exit_reason], "")


def test_a_run_that_bought_nothing_never_claims_to_have_sold() -> None:
    dead = [EntryFacts(state, None, "") for state in DEAD_STATES - {OrderState.SUPERSEDED}]
    gone = [superseded(why) for why in SupersededFor]
    for entry, exit_reason, stop in product([*dead, *gone], [None, *ExitReason], [True, False]):
        reason, detail = how_it_ended(facts(NOTHING, entry, exit_reason=exit_reason, stop_requested=stop))
        assert reason in (
            EndReason.STOPPED_BY_USER,
            EndReason.ENTRY_SKIPPED,
            EndReason.ENTRY_FAILED,
            EndReason.KILL_SWITCH,
        )
        assert detail
