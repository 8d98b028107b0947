"""Stops and the prices that cross them: pure, no I/O, no clock.

A tick costs one comparison with the highest stop of its instrument unless it crosses it. A stop is versioned and fires once per
version; fired ones are remembered until their run has ended or has a newer stop.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading.instruments import InstrumentId
from trading.ports.broker import Tick


@dataclass(frozen=True, slots=True)
class WatchedStop:
    """Sell when the price is at or below `price` (rupees). Prices from before the session do not count. `armed_at` and
    `session_opens` are aware; `session_opens` None: there is no session to wait for, or none is known."""

    run_id: str
    account_id: str
    instrument: InstrumentId
    price: Decimal
    version: int
    armed_at: datetime
    session_opens: datetime | None = None

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
    """A stop that was crossed, with the first price that did it. `at`: when that price was received."""

    stop: WatchedStop
    price: Decimal
    at: datetime

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
        # Per instrument the watched stops, lowest first, and the highest of them once more for the one comparison.
        self._ladders: dict[InstrumentId, list[tuple[Decimal, str]]] = {}
        self._highest: dict[InstrumentId, Decimal] = {}
        # When a message last changed a run's stop, counted in changes: a slower full read must not undo it.
        self._changes = 0
        self._changed: dict[str, int] = {}

    def on_tick(self, tick: Tick, before: Tick | None = None) -> Sequence[Crossing]:
        """The stops this tick fires, highest first. `before`: the tick that was the newest of its instrument until now."""
        highest = self._highest.get(tick.instrument)
        if highest is None or tick.last_price > highest:
            return _NOTHING
        return self._cross(tick, before)

    def _cross(self, tick: Tick, before: Tick | None) -> Sequence[Crossing]:
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
            self._mark_highest(tick.instrument)
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
        replaced = self._watched.pop(stop.run_id, None)
        if replaced is not None:
            self._take_down(replaced)
        self._fired.pop(stop.run_id, None)
        self._watched[stop.run_id] = stop
        insort(self._ladders.setdefault(stop.instrument, []), (stop.price, stop.run_id))
        self._mark_highest(stop.instrument)

    def _take_down(self, stop: WatchedStop) -> None:
        ladder = self._ladders[stop.instrument]
        del ladder[bisect_left(ladder, (stop.price, stop.run_id))]
        self._mark_highest(stop.instrument)

    def _mark_highest(self, instrument: InstrumentId) -> None:
        ladder = self._ladders[instrument]
        if ladder:
            self._highest[instrument] = ladder[-1][0]
        else:
            del self._ladders[instrument]
            self._highest.pop(instrument, None)
