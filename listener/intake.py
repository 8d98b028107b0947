"""What happens to every tick, in this order: is it believed, does it cross a stop, and only then is it kept as the newest price.

Synchronous on purpose: no tick is skipped, however far behind the listener is, because a look at a tick costs a microsecond or
two and nothing here waits for anybody.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from listener.beliefs import Beliefs, Suspect, Verdict
from listener.triggers import Crossing, Triggers, WatchedStop
from trading.instruments import InstrumentId
from trading.ports.broker import Tick
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics


class Intake:
    """`on_crossed` is told of crossings at once, and `on_risen` that stops have followed the price; neither must wait."""

    def __init__(
        self,
        *,
        triggers: Triggers,
        beliefs: Beliefs,
        on_crossed: Callable[[Sequence[Crossing]], None],
        on_risen: Callable[[], None] = lambda: None,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.triggers = triggers
        self.beliefs = beliefs
        self._on_crossed = on_crossed
        self._on_risen = on_risen
        self._clock = clock
        self._metrics = metrics
        # The newest believed tick of each instrument, and those that came since somebody last took them.
        self.newest: dict[InstrumentId, Tick] = {}
        self._changed: dict[InstrumentId, Tick] = {}
        self._forgotten: set[InstrumentId] = set()
        # Somebody should ask for quotes.
        self.suspected = asyncio.Event()

    def take(self, ticks: Sequence[Tick]) -> bool:
        """Whether a stop was crossed."""
        now = self._clock.monotonic()
        crossed: list[Crossing] = []
        dropped = suspected = 0
        for tick in ticks:
            verdict = self.beliefs.judge(tick, now=now)
            if verdict is Verdict.BELIEVED:
                crossed += self._believe(tick)
            elif verdict is Verdict.DROPPED:
                dropped += 1
            else:
                suspected += 1
        if suspected:
            self.suspected.set()
        self._count(len(ticks), dropped, suspected)
        return self._report(crossed)

    def _believe(self, tick: Tick) -> Sequence[Crossing]:
        """Stops first; only then is it the newest price."""
        crossed = self.triggers.on_tick(tick, self.newest.get(tick.instrument))
        self.newest[tick.instrument] = self._changed[tick.instrument] = tick
        return crossed

    def take_quotes(self, quotes: Mapping[InstrumentId, Decimal]) -> bool:
        """Prices asked for, always believed: they end a suspicion one way or the other. Whether a stop was crossed."""
        received_at = self._clock.now()
        crossed: list[Crossing] = []
        for instrument, price in quotes.items():
            tick = Tick(instrument, price, received_at)
            self.beliefs.settle(tick)
            crossed += self._believe(tick)
        return self._report(crossed)

    def arm(self, stop: WatchedStop) -> None:
        """Watch a stop from now on, and compare it with the newest price if that came after it was armed."""
        if self.triggers.arm(stop):
            self.compare([stop])

    def compare(self, stops: Sequence[WatchedStop]) -> None:
        """For stops learned late: a price that came between their arming and now has not been compared with them."""
        crossed: list[Crossing] = []
        for stop in stops:
            tick = self.newest.get(stop.instrument)
            if tick is not None and tick.received_at >= stop.armed_at:
                crossed += self.triggers.on_tick(tick)
        self._report(crossed)

    def suspects(self) -> Sequence[Suspect]:
        return self.beliefs.suspects()

    def take_changed(self) -> dict[InstrumentId, Tick]:
        """The newest price of each instrument that had one since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    def take_forgotten(self) -> set[InstrumentId]:
        """Instruments that were unsubscribed since the last call."""
        forgotten, self._forgotten = self._forgotten, set()
        return forgotten

    def forget(self, instruments: Sequence[InstrumentId]) -> None:
        """Unsubscribed: what is known of their prices grows old."""
        self._forgotten.update(instruments)
        for instrument in instruments:
            self.newest.pop(instrument, None)
            self._changed.pop(instrument, None)
            self.beliefs.forget(instrument)

    def _count(self, ticks: int, dropped: int, suspected: int) -> None:
        self._metrics.count("ticks", ticks)
        if dropped:
            self._metrics.count("ticks_dropped", dropped, reason="not_positive")
        if suspected:
            self._metrics.count("ticks_dropped", suspected, reason="odd")

    def _report(self, crossed: list[Crossing]) -> bool:
        if self.triggers.has_unwritten:
            self._on_risen()
        if not crossed:
            return False
        self._metrics.count("crossings", len(crossed))
        self._on_crossed(crossed)
        return True
