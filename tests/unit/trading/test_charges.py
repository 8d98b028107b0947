from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import BrokerName
from trading.charges import EXCHANGE_RATES, RATES, Charges, Executed, estimate, sources
from trading.instruments import Product
from trading.orders import Side


def bought(quantity: int, value: str) -> Executed:
    return Executed(Side.BUY, quantity, Decimal(value))


def sold(quantity: int, value: str) -> Executed:
    return Executed(Side.SELL, quantity, Decimal(value))


def charges(*orders: Executed, broker: BrokerName = BrokerName.ZERODHA, product: Product = Product.MIS) -> Charges:
    found = estimate(orders, broker=broker, exchange="NSE", product=product)
    assert found is not None
    return found


def test_a_day_trade_worked_by_hand() -> None:
    found = charges(bought(100, "100000"), sold(100, "101000"))
    assert found == Charges(
        brokerage=Decimal("40.00"),
        transaction_tax=Decimal("25.25"),
        exchange=Decimal("6.17"),
        regulator=Decimal("0.20"),
        stamp_duty=Decimal("3.00"),
        services_tax=Decimal("8.35"),
    )
    assert found.total == Decimal("82.97")


def test_a_small_order_pays_a_share_and_not_the_flat_fee() -> None:
    assert charges(bought(1, "1000")).brokerage == Decimal("0.30")
    assert charges(bought(1, "1000"), broker=BrokerName.ANGEL_ONE).brokerage == Decimal("5.00")


def test_each_executed_order_pays_brokerage_of_its_own() -> None:
    one, two = charges(bought(100, "200000")), charges(bought(50, "100000"), bought(50, "100000"))
    assert (one.brokerage, two.brokerage) == (Decimal("20.00"), Decimal("40.00"))
    assert one.transaction_tax == two.transaction_tax


def test_shares_sold_on_the_day_they_were_bought_are_intraday_whatever_their_product() -> None:
    orders = (bought(100, "100000"), sold(100, "101000"))
    assert charges(*orders, product=Product.CNC) == charges(*orders)


def test_shares_that_stay_are_delivered() -> None:
    found = charges(bought(100, "100000"), product=Product.CNC)
    assert (found.brokerage, found.transaction_tax, found.stamp_duty) == (Decimal(0), Decimal("100.00"), Decimal("15.00"))
    partly = charges(bought(100, "100000"), sold(40, "40000"), product=Product.CNC)
    assert partly.transaction_tax == Decimal("70.00"), "60,000 delivered at 0.1 %, 40,000 sold on the day at 0.025 %"
    assert partly.stamp_duty == Decimal("10.20")


def test_shares_that_are_sold_on_a_later_day_are_delivered_and_leave_the_demat_account() -> None:
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    bought_then_sold = (replace(bought(100, "100000"), day=monday), replace(sold(100, "101000"), day=tuesday))
    found = charges(*bought_then_sold, product=Product.CNC)
    bought_alone, sold_alone = (charges(order, product=Product.CNC) for order in bought_then_sold)
    assert found.total == bought_alone.total + sold_alone.total
    assert (found.brokerage, found.transaction_tax, found.stamp_duty) == (Decimal(0), Decimal("201.00"), Decimal("15.00"))
    assert found.depository == Decimal("13.00")
    assert charges(*bought_then_sold, product=Product.MIS) == charges(bought(100, "100000"), sold(100, "101000"))


def test_the_depository_is_paid_for_each_day_shares_leave_on() -> None:
    days = (replace(sold(5, "5000"), day=date(2026, 11, 23)), replace(sold(5, "5000"), day=date(2026, 11, 24)))
    assert charges(*days, product=Product.CNC).depository == Decimal("26.00")


@pytest.mark.parametrize(("exchange", "product"), [("NFO", Product.NRML), ("NSE", Product.NRML), ("MCX", Product.MIS)])
def test_where_no_rates_are_known_the_charges_are_unknown_and_not_zero(exchange: str, product: Product) -> None:
    assert estimate([bought(1, "100")], broker=BrokerName.ZERODHA, exchange=exchange, product=product) is None


def test_every_broker_has_rates_and_says_where_they_are_from() -> None:
    assert set(RATES) == set(BrokerName)
    assert all(rates.source and (rates.speaks_of or rates.unconfirmed) for rates in RATES.values())
    assert {rates.source for rates in RATES.values()} | {rate.source for rate in EXCHANGE_RATES.values()} < set(sources())


def test_a_paper_account_is_shown_what_the_trade_would_have_cost_at_a_broker() -> None:
    orders = (bought(100, "100000"), sold(100, "101000"))
    assert charges(*orders, broker=BrokerName.PAPER) == charges(*orders)


# Worked by hand from each broker's own page: 10 shares bought at 1,000 and 1,010, 20 sold at 1,020; NSE then BSE.
WORKED = [
    (BrokerName.ZERODHA, "NSE", "12.15", "1.24", "2.42"),
    (BrokerName.ZERODHA, "BSE", "12.15", "1.52", "2.47"),
    (BrokerName.DHAN, "NSE", "12.15", "1.24", "2.42"),
    (BrokerName.FYERS, "NSE", "12.15", "1.24", "2.42"),
    (BrokerName.ANGEL_ONE, "NSE", "16.12", "1.24", "3.13"),
]


@pytest.mark.parametrize(("broker", "exchange", "brokerage", "fee", "services"), WORKED)
def test_a_day_trade_at_each_broker(broker: BrokerName, exchange: str, brokerage: str, fee: str, services: str) -> None:
    orders = [bought(10, "10000"), bought(10, "10100"), sold(20, "20400")]
    found = estimate(orders, broker=broker, exchange=exchange, product=Product.MIS)
    assert found == Charges(
        brokerage=Decimal(brokerage),
        transaction_tax=Decimal("5.10"),
        exchange=Decimal(fee),
        regulator=Decimal("0.04"),
        stamp_duty=Decimal("0.60"),
        services_tax=Decimal(services),
    )


# Brokerage and the depository's fee of 10,000 rupees of shares sold from the demat account.
DELIVERED = [
    (BrokerName.ZERODHA, "0", "13.00"),
    (BrokerName.DHAN, "0", "12.50"),
    (BrokerName.FYERS, "20.00", "12.50"),
    (BrokerName.ANGEL_ONE, "10.00", "20.00"),
]


@pytest.mark.parametrize(("broker", "brokerage", "depository"), DELIVERED)
def test_shares_sold_from_the_demat_account_pay_the_depository_once(broker: BrokerName, brokerage: str, depository: str) -> None:
    found = charges(sold(5, "5000"), sold(5, "5000"), broker=broker, product=Product.CNC)
    once = charges(sold(10, "10000"), broker=broker, product=Product.CNC)
    assert (once.brokerage, once.depository, found.depository) == (Decimal(brokerage), Decimal(depository), Decimal(depository))
    taxed = once.brokerage + once.exchange + once.regulator + once.depository
    assert once.services_tax == (taxed * Decimal("0.18")).quantize(Decimal("0.01"))
    assert once.total == taxed + once.transaction_tax + once.stamp_duty + once.services_tax


def test_no_share_leaves_the_demat_account_on_the_day_it_was_bought() -> None:
    assert charges(bought(10, "10000"), sold(10, "10000"), product=Product.CNC).depository == 0
    assert charges(sold(10, "10000"), product=Product.MIS).depository == 0


@given(
    st.lists(
        st.builds(Executed, st.sampled_from(Side), st.integers(1, 10_000), st.decimals("0.05", "5000000", places=2)), max_size=6
    ),
    st.sampled_from(BrokerName),
    st.sampled_from([Product.MIS, Product.CNC]),
)
def test_charges_are_whole_paise_and_never_negative(orders: list[Executed], broker: BrokerName, product: Product) -> None:
    found = charges(*orders, broker=broker, product=product)
    assert found.total >= 0
    assert found.total == found.total.quantize(Decimal("0.01"))
    assert bool(orders) or found.total == 0
