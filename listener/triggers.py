"""Stops and targets and the prices that cross them: pure, no I/O, no clock.

Per instrument there are two ladders: the stops, and above them what a higher price would change, which is a target or a stop that
follows the price. A tick is compared with the nearest rung on either side and is done unless it reaches one. What is watched is
versioned and fires once per version; what has fired is remembered until its run has ended or has a newer version.

A stop that has followed the price is `unwritten` until its row says so too (listener/raising.py).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from trading.instruments import InstrumentId
from trading.ports.broker import Tick
from trading.runs import ExitReason
from trading.trailing import Trail, raises_at, trailed

# Finer than any tick: rounds nothing away where the instrument's own is not known.
SMALLEST_TICK = Decimal("0.01")
_NEVER = Decimal("Infinity")
# Behind every run's id, in a ladder's order.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class WatchedStop:
    """Sell when the price is at or below `price` (rupees), or at or above `target`. Prices from before the session do not count.
    `armed_at` and `session_opens` are aware; `session_opens` None: there is no session to wait for, or none is known.

    With a `trail`, `price` follows the highest price since the entry, so far `highest`.
    """

    run_id: str
    account_id: str
    instrument: InstrumentId
    price: Decimal
    version: int
    armed_at: datetime
    session_opens: datetime | None = None
    target: Decimal | None = None
    trail: Trail | None = None
    highest: Decimal | None = None
    tick_size: Decimal = SMALLEST_TICK

    @property
    def changes_at(self) -> Decimal:
        """The lowest price above the stop that means something to it."""
        target = _NEVER if self.target is None else self.target
        if self.trail is None:
            return target
        return min(target, raises_at(self.price, trail=self.trail, tick_size=self.tick_size))

    def after(self, highest: Decimal | None) -> "WatchedStop":
        """Itself once the price has been that high: the stop has followed it, or stands where it stood."""
        if self.trail is None or highest is None:
            return self
        price = trailed(self.price, trail=self.trail, highest=highest, tick_size=self.tick_size)
        return replace(self, price=price, highest=max(highest, self.highest or highest))

    def counts(self, tick: Tick, before: Tick | None) -> bool:
        """Whether the tick is a price of this session. After a connect a broker sends the last price there is, which may be
        yesterday's; its trade time says so. But a price that differs from the one `before` is news, whatever time it claims: a
        wrong clock at the broker's must not silence a stop."""
        if self.session_opens is None:
            return True
        if tick.received_at < self.session_opens:
            return False
        if tick.event_time is None or tick.event_time >= self.session_opens:
            return True
        return before is not None and before.last_price != tick.last_price


@dataclass(frozen=True, slots=True)
class Crossing:
    """A stop or a target that was crossed, with the first price that did it. `at`: when that price was received."""

    stop: WatchedStop
    price: Decimal
    at: datetime
    reason: ExitReason = ExitReason.STOP_LOSS

    @property
    def trigger_id(self) -> str:
        """The same for every repetition; begins with the run, since a workflow id may be used again by a later run."""
        return f"{self.stop.run_id}:{self.stop.version}"


_NOTHING: tuple[Crossing, ...] = ()


class Triggers:
    """Every stop that is watched, and every one that has fired and is not over."""

    def __init__(self) -> None:
        self._watched: dict[str, WatchedStop] = {}
        self._fired: dict[str, Crossing] = {}
        # Per instrument the watched stops and what lies above them, lowest first, and between the highest stop and the lowest
        # of the others the prices that mean nothing to anybody.
        self._ladders: dict[InstrumentId, list[tuple[Decimal, str]]] = {}
        self._ceilings: dict[InstrumentId, list[tuple[Decimal, str]]] = {}
        self._quiet: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        # Runs whose stop has followed the price and whose row does not say so yet.
        self._unwritten: set[str] = set()
        # When a message last changed a run's stop, counted in changes: a slower full read must not undo it.
        self._changes = 0
        self._changed: dict[str, int] = {}

    def on_tick(self, tick: Tick, before: Tick | None = None) -> Sequence[Crossing]:
        """What this tick fires, the highest stop first. `before`: the tick that was the newest of its instrument until now."""
        quiet = self._quiet.get(tick.instrument)
        if quiet is None or quiet[0] < tick.last_price < quiet[1]:
            return _NOTHING
        # Both, when one run's stop lies above another's target.
        crossed = self._cross(tick, before) if tick.last_price <= quiet[0] else []
        return [*crossed, *self._reach(tick, before)] if tick.last_price >= quiet[1] else crossed

    def _reach(self, tick: Tick, before: Tick | None) -> list[Crossing]:
        """Targets fire; stops follow."""
        ladder = self._ceilings.get(tick.instrument, [])
        reached = [self._watched[run_id] for _, run_id in ladder[: bisect_right(ladder, (tick.last_price, _LAST))]]
        crossed = []
        for stop in reached:
            if not stop.counts(tick, before):
                continue
            self._take_down(stop)
            if stop.target is not None and tick.last_price >= stop.target:
                crossing = Crossing(stop, tick.last_price, tick.received_at, ExitReason.TARGET)
                crossed.append(crossing)
                del self._watched[stop.run_id]
                self._fired[stop.run_id] = crossing
            else:
                self._unwritten.add(stop.run_id)
                self._put_up(stop.after(tick.last_price))
        return crossed

    def _cross(self, tick: Tick, before: Tick | None) -> list[Crossing]:
        ladder = self._ladders[tick.instrument]
        reached = ladder[bisect_left(ladder, (tick.last_price, "")) :]
        crossed = []
        for _, run_id in reversed(reached):
            stop = self._watched[run_id]
            if stop.counts(tick, before):
                crossed.append(Crossing(stop, tick.last_price, tick.received_at))
        if len(crossed) == len(reached):
            # The usual case, a thousand at once included: cut the top off instead of picking them out one by one.
            del ladder[len(ladder) - len(reached) :]
            for crossing in crossed:
                self._take_ceiling_down(crossing.stop)
            self._mark_quiet(tick.instrument)
        else:
            for crossing in crossed:
                self._take_down(crossing.stop)
        for crossing in crossed:
            run_id = crossing.stop.run_id
            del self._watched[run_id]
            self._fired[run_id] = crossing
        return crossed

    def arm(self, stop: WatchedStop) -> bool:
        """Watch the stop, as a message says. False when a newer one is known, or this very one, watched or fired."""
        known = self._known(stop.run_id)
        if known is not None and known.version >= stop.version:
            return False
        self._note_change(stop.run_id)
        self._put(stop)
        return True

    def disarm(self, run_id: str) -> None:
        """Stop watching, as a message says. What has fired stays until Postgres says that the run is over."""
        self._note_change(run_id)
        stop = self._watched.pop(run_id, None)
        if stop is not None:
            self._take_down(stop)
            self._unwritten.discard(run_id)

    def unwritten(self) -> list[WatchedStop]:
        """Stops that have followed the price, fired ones too, and whose rows do not say so yet."""
        return [stop for run_id in self._unwritten if (stop := self._known(run_id)) is not None]

    @property
    def has_unwritten(self) -> bool:
        return bool(self._unwritten)

    def is_unwritten(self, run_id: str) -> bool:
        return run_id in self._unwritten

    def written(self, run_id: str, *, price: Decimal, version: int) -> None:
        """The run's row says that its stop stands at that price now, as that version."""
        self._note_change(run_id)
        known = self._known(run_id)
        if known is None or price >= known.price:
            self._unwritten.discard(run_id)
        if known is None:
            return
        stop = replace(known, price=max(price, known.price), version=max(version, known.version))
        fired = self._fired.get(run_id)
        if fired is not None:
            self._fired[run_id] = replace(fired, stop=stop)
        else:
            self._take_down(known)
            self._put_up(stop)

    def is_over(self, run_id: str) -> None:
        """Its run has begun to leave: where its stop would stand does not matter any more."""
        self._unwritten.discard(run_id)

    def mark(self) -> int:
        """Take one before a full read, and hand it to `replace_all` with what was read."""
        return self._changes

    def replace_all(self, armed: Iterable[WatchedStop], *, open_runs: Collection[str], mark: int) -> list[WatchedStop]:
        """Make it what a full read found; returns the stops that are new. Runs a message changed since `mark` keep what the
        message said: the next read will have it."""
        settled = {stop.run_id: stop for stop in armed if self._changed.get(stop.run_id, 0) <= mark}
        for run_id in [run_id for run_id in self._watched if run_id not in settled and self._changed.get(run_id, 0) <= mark]:
            self._take_down(self._watched.pop(run_id))
        for run_id in [run_id for run_id in self._fired if run_id not in open_runs and self._changed.get(run_id, 0) <= mark]:
            del self._fired[run_id]
        self._unwritten = {run_id for run_id in self._unwritten if self._known(run_id) is not None}
        new = [stop for stop in settled.values() if self._differs(stop)]
        for stop in new:
            self._put(stop)
        self._changed = {run_id: change for run_id, change in self._changed.items() if change > mark}
        return new

    def _differs(self, stop: WatchedStop) -> bool:
        """Postgres is the truth: also a lower version, after it was restored, replaces what is known."""
        known = self._known(stop.run_id)
        return known is None or known.version != stop.version

    def fired(self) -> dict[str, Crossing]:
        """By run: what has fired and whose run is not known to have ended."""
        return dict(self._fired)

    def watched_instruments(self) -> set[InstrumentId]:
        return set(self._ladders)

    def fired_instruments(self) -> set[InstrumentId]:
        return {crossing.stop.instrument for crossing in self._fired.values()}

    def watched(self, run_id: str) -> WatchedStop | None:
        return self._watched.get(run_id)

    @property
    def count(self) -> int:
        return len(self._watched)

    def _known(self, run_id: str) -> WatchedStop | None:
        crossing = self._fired.get(run_id)
        return crossing.stop if crossing is not None else self._watched.get(run_id)

    def _note_change(self, run_id: str) -> None:
        self._changes += 1
        self._changed[run_id] = self._changes

    def _put(self, stop: WatchedStop) -> None:
        known = self._known(stop.run_id)
        if self._watched.pop(stop.run_id, None) is not None and known is not None:
            self._take_down(known)
        self._fired.pop(stop.run_id, None)
        # How high the price has been is a fact, whoever has changed the plan since.
        followed = stop.after(stop.highest).after(known.highest if known is not None else None)
        if followed.price > stop.price:
            self._unwritten.add(stop.run_id)
        else:
            self._unwritten.discard(stop.run_id)
        self._put_up(followed)

    def _put_up(self, stop: WatchedStop) -> None:
        self._watched[stop.run_id] = stop
        insort(self._ladders.setdefault(stop.instrument, []), (stop.price, stop.run_id))
        ceiling = stop.changes_at
        if ceiling != _NEVER:
            insort(self._ceilings.setdefault(stop.instrument, []), (ceiling, stop.run_id))
        self._mark_quiet(stop.instrument)

    def _take_down(self, stop: WatchedStop) -> None:
        ladder = self._ladders[stop.instrument]
        del ladder[bisect_left(ladder, (stop.price, stop.run_id))]
        self._take_ceiling_down(stop)
        self._mark_quiet(stop.instrument)

    def _take_ceiling_down(self, stop: WatchedStop) -> None:
        ceiling = stop.changes_at
        if ceiling != _NEVER:
            ladder = self._ceilings[stop.instrument]
            del ladder[bisect_left(ladder, (ceiling, stop.run_id))]

    def _mark_quiet(self, instrument: InstrumentId) -> None:
        stops, ceilings = self._ladders[instrument], self._ceilings.get(instrument)
        if stops:
            self._quiet[instrument] = stops[-1][0], ceilings[0][0] if ceilings else _NEVER
        else:
            del self._ladders[instrument], self._quiet[instrument]
            self._ceilings.pop(instrument, None)
