"""Following an order through updates that arrive twice, late, out of order and backwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import TCS
from trading.fills import Progress, TradeSum, follow, sum_trades, trades_of
from trading.instruments import Product
from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerTrade, OrderState, Side, can_become

AT = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
SENT = Progress(OrderState.SENDING, 0, Decimal(0))
ENDED = (OrderState.FILLED, OrderState.CANCELLED)
TERMINAL = [status for status in BrokerOrderStatus if status.is_terminal]


def trade(number: int, quantity: int, price: str = "3500", *, broker_order_id: str = "1") -> BrokerTrade:
    return BrokerTrade(f"t{number}", broker_order_id, TCS, Product.MIS, Side.BUY, quantity, Decimal(price), AT)


def seen(status: BrokerOrderStatus, filled: int, *, quantity: int = 100, average: str = "0") -> BrokerOrder:
    price = Decimal("3517.50")
    return BrokerOrder("1", "tag", TCS, Product.MIS, Side.BUY, quantity, filled, price, Decimal(average), status, "", None)


def traded(quantity: int, price: str = "3500") -> TradeSum:
    return TradeSum(quantity, quantity * Decimal(price))


@dataclass(frozen=True)
class Story:
    """What really happened to an order: its executions, its end, and the looks at it in the order in which they arrived."""

    executions: tuple[BrokerTrade, ...]
    end: BrokerOrderStatus
    looks: tuple[tuple[BrokerOrder, TradeSum | None], ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Pictures of one coherent life, shuffled, doubled, some without the trade book, some with one that lags behind."""
    sizes = draw(st.lists(st.integers(1, 40), max_size=5))
    costs = draw(st.lists(st.decimals("3400", "3600", places=2), min_size=len(sizes), max_size=len(sizes)))
    executions = tuple(trade(number, size, str(cost)) for number, (size, cost) in enumerate(zip(sizes, costs, strict=True)))
    filled = sum(sizes)
    whole = draw(st.booleans()) and filled > 0
    quantity = filled if whole else filled + draw(st.integers(1, 50))
    end = (
        BrokerOrderStatus.COMPLETE if whole else draw(st.sampled_from([BrokerOrderStatus.CANCELLED, BrokerOrderStatus.REJECTED]))
    )

    def picture(status: BrokerOrderStatus, known: int) -> BrokerOrder:
        return seen(status, sum(sizes[:known]), quantity=quantity, average="3500" if known else "0")

    def trade_book(known: int) -> st.SearchStrategy[TradeSum | None]:
        return st.none() | st.integers(0, known).map(lambda listed: sum_trades(executions[:listed]))

    alive = st.integers(0, len(sizes)).flatmap(
        lambda known: st.tuples(st.just(picture(BrokerOrderStatus.OPEN, known)), trade_book(len(sizes)))
    )
    over = st.tuples(st.just(picture(end, len(sizes))), trade_book(len(sizes)))
    looks = draw(st.lists(alive | over, max_size=12))
    return Story(executions, end, tuple(looks))


def follow_all(looks: Sequence[tuple[BrokerOrder, TradeSum | None]], progress: Progress = SENT) -> list[Progress]:
    """Progress after each look."""
    passed = []
    for picture, book in looks:
        progress = follow(progress, picture, book)
        passed.append(progress)
    return passed


@given(stories())
def test_the_filled_quantity_is_the_largest_ever_seen(story: Story) -> None:
    largest = 0
    for (picture, book), progress in zip(story.looks, follow_all(story.looks), strict=True):
        largest = max(largest, picture.filled_quantity, book.quantity if book else 0)
        assert progress.filled_quantity == largest


@given(stories())
def test_an_order_ends_only_when_book_and_trades_agree(story: Story) -> None:
    before = SENT
    for (picture, book), after in zip(story.looks, follow_all(story.looks), strict=True):
        agree = book is not None and picture.filled_quantity == book.quantity == after.filled_quantity
        if after.state is not before.state and after.state is not OrderState.OPEN:
            assert picture.status.is_terminal
            assert agree
        before = after


@given(stories())
def test_nothing_that_arrives_later_changes_how_an_order_ended(story: Story) -> None:
    ended: Progress | None = None
    for progress in follow_all(story.looks):
        if ended is not None:
            assert progress == ended
        if progress.state in ENDED:
            ended = progress


@given(stories())
def test_once_book_and_trades_are_read_in_full_the_end_is_known_to_the_paisa(story: Story) -> None:
    total = sum_trades(story.executions)
    last = seen(story.end, total.quantity, quantity=1_000)
    progress = follow_all([*story.looks, (last, total)])[-1]
    assert progress.filled_quantity == total.quantity
    assert abs(progress.value - total.value) < Decimal("0.0001")
    expected = {
        BrokerOrderStatus.COMPLETE: OrderState.FILLED,
        BrokerOrderStatus.CANCELLED: OrderState.CANCELLED,
        BrokerOrderStatus.REJECTED: OrderState.CANCELLED if total.quantity else OrderState.REJECTED,
    }
    assert progress.state is expected[story.end]


@given(stories())
def test_every_change_is_one_the_table_allows(story: Story) -> None:
    states = [SENT.state, *(progress.state for progress in follow_all(story.looks))]
    assert all(can_become(now, then) for now, then in pairwise(states))


ANY_LOOKS = st.lists(
    st.tuples(
        st.builds(seen, st.sampled_from(BrokerOrderStatus), st.integers(0, 100)),
        st.none() | st.integers(0, 100).map(traded),
    ),
    max_size=12,
)


@given(ANY_LOOKS)
def test_even_a_lying_broker_never_lowers_what_was_filled_or_ends_an_order_without_proof(
    looks: list[tuple[BrokerOrder, TradeSum | None]],
) -> None:
    before = SENT
    for (picture, book), after in zip(looks, follow_all(looks), strict=True):
        assert after.filled_quantity >= before.filled_quantity
        if book is None:
            assert after.state in (before.state, OrderState.OPEN)
        if before.state in ENDED:
            assert after.state is not OrderState.OPEN
        assert after.state in (OrderState.OPEN, OrderState.REJECTED, *ENDED)
        assert picture.status.is_terminal or after.state in (OrderState.OPEN, *ENDED)
        before = after


# --- by example -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", TERMINAL)
def test_without_the_trade_book_nothing_ends(status: BrokerOrderStatus) -> None:
    assert follow(SENT, seen(status, 100), None).state is OrderState.OPEN


@pytest.mark.parametrize("status", TERMINAL)
@pytest.mark.parametrize("listed", [0, 59, 61])
def test_a_trade_book_that_disagrees_ends_nothing(status: BrokerOrderStatus, listed: int) -> None:
    assert follow(SENT, seen(status, 60), traded(listed)).state is OrderState.OPEN


def test_trades_ahead_of_the_book_count_at_once() -> None:
    progress = follow(SENT, seen(BrokerOrderStatus.OPEN, 10), traded(40))
    assert (progress.state, progress.filled_quantity, progress.average_price) == (OrderState.OPEN, 40, Decimal(3500))


def test_rejected_after_a_part_was_filled_is_a_cancellation_with_fills() -> None:
    progress = follow(SENT, seen(BrokerOrderStatus.REJECTED, 40), traded(40))
    assert (progress.state, progress.filled_quantity) == (OrderState.CANCELLED, 40)


def test_a_fill_seen_before_the_rejection_is_remembered_until_the_book_agrees() -> None:
    filled = follow(SENT, seen(BrokerOrderStatus.OPEN, 40), None)
    assert follow(filled, seen(BrokerOrderStatus.REJECTED, 0), traded(0)) == Progress(OrderState.OPEN, 40, filled.average_price)


def test_an_older_picture_does_not_open_an_ended_order_again() -> None:
    ended = Progress(OrderState.FILLED, 100, Decimal(3500))
    assert follow(ended, seen(BrokerOrderStatus.OPEN, 40), traded(40)) == ended


@pytest.mark.parametrize("held_dead", [OrderState.ABSENT, OrderState.REJECTED])
def test_an_attempt_held_dead_that_the_book_shows_alive_is_open(held_dead: OrderState) -> None:
    assert follow(Progress(held_dead, 0, Decimal(0)), seen(BrokerOrderStatus.OPEN, 0), None).state is OrderState.OPEN


def test_the_average_is_the_trades_own_once_they_are_complete() -> None:
    book = sum_trades([trade(1, 30, "3500.00"), trade(2, 70, "3501.00")])
    progress = follow(SENT, seen(BrokerOrderStatus.COMPLETE, 100, average="3500.99"), book)
    assert progress.average_price == Decimal("3500.70")
    assert progress.value == Decimal("350070.00")


def test_an_average_of_zero_is_not_believed() -> None:
    known = Progress(OrderState.OPEN, 40, Decimal(3500))
    assert follow(known, seen(BrokerOrderStatus.OPEN, 40, average="0"), None).average_price == Decimal(3500)


def test_a_trade_listed_twice_counts_once_and_others_not_at_all() -> None:
    listed = [trade(1, 30), trade(1, 30), trade(2, 20), trade(3, 50, broker_order_id="2")]
    own = trades_of("1", listed)
    assert list(own) == ["t1", "t2"]
    assert sum_trades(own.values()) == TradeSum(50, Decimal(175_000))
