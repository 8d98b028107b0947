"""Armed orders in memory, against a list that is searched from end to end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from execution.armed import ArmedOrder, ArmedOrders
from trading.instruments import InstrumentId
from trading.orders import Leg

START = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
INSTANTS = st.none() | st.integers(0, 30).map(lambda seconds: START + timedelta(seconds=seconds))
IDS = st.integers(0, 7)


def armed(number: int, *, revision: int = 1, fire_at: datetime | None = None) -> ArmedOrder:
    """Even numbers are exits; two accounts; each run has one entry and one exit."""
    leg = Leg.ENTRY if number % 2 else Leg.EXIT
    return ArmedOrder(
        order_id=f"order-{number}",
        run_id=f"run-{number // 2}",
        account_id=f"account-{number // 4}",
        leg=leg,
        revision=revision,
        instrument=InstrumentId("NSE", "TCS"),
        fire_at=fire_at,
        stop_price=Decimal(3500),
        stop_version=1,
        band_step=0,
    )


class HeapAndList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.orders = ArmedOrders()
        self.listed: dict[str, ArmedOrder] = {}
        # Handed out for this instant. An order that is still armed afterwards may or may not come again once it was put again.
        self.handed_out: dict[str, datetime] = {}
        self.put_again: set[str] = set()
        self.revisions = 0
        self.now = START

    @rule(number=IDS, fire_at=INSTANTS)
    def newer_row_is_put(self, number: int, fire_at: datetime | None) -> None:
        self.revisions += 1
        order = armed(number, revision=self.revisions, fire_at=fire_at)
        assert self.orders.put(order)
        self._list(order)

    @rule(number=IDS, fire_at=INSTANTS, older=st.integers(0, 3))
    def stale_row_is_put(self, number: int, fire_at: datetime | None, older: int) -> None:
        known = self.listed.get(f"order-{number}")
        if known is not None:
            assert not self.orders.put(replace(known, revision=known.revision - older, fire_at=fire_at))

    @rule(number=IDS)
    def order_is_dropped(self, number: int) -> None:
        self.orders.drop(f"order-{number}")
        self._unlist(f"order-{number}")

    @rule(account=st.integers(0, 1))
    def account_is_dropped(self, account: int) -> None:
        self.orders.drop_account(f"account-{account}")
        for order in list(self.listed.values()):
            if order.account_id == f"account-{account}":
                self._unlist(order.order_id)

    @rule(numbers=st.sets(IDS), fire_at=INSTANTS, changed=st.booleans(), late=st.none() | IDS)
    def full_truth_arrives(self, numbers: set[int], fire_at: datetime | None, changed: bool, late: int | None) -> None:
        """`late`: an order that is armed while the rows are being read, and which that read may have missed."""
        truth, mark = [], self.orders.mark()
        if late is not None:
            self.newer_row_is_put(late, fire_at)
        for number in numbers:
            known = self.listed.get(f"order-{number}")
            if known is None or changed:
                self.revisions += 1
                known = armed(number, revision=self.revisions, fire_at=fire_at)
            truth.append(known)
        lacking = self.orders.lacks({order.order_id: order.revision for order in truth})
        assert set(lacking) == {order.order_id for order in truth if self.listed.get(order.order_id) != order}
        for order in truth:
            if order.order_id in lacking:
                self.orders.put(order)
        self.orders.keep({order.order_id for order in truth}, mark=mark)
        for order_id in list(self.listed):
            if order_id not in {order.order_id for order in truth} | {f"order-{late}"}:
                self._unlist(order_id)
        for order in truth:
            if self.listed.get(order.order_id) != order:
                self._list(order)

    @rule(seconds=st.integers(0, 8))
    def time_passes_and_what_is_due_is_taken(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        taken = self.orders.take_due(self.now)
        assert len({order.order_id for order in taken}) == len(taken)
        for order in taken:
            assert self.listed[order.order_id] == order
            assert order.fire_at is not None
            assert order.fire_at <= self.now
            again = self.handed_out.get(order.order_id) == order.fire_at
            assert not again or order.order_id in self.put_again, "handed out twice"
            self.handed_out[order.order_id] = order.fire_at
            self.put_again.discard(order.order_id)
        for order in self.listed.values():
            due = order.fire_at is not None and order.fire_at <= self.now
            assert not due or self.handed_out.get(order.order_id) == order.fire_at, "due and not handed out"

    def _list(self, order: ArmedOrder) -> None:
        if self.handed_out.get(order.order_id) == order.fire_at:
            self.put_again.add(order.order_id)
        else:
            self.handed_out.pop(order.order_id, None)
        self.listed[order.order_id] = order

    def _unlist(self, order_id: str) -> None:
        self.listed.pop(order_id, None)
        self.handed_out.pop(order_id, None)
        self.put_again.discard(order_id)

    @invariant()
    def both_hold_the_same(self) -> None:
        assert len(self.orders) == len(self.listed)
        for number in range(8):
            assert self.orders.get(f"order-{number}") == self.listed.get(f"order-{number}")

    @invariant()
    def a_stop_finds_the_exit_of_its_run(self) -> None:
        for number in range(0, 8, 2):
            assert self.orders.exit_of(f"run-{number // 2}") == self.listed.get(f"order-{number}")

    # No invariant: asking also clears outdated instants away, and nobody asks before every other call.
    @rule()
    def the_next_instant_is_the_earliest_that_was_not_handed_out(self) -> None:
        timed = {order.order_id: order.fire_at for order in self.listed.values() if order.fire_at is not None}
        fresh = [at for order_id, at in timed.items() if self.handed_out.get(order_id) != at]
        again = [timed[order_id] for order_id in self.put_again if order_id in timed]
        assert self.orders.next_instant() in {min(fresh, default=None), min([*fresh, *again], default=None)}


TestHeapAndList = HeapAndList.TestCase
TestHeapAndList.settings = settings(max_examples=100, stateful_step_count=30)


def test_the_newest_attempt_of_a_run_is_the_one_a_stop_finds() -> None:
    orders = ArmedOrders()
    first, second = armed(0), replace(armed(0), order_id="order-second")
    orders.put(first)
    orders.put(second)
    orders.drop(first.order_id)
    assert orders.exit_of("run-0") == second


def test_a_run_without_an_armed_exit_has_none_to_fire() -> None:
    orders = ArmedOrders()
    orders.put(armed(1))
    assert orders.exit_of("run-0") is None
