from itertools import product

import pytest

from tests.unit.trading.samples import TCS
from trading.instruments import Product
from trading.orders import (
    DEAD_STATES,
    IN_DOUBT_STATES,
    LIVE_STATES,
    BookSnapshot,
    BrokerOrder,
    BrokerOrderStatus,
    Leg,
    OrderState,
    RefusalKind,
    Side,
    can_become,
)
from trading.runs import ZERO

ARMED, SUPERSEDED, SENDING, UNKNOWN, OPEN, FILLED, CANCELLED, REJECTED, ABSENT, HANDED_OVER = OrderState

# Every change that exists, written down a second time: one more or one less is a decision somebody has to defend here.
ALLOWED = {
    (ARMED, SENDING),
    (ARMED, SUPERSEDED),
    (SENDING, ARMED),
    *((SENDING, then) for then in (UNKNOWN, OPEN, FILLED, CANCELLED, REJECTED, ABSENT, HANDED_OVER)),
    *((UNKNOWN, then) for then in (OPEN, FILLED, CANCELLED, REJECTED, ABSENT, HANDED_OVER)),
    *((OPEN, then) for then in (FILLED, CANCELLED, REJECTED, HANDED_OVER)),
    *((REJECTED, then) for then in (OPEN, FILLED, CANCELLED)),
    *((ABSENT, then) for then in (OPEN, FILLED, CANCELLED, REJECTED)),
}


@pytest.mark.parametrize(("now", "then"), list(product(OrderState, OrderState)))
def test_a_state_changes_as_the_table_says_and_in_no_other_way(now: OrderState, then: OrderState) -> None:
    assert can_become(now, then) is (now is then or (now, then) in ALLOWED)


@pytest.mark.parametrize("then", [state for state in OrderState if state is not ARMED])
def test_only_an_order_that_was_never_sent_can_be_armed_again(then: OrderState) -> None:
    assert can_become(then, ARMED) is (then is SENDING)


@pytest.mark.parametrize("final", [FILLED, CANCELLED, SUPERSEDED, HANDED_OVER])
def test_what_has_ended_for_certain_stays_ended(final: OrderState) -> None:
    assert [then for then in OrderState if can_become(final, then)] == [final]


def test_nothing_becomes_absent_once_the_book_has_shown_it() -> None:
    assert {now for now in OrderState if can_become(now, ABSENT)} == {SENDING, UNKNOWN, ABSENT}


def test_every_state_is_either_live_or_dead_and_doubt_is_live() -> None:
    assert set(OrderState) == LIVE_STATES | DEAD_STATES
    assert not LIVE_STATES & DEAD_STATES
    assert IN_DOUBT_STATES < LIVE_STATES
    assert {ARMED, SENDING, UNKNOWN, OPEN} == LIVE_STATES


def test_entries_buy_and_exits_sell() -> None:
    assert (Leg.ENTRY.side, Leg.EXIT.side) == (Side.BUY, Side.SELL)


def test_a_refusal_is_tried_again_only_where_the_order_itself_is_right() -> None:
    again = {kind for kind in RefusalKind if kind.is_retryable}
    assert again == {RefusalKind.RATE_LIMIT, RefusalKind.NOT_SENT, RefusalKind.BUSY}


def test_three_of_a_brokers_words_end_an_order() -> None:
    ending = {status for status in BrokerOrderStatus if status.is_terminal}
    assert ending == {BrokerOrderStatus.COMPLETE, BrokerOrderStatus.CANCELLED, BrokerOrderStatus.REJECTED}


def test_a_book_is_searched_by_the_whole_tag_and_an_order_without_one_is_nobodys() -> None:
    orders = tuple(
        BrokerOrder(number, tag, TCS, Product.MIS, Side.BUY, 1, 0, ZERO, ZERO, BrokerOrderStatus.OPEN, "", None)
        for number, tag in [("1", "abc"), ("2", None), ("3", "abcd"), ("4", "abc")]
    )
    book = BookSnapshot(orders, requested_at=0.0)
    assert [order.broker_order_id for order in book.by_tag("abc")] == ["1", "4"]
    assert book.by_tag("") == ()
