"""What a run's orders need next. Pure: rows in, steps out; the desk carries them out, each as one compare-and-set.

The order of thought: an entry nobody wants any more is taken back first, because exchanges cancel self-trades; then whatever is
bought and not sold is covered by exactly one exit, armed while nobody wants to leave and working once somebody does. At the
product's last moment all of that ends: what is still open then is a person's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import TypeAlias

from trading.backup import stands_well
from trading.orders import IN_DOUBT_STATES, LIVE_STATES, OrderState, RefusalKind, SupersededFor

MAX_ENTRY_ATTEMPTS = 3
# Brokers allow 25 modifications of one order; the rest is kept for emergencies by hand.
MAX_MODIFICATIONS = 20
REPRICE_AFTER = timedelta(seconds=2)
# Exits that are refused are tried again after 1, 2, 4 ... seconds, and from then on at this pace, for as long as it takes.
LONGEST_PAUSE = timedelta(seconds=30)
# A cancellation nobody of us asked for is looked at again for this long before anything new is sent.
SETTLE = timedelta(seconds=3)
# An armed order that is this late after its instant is fired by the sweep instead of its timer.
OVERDUE = timedelta(milliseconds=500)
# A backup that vanished is placed again after this long, longer each time, and not for ever.
BACKUP_AGAIN = timedelta(seconds=5)
MAX_BACKUPS = 5
# It is moved with the stop this often at most; the other modifications are kept for the exit it becomes.
MAX_BACKUP_MOVES = 10
BACKUP_MOVE_PAUSE = timedelta(seconds=5)
# So close to the sell time none is placed any more.
NO_BACKUP_BEFORE_SALE = timedelta(seconds=1)
# One that cannot be modified into the exit is taken back after this long, and an exit placed in its stead.
BACKUP_BECOMES_EXIT_WITHIN = timedelta(seconds=6)
# An exit waits at most this long for the run's own resting buy to be gone.
SELF_TRADE_WAIT = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One order row as far as it decides what comes next. `touched_at`: last acknowledged or changed.

    `backup_trigger`: it rests at the broker as a stop, or died as one; None for every other order, and once it has become the
    exit.
    """

    order_id: str
    attempt: int
    state: OrderState
    quantity: int
    filled_quantity: int
    band_step: int = 0
    modifications: int = 0
    change_pending: bool = False
    cancel_wanted_at: datetime | None = None
    wanted_at: datetime | None = None  # somebody asked for it to leave now
    fire_at: datetime | None = None
    deadline_at: datetime | None = None
    touched_at: datetime | None = None
    ended_at: datetime | None = None
    refusal: RefusalKind | None = None
    stop_price: Decimal | None = None
    backup_trigger: Decimal | None = None
    changed_at: datetime | None = None

    @property
    def is_backup(self) -> bool:
        return self.backup_trigger is not None

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def rests(self) -> bool:
        """Something of it may still fill. A filled order stays open until book and trades agree that it has ended."""
        return self.is_live and self.filled_quantity < self.quantity


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as far as it decides what comes next. Attempts in order, oldest first."""

    quantity: int
    bought: int
    sold: int
    taken_elsewhere: int = 0
    entries: tuple[AttemptView, ...] = ()
    exits: tuple[AttemptView, ...] = ()
    exit_wanted_at: datetime | None = None
    leave_open: bool = False
    entries_locked: bool = False  # a kill switch is engaged: nothing new is bought
    is_suspended: bool = False  # its user is: nothing new is bought either
    session_since: datetime | None = None  # when the account's current login was made
    fires_by_itself: bool = False  # the desk's head start is on: an instant that has passed is reason enough
    hand_over_at: datetime | None = None  # the product's last moment
    day_ends_at: datetime | None = None  # afterwards the broker's book does not list the run's orders any more
    is_handed_over: bool = False
    wants_backup: bool = False  # its exit shall rest at the broker as a stop, and this broker takes such orders

    @property
    def open_quantity(self) -> int:
        return self.bought - self.sold - self.taken_elsewhere

    @property
    def wants_out(self) -> bool:
        return self.exit_wanted_at is not None or self.leave_open or self.is_handed_over


@dataclass(frozen=True, slots=True)
class Supersede:
    order_id: str
    why: SupersededFor


@dataclass(frozen=True, slots=True)
class Cancel:
    order_id: str


@dataclass(frozen=True, slots=True)
class RetryEntry:
    """A new attempt for what is still missing, at once, within the old deadline."""

    attempt: int
    quantity: int
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True)
class ArmExit:
    """The next exit row. `wanted`: it fires at once; otherwise it waits for its stop or its time."""

    attempt: int
    quantity: int
    band_step: int
    wanted: bool


@dataclass(frozen=True, slots=True)
class ResizeArmed:
    order_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fire:
    order_id: str


@dataclass(frozen=True, slots=True)
class Modify:
    """New total quantity and a fresh limit of that band step."""

    order_id: str
    quantity: int
    band_step: int


@dataclass(frozen=True, slots=True)
class PlaceBackup:
    """The armed exit goes to the broker ahead of its time, as a stop."""

    order_id: str


@dataclass(frozen=True, slots=True)
class MoveBackup:
    """New total quantity, and the trigger that belongs to the stop as it is now."""

    order_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class LeaveAtItsTime:
    """The sell time of a run whose exit rests at the broker has passed, and nobody has said so: the run shall leave."""

    at: datetime


@dataclass(frozen=True, slots=True)
class HandOver:
    """The last moment has come with shares unsold or an order alive: from now on a person looks after them."""


@dataclass(frozen=True, slots=True)
class GiveUpReading:
    """The broker's day has ended before this order's outcome could be read."""

    order_id: str


Step: TypeAlias = (
    Supersede
    | Cancel
    | RetryEntry
    | ArmExit
    | ResizeArmed
    | Fire
    | Modify
    | PlaceBackup
    | MoveBackup
    | LeaveAtItsTime
    | HandOver
    | GiveUpReading
)


def next_steps(run: RunView, now: datetime) -> tuple[Step, ...]:
    """Everything that should be done now; nothing when all is as it should be."""
    if run.is_handed_over:
        return _steps_after_hand_over(run, now)
    if run.hand_over_at is not None and now >= run.hand_over_at and _is_unfinished(run):
        return (HandOver(),)
    return (*_entry_steps(run, now), *_exit_steps(run, now))


def entry_is_over(run: RunView, now: datetime) -> bool:
    """No attempt to buy is alive and none will follow. False while nothing has been attempted at all."""
    if not run.entries or any(entry.is_live for entry in run.entries):
        return False
    return not _entry_steps(run, now)


def is_settled(run: RunView, now: datetime) -> bool:
    """Nothing alive, nothing in doubt, nothing to do: flat, left open on the user's word, or handed to a person, as is one that
    has sold too much."""
    if _has_live_order(run):
        return False
    return (run.open_quantity <= 0 or run.leave_open or run.is_handed_over) and not next_steps(run, now)


def _has_live_order(run: RunView) -> bool:
    return any(attempt.is_live for attempt in (*run.entries, *run.exits))


def _is_unfinished(run: RunView) -> bool:
    return _has_live_order(run) or (run.open_quantity > 0 and not run.leave_open)


def _steps_after_hand_over(run: RunView, now: datetime) -> tuple[Step, ...]:
    """Nothing new is sent. What rests is taken back; what is in doubt is read for as long as the broker's day lasts."""
    steps = (_end_of(run, attempt, now) for attempt in (*run.entries, *run.exits) if attempt.is_live)
    return tuple(step for step in steps if step is not None)


def _end_of(run: RunView, live: AttemptView, now: datetime) -> Step | None:
    if live.state is OrderState.ARMED:
        return Supersede(live.order_id, SupersededFor.HANDED_OVER)
    if run.day_ends_at is not None and now >= run.day_ends_at:
        return GiveUpReading(live.order_id)
    if live.state in IN_DOUBT_STATES or live.change_pending or not live.rests:
        return None
    return Cancel(live.order_id) if _may_cancel_again(live, now) else None


def _entry_steps(run: RunView, now: datetime) -> tuple[Step, ...]:
    if not run.entries:
        return ()
    last = run.entries[-1]
    too_late = last.deadline_at is not None and now >= last.deadline_at
    unwanted = run.wants_out or run.entries_locked or run.is_suspended or too_late
    if last.state is OrderState.ARMED and unwanted:
        return (Supersede(last.order_id, _why_unwanted(run)),)
    if last.state is OrderState.ARMED and (last.wanted_at is not None or _is_overdue(run, last, now)):
        return (Fire(last.order_id),)
    if last.state is OrderState.OPEN and last.rests and unwanted and not last.change_pending and _may_cancel_again(last, now):
        return (Cancel(last.order_id),)
    if _may_retry(last) and not unwanted and len(run.entries) < MAX_ENTRY_ATTEMPTS and run.bought < run.quantity:
        return (RetryEntry(last.attempt + 1, run.quantity - run.bought, last.deadline_at),)
    return ()


def _why_unwanted(run: RunView) -> SupersededFor:
    if run.wants_out:
        return SupersededFor.STOPPED
    if run.entries_locked:
        return SupersededFor.KILL_SWITCH
    return SupersededFor.SUSPENDED if run.is_suspended else SupersededFor.DEADLINE


def _may_cancel_again(order: AttemptView, now: datetime) -> bool:
    return order.cancel_wanted_at is None or now - order.cancel_wanted_at >= REPRICE_AFTER


def _may_retry(entry: AttemptView) -> bool:
    if entry.state is OrderState.ABSENT:
        return True
    return entry.state is OrderState.REJECTED and entry.refusal is not None and entry.refusal.is_retryable


def _exit_steps(run: RunView, now: datetime) -> tuple[Step, ...]:
    live = next((order for order in run.exits if order.is_live), None)
    if run.leave_open:
        return _stand_down(live, now)
    if live is None:
        return _cover(run, now)
    if live.state in IN_DOUBT_STATES or live.change_pending:
        return ()
    if live.state is OrderState.ARMED:
        return _armed_steps(run, live, now)
    return _backup_steps(run, live, now) if live.is_backup else _working_steps(run, live, now)


def _stand_down(live: AttemptView | None, now: datetime) -> tuple[Step, ...]:
    if live is None or live.state in IN_DOUBT_STATES or live.change_pending:
        return ()
    if live.state is OrderState.ARMED:
        return (Supersede(live.order_id, SupersededFor.STOPPED),)
    return (Cancel(live.order_id),) if _may_cancel_again(live, now) else ()


def _cover(run: RunView, now: datetime) -> tuple[Step, ...]:
    """No exit is alive: whatever is open gets one, at once or after a pause that the last one's end asks for."""
    if run.open_quantity <= 0:
        return ()
    last = run.exits[-1] if run.exits else None
    # A backup that died has not left for good: the run holds on, and its stop is ours again.
    has_left = last is not None and last.state is not OrderState.SUPERSEDED and not last.is_backup
    if last is not None and not _pause_is_over(run, last, now):
        return ()
    step = last.band_step if last is not None else 0
    wanted = run.exit_wanted_at is not None or has_left
    return (ArmExit(last.attempt + 1 if last else 1, run.open_quantity, step, wanted),)


def _pause_is_over(run: RunView, last: AttemptView, now: datetime) -> bool:
    if last.ended_at is None or last.state is OrderState.FILLED:
        return True
    if last.state is OrderState.CANCELLED:
        return last.cancel_wanted_at is not None or now - last.ended_at >= SETTLE
    if last.state is OrderState.REJECTED and not last.is_backup:
        is_renewed = last.refusal is RefusalKind.SESSION and run.session_since is not None and run.session_since > last.ended_at
        return is_renewed or now - last.ended_at >= _pause_after_refusals(run, last)
    return True


def _pause_after_refusals(run: RunView, last: AttemptView) -> timedelta:
    """How long the next exit waits. `last` was refused."""
    if last.refusal is RefusalKind.SESSION:
        # A person has to log in. A login made just before the refusal, and not yet in use, counts as older: so look again.
        return LONGEST_PAUSE
    in_a_row = len(list(takewhile(lambda order: order.state is OrderState.REJECTED and not order.is_backup, reversed(run.exits))))
    # What never left costs nothing: the first time it is tried again at once, on a fresh connection.
    doublings = in_a_row - (2 if last.refusal is RefusalKind.NOT_SENT else 1)
    return min(timedelta(seconds=2 ** min(doublings, 10)), LONGEST_PAUSE) if doublings >= 0 else timedelta(0)


def _armed_steps(run: RunView, live: AttemptView, now: datetime) -> tuple[Step, ...]:
    if run.open_quantity <= 0:
        return (Supersede(live.order_id, SupersededFor.NOT_NEEDED),)
    if live.quantity != run.open_quantity:
        return (ResizeArmed(live.order_id, run.open_quantity),)
    wanted = run.exit_wanted_at is not None or live.wanted_at is not None or _is_overdue(run, live, now)
    if wanted and not _own_buy_is_in_the_way(run, now):
        return (Fire(live.order_id),)
    if not wanted and run.wants_backup and _backup_may_rest(run, live, now):
        return (PlaceBackup(live.order_id),)
    return ()


def _backup_may_rest(run: RunView, armed: AttemptView, now: datetime) -> bool:
    """Once the entry works no more, so that it is placed for all that was bought; again when it has vanished, not for ever."""
    if any(entry.is_live for entry in run.entries):
        return False
    if armed.fire_at is not None and armed.fire_at - now < NO_BACKUP_BEFORE_SALE:
        return False
    died = [order for order in run.exits if order.is_backup]
    if not died:
        return True
    ended_at = died[-1].ended_at
    return len(died) < MAX_BACKUPS and (ended_at is None or now - ended_at >= BACKUP_AGAIN * len(died))


def _backup_steps(run: RunView, live: AttemptView, now: datetime) -> tuple[Step, ...]:
    """The exit rests at the broker as a stop: kept in step while nobody wants to leave, and made the exit once somebody does."""
    if live.cancel_wanted_at is not None:
        return (Cancel(live.order_id),) if _may_cancel_again(live, now) else ()
    if run.open_quantity <= 0:
        return (Cancel(live.order_id),) if live.quantity > live.filled_quantity else ()
    total = live.filled_quantity + run.open_quantity
    if run.exit_wanted_at is None:
        if _is_overdue(run, live, now):
            assert live.fire_at is not None  # noqa: S101 (it is what is overdue)
            return (LeaveAtItsTime(live.fire_at),)
        return _keep_backup(live, total, now)
    if now - run.exit_wanted_at >= BACKUP_BECOMES_EXIT_WITHIN or live.modifications >= MAX_MODIFICATIONS:
        return (Cancel(live.order_id),)
    if _own_buy_is_in_the_way(run, now):
        return ()
    was_tried = live.changed_at is not None and live.changed_at >= run.exit_wanted_at
    if was_tried and live.changed_at is not None and now - live.changed_at < REPRICE_AFTER:
        return ()
    return (Modify(live.order_id, total, live.band_step),)


def _keep_backup(live: AttemptView, total: int, now: datetime) -> tuple[Step, ...]:
    fits = live.stop_price is None or live.backup_trigger is None or stands_well(live.backup_trigger, live.stop_price)
    if fits and total == live.quantity:
        return ()
    if live.changed_at is not None and now - live.changed_at < BACKUP_MOVE_PAUSE:
        return ()
    if live.modifications < MAX_BACKUP_MOVES:
        return (MoveBackup(live.order_id, total),)
    # Too low it protects less, and still protects; too large, or too near our stop, it must not stay.
    trigger, stop = live.backup_trigger, live.stop_price
    is_harmless = total == live.quantity and trigger is not None and stop is not None and trigger < stop
    return () if is_harmless else (Cancel(live.order_id),)


def _is_overdue(run: RunView, armed: AttemptView, now: datetime) -> bool:
    """Its timer has come and gone, and still it is armed: the claim was lost to a lock or to a database that was away."""
    return run.fires_by_itself and armed.fire_at is not None and now - armed.fire_at >= OVERDUE


def _own_buy_is_in_the_way(run: RunView, now: datetime) -> bool:
    """A resting buy of this run would be matched against its sale; it is given a moment to be cancelled."""
    resting = next((entry for entry in run.entries if entry.rests and entry.state is not OrderState.ARMED), None)
    if resting is None or run.exit_wanted_at is None:
        return False
    return now - run.exit_wanted_at < SELF_TRADE_WAIT


def _working_steps(run: RunView, live: AttemptView, now: datetime) -> tuple[Step, ...]:
    wanted_total = live.filled_quantity + run.open_quantity
    if live.cancel_wanted_at is not None:
        return (Cancel(live.order_id),) if _may_cancel_again(live, now) else ()
    if run.open_quantity <= 0:
        # The book will call it filled; more than that must never be sold.
        return (Cancel(live.order_id),) if live.quantity > live.filled_quantity else ()
    stale = live.touched_at is not None and now - live.touched_at >= REPRICE_AFTER
    if not stale and wanted_total == live.quantity:
        return ()
    if live.modifications >= MAX_MODIFICATIONS:
        return (Cancel(live.order_id),) if stale else ()
    return (Modify(live.order_id, wanted_total, live.band_step + 1 if stale else live.band_step),)
