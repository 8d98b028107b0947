"""What a run's orders need next, case by case. The state machine beside this file looks for the cases nobody thought of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.trading.toy_market import ToyMarket
from trading.next_step import (
    LONGEST_PAUSE,
    MAX_ENTRY_ATTEMPTS,
    MAX_MODIFICATIONS,
    OVERDUE,
    REPRICE_AFTER,
    SELF_TRADE_WAIT,
    SETTLE,
    ArmExit,
    AttemptView,
    Cancel,
    Fire,
    GiveUpReading,
    HandOver,
    Modify,
    ResizeArmed,
    RetryEntry,
    RunView,
    Step,
    Supersede,
    entry_is_over,
    is_settled,
    next_steps,
)
from trading.orders import DEAD_STATES, IN_DOUBT_STATES, Leg, OrderState, RefusalKind, SupersededFor

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
DEADLINE = NOW + timedelta(seconds=20)
ENTRY = AttemptView("entry-1", 1, OrderState.ARMED, 10, 0, deadline_at=DEADLINE)
BOUGHT = replace(ENTRY, state=OrderState.FILLED, filled_quantity=10)
EXIT = AttemptView("exit-1", 1, OrderState.ARMED, 10, 0)
WORKING = replace(EXIT, state=OrderState.OPEN, touched_at=NOW)


def run(
    *attempts: AttemptView,
    bought: int | None = None,
    exit_wanted_at: datetime | None = None,
    leave_open: bool = False,
    entries_locked: bool = False,
    is_suspended: bool = False,
    taken_elsewhere: int = 0,
    session_since: datetime | None = None,
    fires_by_itself: bool = False,
    is_handed_over: bool = False,
    hand_over_at: datetime | None = None,
    day_ends_at: datetime | None = None,
) -> RunView:
    entries = tuple(attempt for attempt in attempts if attempt.order_id.startswith("entry"))
    exits = tuple(attempt for attempt in attempts if attempt.order_id.startswith("exit"))
    return RunView(
        quantity=10,
        bought=sum(entry.filled_quantity for entry in entries) if bought is None else bought,
        sold=sum(leaving.filled_quantity for leaving in exits),
        taken_elsewhere=taken_elsewhere,
        entries=entries,
        exits=exits,
        is_handed_over=is_handed_over,
        hand_over_at=hand_over_at,
        day_ends_at=day_ends_at,
        exit_wanted_at=exit_wanted_at,
        leave_open=leave_open,
        entries_locked=entries_locked,
        is_suspended=is_suspended,
        session_since=session_since,
        fires_by_itself=fires_by_itself,
    )


def steps(view: RunView, *, after: timedelta = timedelta(0)) -> list[Step]:
    return list(next_steps(view, NOW + after))


def ended(attempt: AttemptView, state: OrderState, refusal: RefusalKind | None = None) -> AttemptView:
    return replace(attempt, state=state, refusal=refusal, ended_at=NOW)


def refusals(*kinds: RefusalKind) -> list[AttemptView]:
    """Exits refused one after the other, the last one now."""
    return [
        replace(ended(EXIT, OrderState.REJECTED, kind), order_id=f"exit-{number}", attempt=number)
        for number, kind in enumerate(kinds, start=1)
    ]


# --- the entry --------------------------------------------------------------------------------------------------------


def test_an_armed_entry_waits_for_its_moment() -> None:
    assert steps(run(ENTRY)) == []


def test_an_entry_somebody_asks_for_is_fired() -> None:
    assert steps(run(replace(ENTRY, wanted_at=NOW))) == [Fire("entry-1")]


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (run(replace(ENTRY, wanted_at=NOW), exit_wanted_at=NOW), SupersededFor.STOPPED),
        (run(replace(ENTRY, wanted_at=NOW), leave_open=True), SupersededFor.STOPPED),
        (run(replace(ENTRY, wanted_at=NOW), entries_locked=True), SupersededFor.KILL_SWITCH),
        (run(replace(ENTRY, wanted_at=NOW), is_suspended=True), SupersededFor.SUSPENDED),
        (run(replace(ENTRY, wanted_at=NOW, deadline_at=NOW)), SupersededFor.DEADLINE),
    ],
    ids=["leaving", "kept by the user", "kill switch", "suspended", "deadline"],
)
def test_an_armed_entry_nobody_wants_any_more_never_leaves(view: RunView, why: SupersededFor) -> None:
    assert steps(view) == [Supersede("entry-1", why)]


@pytest.mark.parametrize("state", sorted(IN_DOUBT_STATES))
def test_an_entry_in_doubt_is_left_alone_whatever_is_wanted(state: OrderState) -> None:
    doubtful = replace(ENTRY, state=state)
    assert steps(run(doubtful, exit_wanted_at=NOW, entries_locked=True), after=timedelta(hours=1)) == []


def test_the_rest_of_an_entry_is_cancelled_at_its_deadline() -> None:
    partly = replace(ENTRY, state=OrderState.OPEN, filled_quantity=4)
    covered = replace(EXIT, quantity=4)
    assert steps(run(partly, covered)) == []
    assert steps(run(partly, covered), after=timedelta(seconds=20)) == [Cancel("entry-1")]


def test_a_cancellation_is_repeated_only_after_a_while_and_never_while_one_is_under_way() -> None:
    asked = replace(ENTRY, state=OrderState.OPEN, cancel_wanted_at=NOW)
    assert steps(run(asked, exit_wanted_at=NOW), after=REPRICE_AFTER - timedelta(milliseconds=1)) == []
    assert steps(run(asked, exit_wanted_at=NOW), after=REPRICE_AFTER) == [Cancel("entry-1")]
    assert steps(run(replace(asked, change_pending=True), exit_wanted_at=NOW), after=REPRICE_AFTER) == []


def test_a_filled_entry_whose_trades_are_not_read_yet_is_not_cancelled() -> None:
    full = replace(ENTRY, state=OrderState.OPEN, filled_quantity=10)
    assert Cancel("entry-1") not in steps(run(full, exit_wanted_at=NOW))


@pytest.mark.parametrize("kind", list(RefusalKind))
def test_a_refused_entry_is_tried_again_only_where_that_can_help(kind: RefusalKind) -> None:
    expected: list[Step] = [RetryEntry(2, 10, DEADLINE)] if kind.is_retryable else []
    assert steps(run(ended(ENTRY, OrderState.REJECTED, kind))) == expected


def test_an_entry_the_book_rejected_is_not_tried_again() -> None:
    assert steps(run(ended(ENTRY, OrderState.REJECTED))) == []


def test_an_entry_proven_absent_is_tried_again_for_what_is_missing() -> None:
    absent = ended(replace(ENTRY, filled_quantity=3), OrderState.ABSENT)
    assert RetryEntry(2, 7, DEADLINE) in steps(run(absent))


def test_an_entry_is_tried_three_times() -> None:
    attempts = [
        replace(ended(ENTRY, OrderState.ABSENT), order_id=f"entry-{number}", attempt=number)
        for number in range(1, MAX_ENTRY_ATTEMPTS + 1)
    ]
    assert steps(run(*attempts[:-1])) == [RetryEntry(3, 10, DEADLINE)]
    assert steps(run(*attempts)) == []


@pytest.mark.parametrize(
    "view",
    [
        run(ended(ENTRY, OrderState.ABSENT), exit_wanted_at=NOW),
        run(ended(ENTRY, OrderState.ABSENT), leave_open=True),
        run(ended(ENTRY, OrderState.ABSENT), entries_locked=True),
        run(ended(ENTRY, OrderState.ABSENT), is_suspended=True),
        run(ended(replace(ENTRY, deadline_at=NOW), OrderState.ABSENT)),
        run(ended(ENTRY, OrderState.CANCELLED)),
        run(BOUGHT, EXIT),
        run(ended(BOUGHT, OrderState.ABSENT), EXIT),
    ],
    ids=["leaving", "kept", "kill switch", "suspended", "deadline", "cancelled", "filled", "absent, and filled after all"],
)
def test_no_new_attempt_to_buy_once_it_is_over(view: RunView) -> None:
    assert not any(isinstance(step, RetryEntry) for step in next_steps(view, NOW))


def test_an_entry_is_over_when_nothing_lives_and_nothing_follows() -> None:
    assert not entry_is_over(run(), NOW)
    assert not entry_is_over(run(ENTRY), NOW)
    assert not entry_is_over(run(ended(ENTRY, OrderState.ABSENT)), NOW)
    assert entry_is_over(run(ended(ENTRY, OrderState.ABSENT)), DEADLINE)
    assert entry_is_over(run(BOUGHT, EXIT), NOW)
    assert entry_is_over(run(ended(ENTRY, OrderState.REJECTED, RefusalKind.MARGIN)), NOW)


@pytest.mark.parametrize("armed", [ENTRY, EXIT], ids=["entry", "exit"])
def test_an_order_whose_timer_was_lost_is_fired_once_it_is_overdue_and_only_by_a_desk_that_fires(armed: AttemptView) -> None:
    due = replace(armed, fire_at=NOW)
    others = [BOUGHT] if armed is EXIT else []
    view = run(*others, due, fires_by_itself=True)
    assert steps(view, after=OVERDUE - timedelta(milliseconds=1)) == []
    assert steps(view, after=OVERDUE) == [Fire(armed.order_id)]
    assert steps(run(*others, due), after=OVERDUE) == []


# --- covering what is bought ------------------------------------------------------------------------------------------


def test_the_first_filled_share_is_covered_while_the_entry_still_works() -> None:
    partly = replace(ENTRY, state=OrderState.OPEN, filled_quantity=1)
    assert steps(run(partly)) == [ArmExit(1, 1, 0, wanted=False)]


def test_an_armed_exit_grows_with_the_fills() -> None:
    partly = replace(ENTRY, state=OrderState.OPEN, filled_quantity=6)
    assert steps(run(partly, replace(EXIT, quantity=1))) == [ResizeArmed("exit-1", 6)]


def test_an_exit_of_the_right_size_waits_for_its_stop_or_its_time() -> None:
    assert steps(run(BOUGHT, EXIT), after=timedelta(hours=5)) == []


def test_an_exit_somebody_wants_out_is_fired() -> None:
    assert steps(run(BOUGHT, EXIT, exit_wanted_at=NOW)) == [Fire("exit-1")]
    assert steps(run(BOUGHT, replace(EXIT, wanted_at=NOW))) == [Fire("exit-1")]


def test_a_wanted_exit_is_resized_before_it_is_fired() -> None:
    assert steps(run(BOUGHT, replace(EXIT, quantity=4), exit_wanted_at=NOW)) == [ResizeArmed("exit-1", 10)]


def test_an_armed_exit_of_a_flat_run_is_not_needed() -> None:
    assert steps(run(BOUGHT, EXIT, taken_elsewhere=10)) == [Supersede("exit-1", SupersededFor.NOT_NEEDED)]


def test_an_exit_waits_a_moment_for_its_own_resting_buy_to_be_gone() -> None:
    partly = replace(ENTRY, state=OrderState.OPEN, filled_quantity=4, cancel_wanted_at=NOW, change_pending=True)
    view = run(partly, replace(EXIT, quantity=4), exit_wanted_at=NOW)
    assert steps(view, after=SELF_TRADE_WAIT - timedelta(milliseconds=1)) == []
    assert steps(view, after=SELF_TRADE_WAIT) == [Fire("exit-1")]


def test_a_buy_in_doubt_also_counts_as_resting() -> None:
    doubtful = replace(ENTRY, order_id="entry-2", attempt=2, state=OrderState.UNKNOWN)
    view = run(replace(BOUGHT, filled_quantity=4), doubtful, replace(EXIT, quantity=4), exit_wanted_at=NOW)
    assert steps(view) == []


# --- a working exit ---------------------------------------------------------------------------------------------------


def test_a_fresh_exit_is_left_to_fill() -> None:
    assert steps(run(BOUGHT, WORKING, exit_wanted_at=NOW), after=REPRICE_AFTER - timedelta(milliseconds=1)) == []


def test_an_exit_that_does_not_fill_follows_the_price_with_a_wider_band() -> None:
    assert steps(run(BOUGHT, WORKING, exit_wanted_at=NOW), after=REPRICE_AFTER) == [Modify("exit-1", 10, 1)]


def test_the_rest_of_a_partly_filled_exit_is_repriced_with_its_whole_quantity() -> None:
    partly = replace(WORKING, filled_quantity=3, band_step=2)
    assert steps(run(BOUGHT, partly, exit_wanted_at=NOW), after=REPRICE_AFTER) == [Modify("exit-1", 10, 3)]


def test_late_fills_of_the_entry_are_added_at_once_at_the_same_band() -> None:
    view = run(BOUGHT, replace(WORKING, quantity=7), exit_wanted_at=NOW)
    assert steps(view) == [Modify("exit-1", 10, 0)]


def test_an_exit_beyond_what_is_held_is_made_smaller_at_once() -> None:
    assert steps(run(BOUGHT, WORKING, exit_wanted_at=NOW, taken_elsewhere=4)) == [Modify("exit-1", 6, 0)]


def test_a_flat_runs_working_exit_is_cancelled() -> None:
    assert steps(run(BOUGHT, WORKING, exit_wanted_at=NOW, taken_elsewhere=10)) == [Cancel("exit-1")]


def test_an_exit_that_has_filled_waits_for_the_book_to_say_so() -> None:
    full = replace(WORKING, filled_quantity=10)
    assert steps(run(BOUGHT, full, exit_wanted_at=NOW), after=timedelta(minutes=1)) == []


def test_after_twenty_modifications_it_is_cancelled_and_replaced() -> None:
    worn = replace(WORKING, modifications=MAX_MODIFICATIONS, band_step=5)
    assert steps(run(BOUGHT, worn, exit_wanted_at=NOW)) == []
    assert steps(run(BOUGHT, worn, exit_wanted_at=NOW), after=REPRICE_AFTER) == [Cancel("exit-1")]
    gone = replace(ended(worn, OrderState.CANCELLED), cancel_wanted_at=NOW)
    assert steps(run(BOUGHT, gone, exit_wanted_at=NOW)) == [ArmExit(2, 10, 5, wanted=True)]


@pytest.mark.parametrize("state", sorted(IN_DOUBT_STATES))
def test_an_exit_in_doubt_is_left_alone(state: OrderState) -> None:
    doubtful = replace(WORKING, state=state, quantity=7)
    assert steps(run(BOUGHT, doubtful, exit_wanted_at=NOW), after=timedelta(hours=1)) == []
    assert steps(run(BOUGHT, doubtful, leave_open=True), after=timedelta(hours=1)) == []


def test_while_one_change_is_under_way_no_other_begins() -> None:
    assert steps(run(BOUGHT, replace(WORKING, change_pending=True), exit_wanted_at=NOW), after=timedelta(hours=1)) == []


# --- an exit that ended -----------------------------------------------------------------------------------------------


def next_exit(view: RunView, after: timedelta) -> bool:
    return any(isinstance(step, ArmExit) for step in next_steps(view, NOW + after))


def test_a_cancellation_nobody_asked_for_settles_before_the_next_exit() -> None:
    view = run(BOUGHT, ended(replace(WORKING, filled_quantity=4), OrderState.CANCELLED))
    assert steps(view, after=SETTLE - timedelta(milliseconds=1)) == []
    assert steps(view, after=SETTLE) == [ArmExit(2, 6, 0, wanted=True)]


def test_late_fills_after_a_filled_exit_are_sold_at_once() -> None:
    sold = ended(replace(EXIT, quantity=6, filled_quantity=6), OrderState.FILLED)
    assert steps(run(BOUGHT, sold)) == [ArmExit(2, 4, 0, wanted=True)]


def test_an_exit_proven_absent_is_replaced_at_once() -> None:
    assert steps(run(BOUGHT, ended(replace(EXIT, band_step=2), OrderState.ABSENT))) == [ArmExit(2, 10, 2, wanted=True)]


def test_an_exit_that_never_left_is_armed_again_for_its_condition() -> None:
    assert steps(run(BOUGHT, ended(EXIT, OrderState.SUPERSEDED))) == [ArmExit(2, 10, 0, wanted=False)]


@pytest.mark.parametrize(("refused", "seconds"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (40, 30)])
def test_refused_exits_are_tried_again_for_ever_and_ever_slower(refused: int, seconds: int) -> None:
    view = run(BOUGHT, *refusals(*[RefusalKind.OTHER] * refused), exit_wanted_at=NOW)
    assert not next_exit(view, timedelta(seconds=seconds, milliseconds=-1))
    assert steps(view, after=timedelta(seconds=seconds)) == [ArmExit(refused + 1, 10, 0, wanted=True)]


@pytest.mark.parametrize(("never_left", "seconds"), [(1, 0), (2, 1), (3, 2), (6, 16), (7, 30), (1_000, 30)])
def test_an_exit_that_cannot_leave_is_tried_at_once_and_then_slower(never_left: int, seconds: int) -> None:
    view = run(BOUGHT, *refusals(*[RefusalKind.NOT_SENT] * never_left), exit_wanted_at=NOW)
    assert next_exit(view, timedelta(seconds=seconds))
    assert seconds == 0 or not next_exit(view, timedelta(seconds=seconds, milliseconds=-1))


def test_an_exit_that_got_through_ends_the_count_of_refusals() -> None:
    through = replace(ended(EXIT, OrderState.CANCELLED), order_id="exit-0")
    view = run(BOUGHT, *refusals(*[RefusalKind.OTHER] * 5), through, *refusals(RefusalKind.OTHER), exit_wanted_at=NOW)
    assert next_exit(view, timedelta(seconds=1))


def test_an_exit_refused_for_its_login_goes_on_with_the_next_login() -> None:
    refused = refusals(RefusalKind.SESSION)
    old, new = NOW - timedelta(hours=8), NOW + timedelta(seconds=1)
    assert not next_exit(run(BOUGHT, *refused, session_since=old), timedelta(seconds=2))
    assert not next_exit(run(BOUGHT, *refused, session_since=None), timedelta(seconds=2))
    assert next_exit(run(BOUGHT, *refused, session_since=new), timedelta(seconds=2))


def test_an_exit_refused_with_the_old_token_just_after_a_login_does_not_wait_for_another_login() -> None:
    made_just_before = NOW - timedelta(seconds=2)
    view = run(BOUGHT, *refusals(RefusalKind.SESSION), session_since=made_just_before)
    assert next_exit(view, LONGEST_PAUSE)


# --- keeping the position ---------------------------------------------------------------------------------------------


def test_a_position_the_user_keeps_has_no_exit() -> None:
    assert steps(run(BOUGHT, leave_open=True)) == []
    assert steps(run(BOUGHT, EXIT, leave_open=True)) == [Supersede("exit-1", SupersededFor.STOPPED)]
    assert steps(run(BOUGHT, WORKING, leave_open=True)) == [Cancel("exit-1")]
    assert steps(run(BOUGHT, replace(EXIT, state=OrderState.UNKNOWN), leave_open=True)) == []
    assert steps(run(BOUGHT, ended(EXIT, OrderState.REJECTED), leave_open=True), after=timedelta(hours=1)) == []


# --- settled ----------------------------------------------------------------------------------------------------------

SOLD = ended(replace(EXIT, filled_quantity=10), OrderState.FILLED)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (run(), True),
        (run(BOUGHT, SOLD), True),
        (run(BOUGHT, leave_open=True), True),
        (run(BOUGHT, taken_elsewhere=10), True),
        (run(ended(ENTRY, OrderState.REJECTED, RefusalKind.MARGIN)), True),
        (run(BOUGHT, EXIT), False),
        (run(BOUGHT, EXIT, leave_open=True), False),
        (run(BOUGHT), False),
        (run(ended(ENTRY, OrderState.ABSENT)), False),
        (run(replace(ENTRY, state=OrderState.UNKNOWN)), False),
        (run(BOUGHT, replace(SOLD, state=OrderState.OPEN)), False),
        (run(BOUGHT, SOLD, taken_elsewhere=3), True),
    ],
    ids=[
        "nothing was attempted",
        "flat",
        "left open",
        "taken elsewhere",
        "refused",
        "covered",
        "left open but an exit is armed",
        "not covered",
        "to be tried again",
        "in doubt",
        "filled, not yet agreed",
        "sold more than it had: a person has been told",
    ],
)
def test_a_run_is_settled_when_nothing_lives_and_nothing_is_left_to_do(view: RunView, expected: bool) -> None:
    assert is_settled(view, NOW) is expected


@pytest.mark.parametrize("state", [state for state in OrderState if state not in DEAD_STATES])
def test_a_live_attempt_is_never_settled(state: OrderState) -> None:
    assert not is_settled(run(replace(ENTRY, state=state)), NOW)


# --- long stories -----------------------------------------------------------------------------------------------------


def holding_market() -> ToyMarket:
    """A run that has bought everything and is covered."""
    market = ToyMarket()
    entry = market.rows[0]
    market.claim(entry)
    market.placed(entry)
    assert entry.order is not None
    entry.order.fill(entry.quantity)
    market.look(entry, trades=entry.quantity)
    market.settle()
    return market


def a_second_passes(market: ToyMarket) -> None:
    """Every order is placed and every change taken; nothing is filled."""
    market.now += timedelta(seconds=1)
    market.settle()
    for row in list(market.rows):
        if row.state is OrderState.SENDING:
            market.placed(row)
        if row.change is not None:
            market.change_answered(row, taken=True)
        if row.order is not None:
            market.look(row, trades=row.order.filled)


def test_an_exit_nobody_buys_is_repriced_and_replaced_for_as_long_as_it_takes() -> None:
    market = holding_market()
    market.leave()
    for _ in range(600):
        a_second_passes(market)
    exits = [row.order for row in market.of(Leg.EXIT) if row.order]
    assert len(exits) > 5
    assert max(order.modifications for order in exits) == MAX_MODIFICATIONS
    assert [order.is_open for order in exits] == [False] * (len(exits) - 1) + [True]
    exits[-1].fill(10)
    a_second_passes(market)
    assert market.is_settled


def test_a_broker_that_cannot_be_reached_for_an_hour_is_not_asked_without_pause() -> None:
    market = holding_market()
    market.leave()
    for _ in range(3_600):
        market.now += timedelta(seconds=1)
        market.settle()
        for row in market.of(Leg.EXIT):
            if row.state is OrderState.SENDING:
                market.refused(row, RefusalKind.NOT_SENT)
    assert 100 < len(market.of(Leg.EXIT)) < 150
    assert market.open_quantity == 10


# --- the hand-over ------------------------------------------------------------------------------------------------------

IN_DOUBT = replace(EXIT, state=OrderState.UNKNOWN)


@pytest.mark.parametrize("attempts", [(ENTRY,), (BOUGHT, EXIT), (BOUGHT, WORKING), (BOUGHT, IN_DOUBT), (BOUGHT,)])
def test_whatever_is_unfinished_at_the_last_moment_is_handed_over_and_nothing_else_happens(
    attempts: tuple[AttemptView, ...],
) -> None:
    view = run(*attempts, exit_wanted_at=NOW - timedelta(minutes=1), hand_over_at=NOW)
    assert next_steps(view, NOW) == (HandOver(),)
    assert HandOver() not in next_steps(view, NOW - timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "view",
    [
        run(hand_over_at=NOW),
        run(BOUGHT, replace(WORKING, state=OrderState.FILLED, filled_quantity=10), hand_over_at=NOW),
        run(BOUGHT, leave_open=True, hand_over_at=NOW),
    ],
    ids=["not begun", "flat", "left open"],
)
def test_a_finished_run_is_not_handed_over(view: RunView) -> None:
    assert next_steps(view, NOW) == ()


def test_after_the_hand_over_what_rests_is_taken_back_and_nothing_is_sent() -> None:
    resting = replace(ENTRY, state=OrderState.OPEN, filled_quantity=4)
    assert next_steps(run(resting, EXIT, is_handed_over=True), NOW) == (
        Cancel("entry-1"),
        Supersede("exit-1", SupersededFor.HANDED_OVER),
    )
    assert next_steps(run(BOUGHT, is_handed_over=True), NOW) == ()
    assert next_steps(run(replace(ENTRY, state=OrderState.ABSENT), is_handed_over=True), NOW) == ()


def test_a_doubt_is_read_until_the_brokers_day_ends_and_given_up_then() -> None:
    view = run(BOUGHT, IN_DOUBT, is_handed_over=True, day_ends_at=NOW)
    assert next_steps(view, NOW - timedelta(seconds=1)) == ()
    assert not is_settled(view, NOW - timedelta(seconds=1))
    assert next_steps(view, NOW) == (GiveUpReading("exit-1"),)
    given_up = run(BOUGHT, replace(IN_DOUBT, state=OrderState.HANDED_OVER), is_handed_over=True, day_ends_at=NOW)
    assert is_settled(given_up, NOW)


def test_an_order_that_works_is_given_up_too_when_the_day_has_ended_without_a_word() -> None:
    assert next_steps(run(BOUGHT, WORKING, is_handed_over=True, day_ends_at=NOW), NOW) == (GiveUpReading("exit-1"),)
