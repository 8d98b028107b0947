from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.backup import BackupPrices, backup_prices, stands_well
from trading.instruments import Instrument, InstrumentId, Segment
from trading.next_step import (
    BACKUP_AGAIN,
    BACKUP_BECOMES_EXIT_WITHIN,
    MAX_BACKUP_MOVES,
    MAX_BACKUPS,
    REPRICE_AFTER,
    SETTLE,
    ArmExit,
    AttemptView,
    Cancel,
    Fire,
    LeaveAtItsTime,
    Modify,
    MoveBackup,
    PlaceBackup,
    ResizeArmed,
    RunView,
    next_steps,
)
from trading.orders import OrderState, RefusalKind

NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
SHARE = Instrument(InstrumentId("NSE", "TCS"), "Tata", Segment.CASH, Decimal("0.05"))
BOUGHT = AttemptView("buy", 1, OrderState.FILLED, 10, 10)
ARMED = AttemptView("sell", 1, OrderState.ARMED, 10, 0, fire_at=NOW + timedelta(hours=1), stop_price=Decimal(3500))
RESTS = replace(ARMED, state=OrderState.OPEN, backup_trigger=Decimal(3465), touched_at=NOW - timedelta(hours=1))


def run(*exits: AttemptView, wanted_for: float | None = None, **fields: object) -> RunView:
    """A run that has bought ten and wants a backup; it has wanted to leave for that many seconds."""
    wanted_at = None if wanted_for is None else NOW - timedelta(seconds=wanted_for)
    values: dict[str, object] = {"entries": (BOUGHT,), "wants_backup": True, "exit_wanted_at": wanted_at, **fields}
    return RunView(10, 10, 0, exits=exits, **values)  # type: ignore[arg-type]


def died(state: OrderState, *, ago: timedelta, **fields: object) -> AttemptView:
    return replace(RESTS, state=state, ended_at=NOW - ago, **fields)  # type: ignore[arg-type]


# --- prices ---------------------------------------------------------------------------------------------------------------


def test_it_waits_below_the_stop_and_may_sell_below_its_trigger() -> None:
    assert backup_prices(Decimal(3500), SHARE) == BackupPrices(Decimal(3465), Decimal("3395.70"))


def test_outside_the_day_s_limits_it_cannot_rest() -> None:
    assert backup_prices(Decimal(3500), replace(SHARE, lower_circuit=Decimal(3470))) is None
    inside = backup_prices(Decimal(3500), replace(SHARE, lower_circuit=Decimal(3450)))
    assert inside == BackupPrices(Decimal(3465), Decimal(3450))
    assert backup_prices(Decimal("0.05"), SHARE) is None


@given(st.integers(10, 2_000_000))
def test_its_prices_are_on_the_tick_and_below_the_stop(ticks: int) -> None:
    stop = ticks * SHARE.tick_size
    prices = backup_prices(stop, SHARE)
    assert prices is not None
    assert 0 < prices.limit <= prices.trigger < stop
    assert prices.limit % SHARE.tick_size == prices.trigger % SHARE.tick_size == 0


@pytest.mark.parametrize(("stop", "well"), [("3500", True), ("3480", False), ("3535", True), ("3540", False), ("3400", False)])
def test_it_may_stay_while_it_is_clearly_below_the_stop_and_not_far_from_it(stop: str, well: bool) -> None:
    assert stands_well(Decimal(3465), Decimal(stop)) is well


# --- when it is placed ----------------------------------------------------------------------------------------------------


def test_the_armed_exit_goes_to_rest_once_the_entry_is_over_and_nobody_wants_to_leave() -> None:
    assert next_steps(run(ARMED), NOW) == (PlaceBackup("sell"),)
    assert next_steps(run(ARMED, wants_backup=False), NOW) == ()
    resting = AttemptView("buy", 1, OrderState.OPEN, 20, 10)
    assert next_steps(run(ARMED, entries=(resting,)), NOW) == ()
    assert next_steps(run(ARMED, wanted_for=0), NOW) == (Fire("sell"),)
    assert next_steps(run(replace(ARMED, quantity=7)), NOW) == (ResizeArmed("sell", 10),)
    assert next_steps(run(replace(ARMED, fire_at=NOW + timedelta(seconds=0.5))), NOW) == ()


@pytest.mark.parametrize(
    ("state", "refusal"),
    [(OrderState.REJECTED, RefusalKind.INPUT), (OrderState.REJECTED, RefusalKind.SESSION), (OrderState.ABSENT, None)],
)
def test_one_that_died_before_it_rested_leaves_the_stop_to_us_at_once(state: OrderState, refusal: RefusalKind | None) -> None:
    dead = died(state, ago=timedelta(0), refusal=refusal)
    assert next_steps(run(dead), NOW) == (ArmExit(2, 10, 0, wanted=False),)
    assert next_steps(run(dead, wanted_for=0), NOW) == (ArmExit(2, 10, 0, wanted=True),)


def test_one_that_somebody_else_has_cancelled_is_looked_into_before_the_stop_is_ours_again() -> None:
    assert next_steps(run(died(OrderState.CANCELLED, ago=SETTLE / 2)), NOW) == ()
    assert next_steps(run(died(OrderState.CANCELLED, ago=SETTLE)), NOW) == (ArmExit(2, 10, 0, wanted=False),)


def test_one_that_vanished_is_placed_again_after_a_pause_that_grows_and_not_for_ever() -> None:
    second = replace(ARMED, order_id="second", attempt=2)
    assert next_steps(run(died(OrderState.CANCELLED, ago=BACKUP_AGAIN / 2), second), NOW) == ()
    assert next_steps(run(died(OrderState.CANCELLED, ago=BACKUP_AGAIN), second), NOW) == (PlaceBackup("second"),)
    twice = (died(OrderState.ABSENT, ago=BACKUP_AGAIN), died(OrderState.CANCELLED, ago=BACKUP_AGAIN))
    assert next_steps(run(*twice, second), NOW) == ()
    often = (died(OrderState.CANCELLED, ago=timedelta(hours=1)),) * MAX_BACKUPS
    assert next_steps(run(*often, second), NOW) == ()


# --- while it rests -------------------------------------------------------------------------------------------------------


def test_while_nobody_wants_to_leave_it_rests_however_long() -> None:
    assert next_steps(run(RESTS), NOW) == ()


def test_it_follows_the_stop_and_the_shares() -> None:
    assert next_steps(run(replace(RESTS, stop_price=Decimal(3400))), NOW) == (MoveBackup("sell", 10),)
    assert next_steps(run(RESTS, taken_elsewhere=4), NOW) == (MoveBackup("sell", 6),)
    assert next_steps(run(RESTS, taken_elsewhere=10), NOW) == (Cancel("sell"),)
    tried = replace(RESTS, stop_price=Decimal(3400), changed_at=NOW - timedelta(seconds=1))
    assert next_steps(run(tried), NOW) == (), "refused a moment ago"


def test_one_that_was_moved_often_stays_where_it_does_no_harm_and_is_placed_anew_where_it_does() -> None:
    worn = replace(RESTS, modifications=MAX_BACKUP_MOVES)
    assert next_steps(run(replace(worn, stop_price=Decimal(3700))), NOW) == ()
    assert next_steps(run(replace(worn, stop_price=Decimal(3400))), NOW) == (Cancel("sell"),)
    assert next_steps(run(worn, taken_elsewhere=4), NOW) == (Cancel("sell"),)


# --- when it becomes the exit ---------------------------------------------------------------------------------------------


def test_it_becomes_the_exit_by_one_modification_at_once_and_is_not_asked_again_while_that_is_under_way() -> None:
    assert next_steps(run(RESTS, wanted_for=0), NOW) == (Modify("sell", 10, 0),)
    assert next_steps(run(replace(RESTS, change_pending=True), wanted_for=0), NOW) == ()
    refused = replace(RESTS, changed_at=NOW - timedelta(seconds=1))
    assert next_steps(run(refused, wanted_for=1.5), NOW) == ()
    assert next_steps(run(replace(refused, changed_at=NOW - REPRICE_AFTER), wanted_for=3), NOW) == (Modify("sell", 10, 0),)


def test_in_doubt_nothing_is_done_with_it() -> None:
    for state in (OrderState.SENDING, OrderState.UNKNOWN):
        assert next_steps(run(replace(RESTS, state=state), wanted_for=0), NOW) == ()


def test_one_that_does_not_become_the_exit_in_time_is_taken_back() -> None:
    late = BACKUP_BECOMES_EXIT_WITHIN.total_seconds()
    assert next_steps(run(RESTS, wanted_for=late), NOW) == (Cancel("sell"),)
    taken_back = died(OrderState.CANCELLED, ago=timedelta(0), cancel_wanted_at=NOW)
    assert next_steps(run(taken_back, wanted_for=late), NOW) == (ArmExit(2, 10, 0, wanted=True),)


def test_what_the_broker_has_sold_of_it_is_not_sold_again() -> None:
    part = replace(RESTS, filled_quantity=4)
    assert next_steps(replace(run(part, wanted_for=0), sold=4), NOW) == (Modify("sell", 10, 0),)


def test_a_sell_time_nobody_has_noticed_is_noticed_by_the_desk() -> None:
    overdue = replace(RESTS, fire_at=NOW - timedelta(seconds=1))
    assert next_steps(run(overdue, fires_by_itself=True), NOW) == (LeaveAtItsTime(NOW - timedelta(seconds=1)),)
    assert next_steps(run(overdue), NOW) == ()


def test_a_position_that_is_kept_is_left_without_it() -> None:
    assert next_steps(run(RESTS, leave_open=True), NOW) == (Cancel("sell"),)
