"""Targets, and stops that follow the price, in the ladders of the listener."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from listener.triggers import Triggers, WatchedStop
from tests.unit.listener.test_triggers import LATER, OPENS, TCS, YESTERDAY, stop, tick
from trading.ports.broker import Tick
from trading.runs import ExitReason
from trading.trailing import Trail, trailed

TEN_BELOW = Trail(rupees=Decimal(10))


def target(run_id: str = "run_1", price: str = "3700") -> WatchedStop:
    return replace(stop(run_id), target=Decimal(price))


def trailing(run_id: str = "run_1", *, highest: str | None = None, version: int = 1, price: str = "3500") -> WatchedStop:
    seen = None if highest is None else Decimal(highest)
    return replace(stop(run_id, price, version=version), trail=TEN_BELOW, highest=seen, tick_size=Decimal("0.05"))


def crossed(triggers: Triggers, ticked: Tick) -> list[tuple[str, ExitReason]]:
    return [(crossing.stop.run_id, crossing.reason) for crossing in triggers.on_tick(ticked)]


def stands_at(triggers: Triggers, run_id: str = "run_1") -> Decimal:
    watched = triggers.watched(run_id)
    assert watched is not None
    return watched.price


def test_a_price_at_the_target_fires_it_once_and_one_below_does_not() -> None:
    triggers = Triggers()
    triggers.arm(target())
    assert crossed(triggers, tick("3699.95")) == []
    assert crossed(triggers, tick("3700")) == [("run_1", ExitReason.TARGET)]
    assert crossed(triggers, tick("3800")) == crossed(triggers, tick("3400")) == []


def test_a_price_between_one_run_s_target_and_another_s_stop_above_it_fires_both() -> None:
    triggers = Triggers()
    triggers.arm(target("run_low", "3550"))
    triggers.arm(stop("run_high", "3650"))
    assert crossed(triggers, tick("3600")) == [("run_high", ExitReason.STOP_LOSS), ("run_low", ExitReason.TARGET)]


def test_a_price_of_yesterday_reaches_no_target_and_raises_no_stop() -> None:
    triggers = Triggers()
    triggers.arm(target("run_1"))
    triggers.arm(trailing("run_2"))
    assert crossed(triggers, tick("3900", event=YESTERDAY)) == []
    assert stands_at(triggers, "run_2") == Decimal(3500)
    assert not triggers.has_unwritten


def test_a_stop_follows_the_price_up_and_stays_when_it_falls() -> None:
    triggers = Triggers()
    triggers.arm(trailing())
    for price, expected in [("3510", "3500"), ("3510.05", "3500.05"), ("3600.03", "3590"), ("3595", "3590")]:
        assert crossed(triggers, tick(price)) == []
        assert stands_at(triggers) == Decimal(expected)
    (risen,) = triggers.unwritten()
    assert (risen.price, risen.highest, risen.version) == (Decimal(3590), Decimal("3600.03"), 1)
    assert crossed(triggers, tick("3590")) == [("run_1", ExitReason.STOP_LOSS)]


def test_what_was_paid_is_the_first_price_it_follows() -> None:
    triggers = Triggers()
    triggers.arm(trailing(highest="3600"))
    assert stands_at(triggers) == Decimal(3590)
    assert triggers.is_unwritten("run_1")


def test_a_stop_is_written_once_its_row_stands_as_high() -> None:
    triggers = Triggers()
    triggers.arm(trailing(highest="3600"))
    triggers.on_tick(tick("3610"))
    triggers.written("run_1", price=Decimal(3590), version=2)
    assert triggers.is_unwritten("run_1")
    assert stands_at(triggers) == Decimal(3600)
    triggers.written("run_1", price=Decimal(3600), version=3)
    assert not triggers.has_unwritten
    (crossing,) = triggers.on_tick(tick("3600"))
    assert crossing.trigger_id == "run_1:3"


def test_a_stop_that_fires_before_it_is_written_learns_its_version_afterwards() -> None:
    triggers = Triggers()
    triggers.arm(trailing(highest="3600"))
    triggers.on_tick(tick("3580"))
    (risen,) = triggers.unwritten()
    assert risen.price == Decimal(3590)
    triggers.written("run_1", price=Decimal(3590), version=2)
    assert triggers.fired()["run_1"].trigger_id == "run_1:2"
    triggers.replace_all([trailing(price="3590", highest="3600", version=2)], open_runs={"run_1"}, mark=triggers.mark())
    assert crossed(triggers, tick("3570")) == []


def test_a_full_read_from_before_the_writing_does_not_lower_it() -> None:
    triggers = Triggers()
    triggers.arm(trailing())
    mark = triggers.mark()
    triggers.on_tick(tick("3600"))
    triggers.written("run_1", price=Decimal(3590), version=2)
    triggers.replace_all([trailing()], open_runs={"run_1"}, mark=mark)
    assert stands_at(triggers) == Decimal(3590)


def test_a_full_read_that_is_ahead_of_the_writer_keeps_the_highest_price_that_was_seen() -> None:
    triggers = Triggers()
    triggers.arm(trailing())
    triggers.on_tick(tick("3650"))
    ahead = trailing(price="3590", highest="3600", version=2)
    triggers.replace_all([ahead], open_runs={"run_1"}, mark=triggers.mark())
    assert stands_at(triggers) == Decimal(3640)
    assert triggers.is_unwritten("run_1")


def test_a_target_comes_before_a_rise_and_ends_both() -> None:
    triggers = Triggers()
    triggers.arm(replace(trailing(), target=Decimal(3600)))
    triggers.on_tick(tick("3590"))
    assert stands_at(triggers) == Decimal(3580)
    assert crossed(triggers, tick("3600")) == [("run_1", ExitReason.TARGET)]
    assert triggers.watched("run_1") is None


def test_a_run_that_is_over_or_disarmed_has_nothing_to_write() -> None:
    triggers = Triggers()
    for run_id in ("run_1", "run_2"):
        triggers.arm(trailing(run_id, highest="3600"))
    triggers.is_over("run_1")
    triggers.disarm("run_2")
    assert not triggers.has_unwritten


PRICES = st.integers(min_value=90, max_value=110).map(Decimal)
OPTIONAL = st.none() | st.integers(min_value=101, max_value=110).map(Decimal)
TRAILS = st.none() | st.integers(1, 8).map(lambda rupees: Trail(rupees=Decimal(rupees))) | st.just(Trail(percent=Decimal(3)))


class AgainstANaiveModel(RuleBasedStateMachine):
    """The model keeps every run in a dict and looks at all of them at every tick."""

    @initialize()
    def begin(self) -> None:
        self.triggers = Triggers()
        self.watched: dict[str, WatchedStop] = {}
        self.rows: dict[str, tuple[Decimal, int]] = {}
        self.numbers = 0

    @rule(price=st.integers(min_value=90, max_value=99).map(Decimal), goal=OPTIONAL, trail=TRAILS, paid=PRICES)
    def new_run(self, price: Decimal, goal: Decimal | None, trail: Trail | None, paid: Decimal) -> None:
        self.numbers += 1
        new = WatchedStop(
            f"run_{self.numbers:03d}",
            "brk_1",
            TCS,
            price,
            1,
            OPENS,
            target=goal,
            trail=trail,
            highest=paid if trail else None,
            tick_size=Decimal(1),
        )
        assert self.triggers.arm(new)
        self.rows[new.run_id] = (price, 1)
        self.watched[new.run_id] = self._risen(new, paid)

    @rule(price=PRICES)
    def ticks(self, price: Decimal) -> None:
        expected = {}
        for run_id, watched in list(self.watched.items()):
            if price <= watched.price:
                expected[run_id] = ExitReason.STOP_LOSS
            elif watched.target is not None and price >= watched.target:
                expected[run_id] = ExitReason.TARGET
            else:
                self.watched[run_id] = self._risen(watched, price)
        for run_id in expected:
            del self.watched[run_id]
        assert dict(crossed(self.triggers, Tick(TCS, price, LATER))) == expected

    def _risen(self, watched: WatchedStop, price: Decimal) -> WatchedStop:
        if watched.trail is None:
            return watched
        return replace(watched, price=trailed(watched.price, trail=watched.trail, highest=price, tick_size=Decimal(1)))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Any of them, so that some are written long after others."""
        for risen in self.triggers.unwritten():
            if data.draw(st.booleans()):
                price, version = self.rows[risen.run_id]
                self.rows[risen.run_id] = max(price, risen.price), version + 1
                self.triggers.written(risen.run_id, price=risen.price, version=version + 1)

    @rule()
    def full_read(self) -> None:
        stops = [replace(each, price=self.rows[run_id][0], version=self.rows[run_id][1]) for run_id, each in self.watched.items()]
        self.triggers.replace_all(stops, open_runs=set(self.rows), mark=self.triggers.mark())

    @invariant()
    def every_stop_stands_where_the_highest_price_has_put_it(self) -> None:
        assert {run_id: stands_at(self.triggers, run_id) for run_id in self.watched} == {
            run_id: watched.price for run_id, watched in self.watched.items()
        }
        assert self.triggers.count == len(self.watched)

    @invariant()
    def what_no_row_says_is_known_to_be_unwritten(self) -> None:
        for run_id, watched in self.watched.items():
            assert self.triggers.is_unwritten(run_id) is (watched.price > self.rows[run_id][0])


TestAgainstANaiveModel = AgainstANaiveModel.TestCase
