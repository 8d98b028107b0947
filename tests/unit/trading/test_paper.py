"""The rules of paper accounts: what a price fills, at which price, and what an account may do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.orders import OrderRequest, RefusalKind, Side
from trading.paper import (
    PRICE_LIFE,
    Means,
    OpenHours,
    PaperFill,
    PaperPosition,
    PaperRules,
    Resting,
    SeenPrice,
    Working,
    fill_of,
    refusal_of,
    wrong_price,
)

NOW = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
HOURS = OpenHours(NOW - timedelta(hours=1), NOW + timedelta(hours=4))
TICK = Decimal("0.05")
TCS = InstrumentId("NSE", "TCS")
LISTED = Instrument(TCS, "TCS", Segment.CASH, TICK)
NO_SLIPPAGE = PaperRules(slippage_percent=Decimal(0))
BUY = Resting(Side.BUY, Decimal("3500"), 10)
SELL = Resting(Side.SELL, Decimal("3500"), 10)


def fill(
    order: Resting,
    price: str,
    *,
    rules: PaperRules = NO_SLIPPAGE,
    hours: OpenHours = HOURS,
    age: timedelta = timedelta(0),
    now: datetime = NOW,
) -> PaperFill | None:
    return fill_of(order, SeenPrice(Decimal(price), now - age), rules=rules, hours=hours, tick_size=TICK, now=now)


@pytest.mark.parametrize(
    ("order", "price", "got"),
    [
        (BUY, "3500", "3500"),
        (BUY, "3490.10", "3490.10"),
        (BUY, "3500.05", None),
        (SELL, "3500", "3500"),
        (SELL, "3512.35", "3512.35"),
        (SELL, "3499.95", None),
    ],
)
def test_a_limit_fills_at_or_better_than_its_price_and_never_better_than_the_price_seen(
    order: Resting, price: str, got: str | None
) -> None:
    assert fill(order, price) == (None if got is None else PaperFill(10, Decimal(got)))


def test_slippage_goes_against_the_order_to_the_next_tick_and_stops_at_the_limit() -> None:
    rules = PaperRules(slippage_percent=Decimal("0.1"))
    assert fill(BUY, "3400", rules=rules) == PaperFill(10, Decimal("3403.40"))
    assert fill(SELL, "3600", rules=rules) == PaperFill(10, Decimal("3596.40"))
    assert fill(BUY, "3499.90", rules=rules) == PaperFill(10, Decimal("3500"))
    assert fill(SELL, "3500.10", rules=rules) == PaperFill(10, Decimal("3500"))


def test_an_old_price_a_price_of_before_the_session_and_a_price_from_the_future_fill_nothing() -> None:
    assert fill(BUY, "3400", age=PRICE_LIFE) is not None
    assert fill(BUY, "3400", age=PRICE_LIFE + timedelta(seconds=1)) is None
    assert fill(BUY, "3400", age=timedelta(seconds=30), hours=OpenHours(NOW - timedelta(seconds=10), HOURS.ends)) is None
    assert fill(BUY, "3400", age=timedelta(seconds=-1)) is not None
    assert fill(BUY, "3400", age=timedelta(seconds=-5)) is None


def test_nothing_fills_while_the_market_is_closed() -> None:
    assert fill(BUY, "3400", hours=OpenHours(HOURS.opens, NOW)) is None
    assert fill(BUY, "3400", hours=OpenHours(NOW + timedelta(seconds=1), HOURS.ends)) is None


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_broken_price_fills_nothing(price: str) -> None:
    assert fill(BUY, price) is None
    assert fill(SELL, price) is None


def test_one_price_fills_an_order_once_and_no_more_than_its_share() -> None:
    rules = replace(NO_SLIPPAGE, largest_fill=4)
    first = fill(BUY, "3400", rules=rules)
    assert first == PaperFill(4, Decimal(3400))
    after = replace(BUY, filled_quantity=4, filled_on=NOW)
    assert fill(after, "3400", rules=rules) is None
    later = NOW + timedelta(seconds=1)
    assert fill(after, "3400", rules=rules, now=later) == PaperFill(4, Decimal(3400))
    assert fill(replace(after, filled_quantity=8), "3400", rules=rules, now=later) == PaperFill(2, Decimal(3400))
    assert fill(replace(after, filled_quantity=10), "3400", rules=rules, now=later) is None


@given(
    side=st.sampled_from(Side),
    limit=st.integers(1, 200_000),
    seen=st.integers(1, 200_000),
    slippage=st.decimals(0, 5, places=2),
    quantity=st.integers(1, 500),
    largest=st.none() | st.integers(1, 500),
)
def test_a_fill_is_never_better_than_seen_never_beyond_the_limit_and_on_the_tick(
    side: Side, limit: int, seen: int, slippage: Decimal, quantity: int, largest: int | None
) -> None:
    order = Resting(side, limit * TICK, quantity)
    price = SeenPrice(seen * TICK, NOW)
    rules = PaperRules(slippage, largest)
    found = fill_of(order, price, rules=rules, hours=HOURS, tick_size=TICK, now=NOW)
    crosses = price.price <= order.price if side is Side.BUY else price.price >= order.price
    assert (found is not None) is crosses
    if found is not None:
        low, high = (price.price, order.price) if side is Side.BUY else (order.price, price.price)
        assert low <= found.price <= high
        assert found.price % TICK == 0
        assert 0 < found.quantity <= min(quantity, largest or quantity)


trades = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(1, 100_000)), max_size=40)


@given(trades)
def test_earnings_less_cost_is_what_came_in_less_what_went_out_to_the_last_digit(listed: list[tuple[Side, int, int]]) -> None:
    position, money = PaperPosition(), Decimal(0)
    for side, quantity, price in listed:
        one = PaperFill(quantity if side is Side.BUY else min(quantity, position.quantity), price * TICK)
        if not one.quantity:
            continue
        position = position.after(side, one)
        money += one.value if side is Side.SELL else -one.value
    assert position.realised - position.cost == money
    assert position.quantity > 0 or position.cost == 0


def test_more_than_is_held_cannot_be_sold() -> None:
    with pytest.raises(ValueError, match="are held"):
        PaperPosition(5, Decimal(100)).after(Side.SELL, PaperFill(6, Decimal(10)))


def order(side: Side = Side.BUY, quantity: int = 10, price: str = "3500", product: Product = Product.MIS) -> OrderRequest:
    return OrderRequest("t325b0test", TCS, product, side, quantity, Decimal(price))


def refused(wanted: OrderRequest, means: Means, *, listed: Instrument = LISTED, now: datetime = NOW) -> RefusalKind | None:
    found = refusal_of(wanted, instrument=listed, hours=HOURS, means=means, now=now)
    return None if found is None else found.kind


def test_money_that_open_purchases_tie_up_is_not_there_twice() -> None:
    cash = Decimal(70_000)
    assert refused(order(), Means(cash, (), 0)) is None
    waiting = Working(TCS, Product.MIS, replace(BUY, filled_quantity=1))
    assert refused(order(), Means(cash, (waiting,), 0)) is None
    assert refused(order(), Means(cash, (waiting, waiting), 0)) is RefusalKind.MARGIN
    assert refused(order(price="7000.05"), Means(cash, (), 0)) is RefusalKind.MARGIN


def test_only_what_is_held_in_that_product_and_not_on_sale_already_can_be_sold() -> None:
    on_sale = Working(TCS, Product.MIS, replace(SELL, filled_quantity=4))
    of_other_product = Working(TCS, Product.CNC, SELL)
    assert refused(order(Side.SELL), Means(Decimal(0), (), 10)) is None
    assert refused(order(Side.SELL), Means(Decimal(0), (of_other_product,), 10)) is None
    assert refused(order(Side.SELL), Means(Decimal(0), (on_sale,), 16)) is None
    assert refused(order(Side.SELL), Means(Decimal(0), (on_sale,), 15)) is RefusalKind.HOLDING
    assert refused(order(Side.SELL), Means(Decimal(10**9), (), 9)) is RefusalKind.HOLDING


def test_an_order_outside_the_session_is_refused() -> None:
    rich = Means(Decimal(10**9), (), 0)
    assert refused(order(), rich, now=HOURS.ends) is RefusalKind.OTHER
    assert refused(order(), rich, now=HOURS.opens - timedelta(seconds=1)) is RefusalKind.OTHER
    assert refused(order(), rich, now=HOURS.opens) is None


@pytest.mark.parametrize(
    "wrong", [order(quantity=0), order(quantity=-1), order(price="3500.03"), order(price="0"), order(price="NaN")]
)
def test_an_impossible_order_is_refused_as_input(wrong: OrderRequest) -> None:
    assert refused(wrong, Means(Decimal(10**9), (), 100)) is RefusalKind.INPUT


def test_lots_the_freeze_quantity_and_circuit_limits_are_kept() -> None:
    rich = Means(Decimal(10**9), (), 0)
    strict = replace(LISTED, lot_size=5, freeze_quantity=20, lower_circuit=Decimal(3400), upper_circuit=Decimal(3600))
    assert refused(order(quantity=7), rich, listed=strict) is RefusalKind.INPUT
    assert refused(order(quantity=25), rich, listed=strict) is RefusalKind.INPUT
    assert refused(order(quantity=20), rich, listed=strict) is None
    assert wrong_price(Decimal(3400), strict) is wrong_price(Decimal(3600), strict) is None
    assert "lower" in (wrong_price(Decimal("3399.95"), strict) or "")
    assert "upper" in (wrong_price(Decimal("3600.05"), strict) or "")
