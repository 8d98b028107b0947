from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from listener.triggers import Triggers, WatchedStop
from trading.instruments import InstrumentId
from trading.ports.broker import Tick

TCS, INFY = InstrumentId("NSE", "TCS"), InstrumentId("NSE", "INFY")
OPENS = datetime(2026, 11, 20, 3, 45, tzinfo=UTC)
ARMED = OPENS + timedelta(minutes=20)
LATER = ARMED + timedelta(minutes=1)


def stop(run_id: str = "run_1", price: str = "3500", *, version: int = 1, instrument: InstrumentId = TCS) -> WatchedStop:
    return WatchedStop(run_id, "brk_1", instrument, Decimal(price), version, ARMED, session_opens=OPENS)


def tick(price: str, *, at: datetime = LATER, event: datetime | None = None, instrument: InstrumentId = TCS) -> Tick:
    return Tick(instrument, Decimal(price), at, event)


def fired(triggers: Triggers, ticked: Tick) -> list[str]:
    return [crossing.stop.run_id for crossing in triggers.on_tick(ticked)]


def test_a_price_at_the_stop_fires_it_and_one_above_does_not() -> None:
    triggers = Triggers()
    triggers.arm(stop(price="3500.05"))
    assert fired(triggers, tick("3500.10")) == []
    assert fired(triggers, tick("3500.05")) == ["run_1"]


def test_a_price_that_jumps_over_many_stops_fires_them_all_highest_first() -> None:
    triggers = Triggers()
    for number, price in enumerate(["3490", "3510", "3500"]):
        triggers.arm(stop(f"run_{number}", price))
    assert fired(triggers, tick("3400")) == ["run_1", "run_2", "run_0"]


def test_only_the_stops_of_the_ticking_instrument_fire() -> None:
    triggers = Triggers()
    triggers.arm(stop("run_1"))
    triggers.arm(stop("run_2", instrument=INFY))
    assert fired(triggers, tick("1", instrument=INFY)) == ["run_2"]


def test_a_stop_fires_once_per_version() -> None:
    triggers = Triggers()
    triggers.arm(stop())
    assert fired(triggers, tick("3499")) == ["run_1"]
    assert not triggers.arm(stop())
    assert fired(triggers, tick("3498")) == []
    assert triggers.arm(stop(price="3480", version=2))
    assert fired(triggers, tick("3481")) == []
    assert fired(triggers, tick("3480")) == ["run_1"]


def test_an_older_version_never_replaces_a_newer_one() -> None:
    triggers = Triggers()
    triggers.arm(stop(price="3450", version=2))
    assert not triggers.arm(stop(price="3500", version=1))
    assert fired(triggers, tick("3499")) == []


def test_a_disarmed_stop_does_not_fire_and_leaves_the_others_of_its_price() -> None:
    triggers = Triggers()
    triggers.arm(stop("run_1"))
    triggers.arm(stop("run_2"))
    triggers.disarm("run_1")
    assert fired(triggers, tick("3500")) == ["run_2"]


@pytest.mark.parametrize("early", [OPENS - timedelta(microseconds=1), OPENS - timedelta(hours=1)])
def test_a_price_from_before_the_session_never_fires(early: datetime) -> None:
    triggers = Triggers()
    triggers.arm(replace(stop(), armed_at=OPENS - timedelta(days=1)))
    assert fired(triggers, tick("3400", at=early)) == []
    assert fired(triggers, tick("3400", at=OPENS)) == ["run_1"]


YESTERDAY = OPENS - timedelta(hours=18)


def test_yesterday_s_price_sent_after_a_connect_never_fires_and_today_s_does() -> None:
    triggers = Triggers()
    triggers.arm(stop())
    assert fired(triggers, tick("3400", event=YESTERDAY)) == []
    assert [c.stop.run_id for c in triggers.on_tick(tick("3400", event=YESTERDAY), tick("3400", event=YESTERDAY))] == []
    assert fired(triggers, tick("3400", event=OPENS)) == ["run_1"]


def test_a_price_that_moves_fires_even_when_the_broker_s_trade_time_stands_still() -> None:
    triggers = Triggers()
    triggers.arm(stop())
    crossings = triggers.on_tick(tick("3400", event=YESTERDAY), tick("3600", event=YESTERDAY))
    assert [crossing.stop.run_id for crossing in crossings] == ["run_1"]


def test_a_tick_that_does_not_count_for_one_stop_fires_the_other() -> None:
    triggers = Triggers()
    triggers.arm(stop("run_1"))
    triggers.arm(replace(stop("run_2", "3510"), session_opens=LATER + timedelta(hours=1)))
    assert fired(triggers, tick("3400")) == ["run_1"]
    assert fired(triggers, tick("3400", at=LATER + timedelta(hours=1))) == ["run_2"]


def test_the_trigger_id_is_the_same_for_every_repetition_and_new_for_every_version() -> None:
    triggers = Triggers()
    triggers.arm(stop())
    (first,) = triggers.on_tick(tick("3400"))
    triggers.arm(stop(version=2))
    (second,) = triggers.on_tick(tick("3400"))
    assert (first.trigger_id, second.trigger_id) == ("run_1:1", "run_1:2")


def test_a_full_read_adds_what_is_missing_and_removes_what_is_gone() -> None:
    triggers = Triggers()
    triggers.arm(stop("run_gone"))
    mark = triggers.mark()
    assert triggers.replace_all([stop("run_new")], open_runs={"run_new"}, mark=mark) == [stop("run_new")]
    assert fired(triggers, tick("3400")) == ["run_new"]


def test_a_fired_stop_is_remembered_until_its_run_is_over() -> None:
    triggers = Triggers()
    triggers.arm(stop())
    triggers.on_tick(tick("3400"))
    triggers.replace_all([stop()], open_runs={"run_1"}, mark=triggers.mark())
    triggers.replace_all([], open_runs={"run_1"}, mark=triggers.mark())
    assert set(triggers.fired()) == {"run_1"}
    assert fired(triggers, tick("3400")) == []
    triggers.replace_all([], open_runs=set(), mark=triggers.mark())
    assert triggers.fired() == {}


def test_a_full_read_that_began_before_a_message_does_not_undo_it() -> None:
    triggers = Triggers()
    triggers.arm(stop("run_2"))
    mark = triggers.mark()
    triggers.arm(stop("run_1"))
    triggers.disarm("run_2")
    triggers.replace_all([stop("run_2")], open_runs={"run_2"}, mark=mark)
    assert fired(triggers, tick("3400")) == ["run_1"]
    triggers.replace_all([stop("run_3")], open_runs={"run_1", "run_3"}, mark=triggers.mark())
    assert triggers.count == 1


def test_after_a_restored_database_the_full_read_wins_over_memory() -> None:
    triggers = Triggers()
    triggers.arm(stop(price="3450", version=5))
    triggers.replace_all([stop(price="3500", version=4)], open_runs={"run_1"}, mark=triggers.mark())
    assert fired(triggers, tick("3499")) == ["run_1"]


PRICES = st.integers(min_value=95, max_value=105).map(Decimal)
SECONDS = st.integers(min_value=0, max_value=30)
TRADED = st.none() | st.integers(min_value=-30, max_value=30)


class AgainstANaiveModel(RuleBasedStateMachine):
    """The model keeps every stop in a dict and looks at all of them at every tick."""

    runs: Bundle[str] = Bundle("runs")

    @initialize()
    def begin(self) -> None:
        self.triggers = Triggers()
        self.watched: dict[str, WatchedStop] = {}
        self.last_version: dict[str, int] = {}
        self.fired: set[tuple[str, int]] = set()
        self.fired_runs: dict[str, int] = {}
        self.newest: dict[InstrumentId, Tick] = {}
        self.numbers = 0

    @rule(target=runs, price=PRICES, armed=SECONDS, instrument=st.sampled_from([TCS, INFY]))
    def new_run(self, price: Decimal, armed: int, instrument: InstrumentId) -> str:
        self.numbers += 1
        run_id = f"run_{self.numbers:04d}"
        self._arm(WatchedStop(run_id, "brk_1", instrument, price, 1, OPENS + timedelta(seconds=armed), session_opens=OPENS))
        return run_id

    @rule(run_id=runs, price=PRICES, armed=SECONDS, step=st.integers(min_value=-1, max_value=2))
    def change_stop(self, run_id: str, price: Decimal, armed: int, step: int) -> None:
        before = self.watched.get(run_id)
        version = max(1, self.last_version[run_id] + step)
        instrument = before.instrument if before else TCS
        self._arm(WatchedStop(run_id, "brk_1", instrument, price, version, OPENS + timedelta(seconds=armed), session_opens=OPENS))

    def _arm(self, new: WatchedStop) -> None:
        known = max(self.watched[new.run_id].version if new.run_id in self.watched else 0, self.fired_runs.get(new.run_id, 0))
        assert self.triggers.arm(new) == (new.version > known)
        if new.version > known:
            self.watched[new.run_id] = new
            self.fired_runs.pop(new.run_id, None)
            self.last_version[new.run_id] = new.version

    @rule(run_id=consumes(runs))
    def disarm(self, run_id: str) -> None:
        self.triggers.disarm(run_id)
        self.watched.pop(run_id, None)

    @rule(
        instrument=st.sampled_from([TCS, INFY]),
        price=PRICES,
        received=st.integers(min_value=-5, max_value=40),
        event=TRADED,
    )
    def ticks(self, instrument: InstrumentId, price: Decimal, received: int, event: int | None) -> None:
        traded_at = OPENS + timedelta(seconds=event) if event is not None else None
        before = self.newest.get(instrument)
        ticked = Tick(instrument, price, OPENS + timedelta(seconds=received), traded_at)
        expected = {
            run_id: watched
            for run_id, watched in self.watched.items()
            if watched.instrument == instrument
            and price <= watched.price
            and received >= 0
            and (traded_at is None or traded_at >= OPENS or (before is not None and before.last_price != price))
        }
        crossings = self.triggers.on_tick(ticked, before)
        self.newest[instrument] = ticked
        assert {crossing.stop.run_id: crossing.stop for crossing in crossings} == expected
        assert [crossing.stop.price for crossing in crossings] == sorted((s.price for s in expected.values()), reverse=True)
        for run_id, watched in expected.items():
            assert (run_id, watched.version) not in self.fired
            self.fired.add((run_id, watched.version))
            self.fired_runs[run_id] = watched.version
            del self.watched[run_id]

    @rule()
    def full_read(self) -> None:
        open_runs = set(self.watched) | set(self.fired_runs)
        self.triggers.replace_all(list(self.watched.values()), open_runs=open_runs, mark=self.triggers.mark())

    @invariant()
    def both_know_the_same(self) -> None:
        assert self.triggers.count == len(self.watched)
        assert {run_id: crossing.stop.version for run_id, crossing in self.triggers.fired().items()} == self.fired_runs
        assert self.triggers.watched_instruments() == {watched.instrument for watched in self.watched.values()}


TestAgainstANaiveModel = AgainstANaiveModel.TestCase
