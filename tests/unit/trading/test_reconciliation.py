"""Our rows beside the broker's: what is found, and what a late, empty or partial answer can never prove."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import FRIDAY, TCS
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerPosition, BrokerTrade, Leg, OrderState, Side
from trading.reconciliation import (
    BaselineRead,
    Comparison,
    FillsMissing,
    ForeignOrder,
    Missed,
    OrderMissing,
    OrderUnknown,
    Ours,
    OwnOrder,
    OwnRun,
    PositionDiffers,
    SoldElsewhere,
    Theirs,
    compare,
    day_of_tag,
    needs_second_sight,
)
from trading.tags import make_tag

MIS = LedgerKey(TCS, Product.MIS)
CNC = LedgerKey(TCS, Product.CNC)
INFY = InstrumentId("NSE", "INFY")
NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=10)
PRICE = Decimal(3500)


@dataclass(frozen=True)
class Traded:
    """An order that filled, at the broker and in our rows."""

    number: int
    key: LedgerKey
    side: Side
    quantity: int

    @property
    def tag(self) -> str:
        leg = Leg.ENTRY if self.side is Side.BUY else Leg.EXIT
        return make_tag(f"run_{self.number}", leg=leg, attempt=1, trading_day=FRIDAY)

    @property
    def row(self) -> OwnOrder:
        return OwnOrder(
            order_id=f"ord_{self.number}",
            run_id=f"run_{self.number}",
            tag=self.tag,
            broker_order_id=f"b{self.number}",
            key=self.key,
            side=self.side,
            state=OrderState.FILLED,
            filled_quantity=self.quantity,
            acknowledged_at=EARLIER,
        )

    @property
    def run(self) -> OwnRun:
        return OwnRun(f"run_{self.number}", self.key, self.quantity, 0, is_open=True)

    @property
    def listed(self) -> BrokerOrder:
        return BrokerOrder(
            f"b{self.number}",
            self.tag,
            self.key.instrument,
            self.key.product,
            self.side,
            self.quantity,
            self.quantity,
            PRICE,
            PRICE,
            BrokerOrderStatus.COMPLETE,
            "",
            EARLIER,
        )

    @property
    def trade(self) -> BrokerTrade:
        return BrokerTrade(
            f"t{self.number}", f"b{self.number}", self.key.instrument, self.key.product, self.side, self.quantity, PRICE, EARLIER
        )


def by_hand(number: int, side: Side, quantity: int, key: LedgerKey = MIS) -> tuple[BrokerOrder, BrokerTrade]:
    made = Traded(number, key, side, quantity)
    return replace(made.listed, tag=None), made.trade


def listed(key: LedgerKey, net: int) -> BrokerPosition:
    return BrokerPosition(key.instrument, key.product, net, PRICE, PRICE)


def book(
    *bought: Traded, hand: tuple[tuple[BrokerOrder, BrokerTrade], ...] = (), net: dict[LedgerKey, int] | None = None
) -> Theirs:
    """A broker that lists those purchases and those orders by hand, and the positions given."""
    return Theirs(
        tuple(made.listed for made in bought) + tuple(order for order, _ in hand),
        tuple(made.trade for made in bought) + tuple(trade for _, trade in hand),
        tuple(listed(key, quantity) for key, quantity in (net or {}).items()),
        listed_since=NOW,
    )


def rows(*bought: Traded, baselines: dict[LedgerKey, int] | None = None) -> Ours:
    return Ours(tuple(made.row for made in bought), tuple(made.run for made in bought), baselines or {})


def findings(ours: Ours, theirs: Theirs) -> tuple[object, ...]:
    return compare(ours, theirs, day=FRIDAY).findings


FIRST, SECOND = Traded(1, MIS, Side.BUY, 10), Traded(2, MIS, Side.BUY, 7)


def test_rows_and_broker_that_say_the_same_agree() -> None:
    compared = compare(rows(FIRST, SECOND, baselines={MIS: 5}), book(FIRST, SECOND, net={MIS: 22}), day=FRIDAY)
    assert compared == Comparison((), frozenset({MIS}))


@pytest.mark.parametrize("state", [OrderState.SENDING, OrderState.UNKNOWN, OrderState.ABSENT, OrderState.REJECTED])
def test_an_order_found_by_its_tag_is_ours(state: OrderState) -> None:
    row = replace(FIRST.row, state=state, broker_order_id=None, filled_quantity=0)
    ours = Ours((row,), (), {})
    assert findings(ours, book(FIRST)) == (Missed("ord_1", "run_1", "b1", was_armed=False),)


def test_an_order_our_rows_hold_unsent_is_found_by_its_tag() -> None:
    row = replace(FIRST.row, state=OrderState.ARMED, broker_order_id=None, filled_quantity=0)
    assert findings(Ours((row,), (), {}), book(FIRST)) == (Missed("ord_1", "run_1", "b1", was_armed=True),)


def test_fills_and_an_end_that_a_row_lacks_are_found() -> None:
    row = replace(FIRST.row, state=OrderState.OPEN, filled_quantity=4)
    assert findings(Ours((row,), (), {}), book(FIRST)) == (Missed("ord_1", "run_1", "b1", was_armed=False),)
    ended = replace(FIRST.listed, status=BrokerOrderStatus.CANCELLED, filled_quantity=4)
    theirs = Theirs((ended,), (replace(FIRST.trade, quantity=4),), (), NOW)
    assert findings(Ours((row,), (), {}), theirs) == (Missed("ord_1", "run_1", "b1", was_armed=False),)


def test_an_older_picture_of_an_order_is_no_finding() -> None:
    resting = replace(FIRST.listed, status=BrokerOrderStatus.OPEN, filled_quantity=4)
    theirs = Theirs((resting,), (FIRST.trade,), (), NOW)
    assert findings(Ours((FIRST.row,), (), {}), theirs) == ()


@pytest.mark.parametrize(("side", "symbol"), [(Side.SELL, TCS), (Side.BUY, INFY)])
def test_a_tag_on_another_side_or_instrument_is_not_taken_for_ours(side: Side, symbol: InstrumentId) -> None:
    row = replace(FIRST.row, state=OrderState.UNKNOWN, broker_order_id=None, filled_quantity=0)
    theirs = Theirs((replace(FIRST.listed, side=side, instrument=symbol),), (), (), NOW)
    assert findings(Ours((row,), (), {}), theirs) == (OrderUnknown("b1", FIRST.tag, symbol),)


def test_an_order_with_a_tag_of_ours_and_no_row_is_unknown() -> None:
    assert findings(rows(), book(FIRST)) == (OrderUnknown("b1", FIRST.tag, TCS),)


def test_an_order_whose_row_was_never_to_be_sent_is_unknown() -> None:
    row = replace(FIRST.row, state=OrderState.SUPERSEDED, broker_order_id=None, filled_quantity=0)
    assert findings(Ours((row,), (), {}), book(FIRST)) == (OrderUnknown("b1", FIRST.tag, TCS),)


def test_a_second_order_with_the_tag_of_one_that_is_known_is_unknown() -> None:
    twin = replace(FIRST.listed, broker_order_id="b99")
    theirs = Theirs((FIRST.listed, twin), (FIRST.trade,), (listed(MIS, 10),), NOW)
    assert findings(rows(FIRST, baselines={MIS: 0}), theirs) == (OrderUnknown("b99", FIRST.tag, TCS),)


def test_a_tag_of_yesterday_is_no_finding() -> None:
    yesterday = make_tag("run_1", leg=Leg.ENTRY, attempt=1, trading_day=FRIDAY - timedelta(days=1))
    theirs = Theirs((replace(FIRST.listed, broker_order_id="b99", tag=yesterday),), (), (), NOW)
    assert findings(Ours((), (FIRST.run,), {}), theirs) == ()


@pytest.mark.parametrize("tag", [None, "", "mine", "t32", "t32fb01" + "a" * 13, "T324B01" + "A" * 13, "t324x01" + "a" * 13])
def test_other_peoples_tags_have_another_shape(tag: str | None) -> None:
    assert day_of_tag(tag) is None


def test_our_tags_name_their_day() -> None:
    assert day_of_tag(FIRST.tag) == 324


def test_orders_by_hand_are_told_where_a_run_trades_and_nowhere_else() -> None:
    elsewhere = by_hand(9, Side.BUY, 5, LedgerKey(INFY, Product.MIS))
    theirs = book(FIRST, hand=(by_hand(8, Side.BUY, 5), elsewhere), net={MIS: 15})
    assert findings(rows(FIRST, baselines={MIS: 0}), theirs) == (ForeignOrder("b8", TCS, Side.BUY, 5),)


def test_an_acknowledged_order_that_is_not_listed_is_missing_but_not_a_young_one() -> None:
    row = replace(FIRST.row, state=OrderState.OPEN, filled_quantity=0)
    assert findings(Ours((row,), (), {}), book()) == (OrderMissing("ord_1", "run_1"),)
    assert findings(Ours((replace(row, acknowledged_at=NOW),), (), {}), book()) == ()
    assert findings(Ours((replace(row, is_todays=False),), (), {}), book()) == ()


def test_fills_that_the_trade_book_lacks_are_found_only_for_today() -> None:
    theirs = replace(book(FIRST), trades=())
    assert findings(Ours((FIRST.row,), (), {}), theirs) == (FillsMissing("ord_1", "run_1", 10, 0),)
    assert findings(Ours((replace(FIRST.row, is_todays=False),), (), {}), theirs) == ()


def test_a_sale_by_hand_beyond_the_users_own_shares_takes_ours() -> None:
    sold = by_hand(8, Side.SELL, 9)
    found = findings(rows(FIRST, SECOND, baselines={MIS: 5}), book(FIRST, SECOND, hand=(sold,), net={MIS: 13}))
    assert found == (ForeignOrder("b8", TCS, Side.SELL, 9), SoldElsewhere(MIS, 4))


def test_what_was_taken_already_is_not_taken_again() -> None:
    ours = replace(rows(FIRST, baselines={MIS: 0}), runs=(replace(FIRST.run, open_quantity=6, taken_elsewhere=4),))
    compared = compare(ours, book(FIRST, hand=(by_hand(8, Side.SELL, 4),), net={MIS: 6}), day=FRIDAY)
    assert compared == Comparison((ForeignOrder("b8", TCS, Side.SELL, 4),), frozenset({MIS}))


def test_delivered_shares_are_never_taken_and_do_not_mix_with_intraday_ones() -> None:
    delivered = Traded(3, CNC, Side.BUY, 6)
    theirs = book(FIRST, delivered, hand=(by_hand(8, Side.SELL, 6, CNC),), net={MIS: 10, CNC: 0})
    compared = compare(rows(FIRST, delivered, baselines={MIS: 0, CNC: 0}), theirs, day=FRIDAY)
    assert compared == Comparison((ForeignOrder("b8", TCS, Side.SELL, 6),), frozenset({MIS, CNC}))


def test_while_an_order_is_in_doubt_its_trades_are_nobody_elses() -> None:
    doubtful = replace(FIRST.row, order_id="ord_9", state=OrderState.UNKNOWN, broker_order_id=None, tag="t324s01" + "a" * 13)
    ours = replace(rows(FIRST, baselines={MIS: 0}), orders=(FIRST.row, replace(doubtful, side=Side.SELL, filled_quantity=0)))
    _, sale = by_hand(8, Side.SELL, 10)
    theirs = replace(book(FIRST, net={MIS: 0}), trades=(FIRST.trade, sale))
    assert compare(ours, theirs, day=FRIDAY) == Comparison((), frozenset())


def test_a_position_that_trades_do_not_explain_is_told_of_the_newest_runs_and_takes_nothing() -> None:
    ours = rows(FIRST, SECOND, baselines={MIS: 0})
    assert findings(ours, book(FIRST, SECOND, net={MIS: 12})) == (PositionDiffers(MIS, 17, 12, ("run_2",)),)
    assert findings(ours, book(FIRST, SECOND, net={MIS: 8})) == (PositionDiffers(MIS, 17, 8, ("run_2", "run_1")),)
    assert findings(ours, book(FIRST, SECOND, net={MIS: 30})) == (PositionDiffers(MIS, 17, 30, ()),)


@pytest.mark.parametrize("baselines", [{}, {MIS: 0}, {MIS: 25}])
def test_a_position_that_is_not_listed_proves_nothing(baselines: dict[LedgerKey, int]) -> None:
    assert compare(rows(FIRST, baselines=baselines), book(FIRST), day=FRIDAY) == Comparison((), frozenset())


def test_what_was_there_before_is_read_where_it_is_not_known() -> None:
    assert findings(rows(FIRST), book(FIRST, net={MIS: 35})) == (BaselineRead(MIS, 25, traded=10),)


KEYS = (MIS, CNC, LedgerKey(INFY, Product.MIS))
PURCHASES = st.lists(
    st.builds(Traded, st.integers(1, 40), st.sampled_from(KEYS), st.just(Side.BUY), st.integers(1, 99)),
    min_size=1,
    max_size=8,
    unique_by=lambda made: made.number,
)
BASELINES = st.fixed_dictionaries({key: st.integers(-50, 50) for key in KEYS})


def whole(purchases: list[Traded], baselines: dict[LedgerKey, int]) -> tuple[Ours, Theirs]:
    net = dict(baselines)
    for made in purchases:
        net[made.key] += made.quantity
    return rows(*purchases, baselines=baselines), book(*purchases, net=net)


@given(PURCHASES, BASELINES)
def test_a_broker_that_did_what_our_rows_say_agrees(purchases: list[Traded], baselines: dict[LedgerKey, int]) -> None:
    ours, theirs = whole(purchases, baselines)
    assert compare(ours, theirs, day=FRIDAY) == Comparison((), frozenset(made.key for made in purchases))


@given(PURCHASES, BASELINES, st.data())
def test_rows_that_forgot_are_found_each_once_and_nothing_else_is_believed(
    purchases: list[Traded], baselines: dict[LedgerKey, int], data: st.DataObject
) -> None:
    ours, theirs = whole(purchases, baselines)
    forgotten = data.draw(st.sets(st.sampled_from(purchases)))
    states = st.sampled_from([OrderState.ARMED, OrderState.SENDING, OrderState.UNKNOWN, OrderState.ABSENT])
    orders = tuple(
        replace(made.row, state=data.draw(states), broker_order_id=None, filled_quantity=0) if made in forgotten else made.row
        for made in purchases
    )
    compared = compare(replace(ours, orders=orders), theirs, day=FRIDAY)
    missed = {finding.order_id for finding in compared.findings if isinstance(finding, Missed)}
    assert missed == {made.row.order_id for made in forgotten}
    assert len(compared.findings) == len(forgotten)


@given(PURCHASES, BASELINES, st.data())
def test_a_book_that_leaves_things_out_makes_nothing_believed_at_once(
    purchases: list[Traded], baselines: dict[LedgerKey, int], data: st.DataObject
) -> None:
    ours, theirs = whole(purchases, baselines)
    partial = Theirs(
        tuple(order for order in theirs.orders if data.draw(st.booleans())),
        tuple(trade for trade in theirs.trades if data.draw(st.booleans())),
        tuple(position for position in theirs.positions if data.draw(st.booleans())),
        theirs.listed_since,
    )
    compared = compare(ours, partial, day=FRIDAY)
    assert all(needs_second_sight(finding) for finding in compared.findings)
    assert not any(isinstance(finding, SoldElsewhere) for finding in compared.findings)
    assert compared.is_whole == (len(partial.orders) == len(theirs.orders))


@given(PURCHASES, BASELINES, st.integers(1, 200), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_the_brokers_lists_matters(
    purchases: list[Traded], baselines: dict[LedgerKey, int], sold: int, random: Random
) -> None:
    ours, theirs = whole(purchases, baselines)
    order, trade = by_hand(99, Side.SELL, sold)
    theirs = replace(theirs, orders=(*theirs.orders, order), trades=(*theirs.trades, trade))
    twin = replace(purchases[0].listed, broker_order_id="b98")
    theirs = replace(theirs, orders=(*theirs.orders, twin))
    orders, trades = [*theirs.orders, twin], [*theirs.trades, *theirs.trades]
    random.shuffle(orders)
    random.shuffle(trades)
    shuffled = replace(theirs, orders=tuple(orders), trades=tuple(trades))
    assert compare(ours, shuffled, day=FRIDAY) == compare(ours, theirs, day=FRIDAY)
