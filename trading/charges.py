"""What brokers, exchanges and the state take of a trade in Indian equities: an estimate, never an invoice.

Rates are data, with where they are published and the day they were read; days before `CHECKED_ON` use the same ones.
Left out, because they depend on the client and not on the trade: the depository's fee when shares leave the demat account, a
broker's discounts, interest on margin. Contract notes round some lines to the whole rupee per day; here each is rounded to the
paisa.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from trading.accounts import BrokerName
from trading.instruments import Product
from trading.orders import Side

ZERO = Decimal(0)
PAISA = Decimal("0.01")

CHECKED_ON = date(2026, 11, 21)
SOURCES = (
    "zerodha.com/charges",
    "dhan.co/pricing",
    "support.fyers.in: brokerage, statutory and other charges",
    "angelone.in/exchange-transaction-charges",
)


@dataclass(frozen=True, slots=True)
class Brokerage:
    """Per executed order: a share of its value, at most and at least so many rupees."""

    rate: Decimal
    most: Decimal = ZERO
    least: Decimal = ZERO

    def of(self, value: Decimal) -> Decimal:
        if not value or not self.rate:
            return ZERO
        return max(min(value * self.rate, self.most), self.least)


@dataclass(frozen=True, slots=True)
class BrokerRates:
    intraday: Brokerage
    delivery: Brokerage


@dataclass(frozen=True, slots=True)
class Taxes:
    """Shares of the value: securities transaction tax and stamp duty, for trades closed on the day and for delivered shares."""

    sale_intraday: Decimal = Decimal("0.00025")
    trade_delivered: Decimal = Decimal("0.001")
    stamp_intraday: Decimal = Decimal("0.00003")
    stamp_delivered: Decimal = Decimal("0.00015")
    regulator: Decimal = Decimal("0.000001")
    services: Decimal = Decimal("0.18")


_FREE = Brokerage(ZERO)
_INTRADAY = Brokerage(Decimal("0.0003"), Decimal(20))
RATES: Mapping[BrokerName, BrokerRates] = {
    BrokerName.ZERODHA: BrokerRates(_INTRADAY, _FREE),
    BrokerName.DHAN: BrokerRates(_INTRADAY, _FREE),
    BrokerName.FYERS: BrokerRates(_INTRADAY, Brokerage(Decimal("0.003"), Decimal(20))),
    BrokerName.ANGEL_ONE: BrokerRates(
        Brokerage(Decimal("0.0003"), Decimal(20), Decimal(5)), Brokerage(Decimal("0.001"), Decimal(20), Decimal(5))
    ),
}
# Shares of the turnover, both sides; NSE's with its contribution to the investors' protection fund, BSE's for groups A and B.
EXCHANGE_RATES: Mapping[str, Decimal] = {"NSE": Decimal("0.0000307"), "BSE": Decimal("0.0000375")}
TAXES = Taxes()


@dataclass(frozen=True, slots=True)
class Executed:
    """What one order bought or sold; value in rupees."""

    side: Side
    quantity: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Charges:
    """In rupees, each line to the paisa."""

    brokerage: Decimal = ZERO
    transaction_tax: Decimal = ZERO
    exchange: Decimal = ZERO
    regulator: Decimal = ZERO
    stamp_duty: Decimal = ZERO
    services_tax: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.brokerage + self.transaction_tax + self.exchange + self.regulator + self.stamp_duty + self.services_tax


def estimate(orders: Iterable[Executed], *, broker: BrokerName, exchange: str, product: Product) -> Charges | None:
    """The charges of one run's orders; None where no rates are known (derivatives, other exchanges), which is not zero.

    Shares sold on the day they were bought are charged as intraday whatever their product; those left over in a delivery product
    as delivered.
    """
    listed = [order for order in orders if order.quantity]
    exchange_rate, rates = EXCHANGE_RATES.get(exchange), RATES.get(broker)
    if product is Product.NRML or exchange_rate is None or rates is None:
        return None
    bought, sold = _total(listed, Side.BUY), _total(listed, Side.SELL)
    is_delivery = product is Product.CNC
    bought_to_keep = _part(bought, max(0, bought.quantity - sold.quantity)) if is_delivery else ZERO
    sold_from_stock = _part(sold, max(0, sold.quantity - bought.quantity)) if is_delivery else ZERO
    turnover = bought.value + sold.value
    delivered = bought_to_keep + sold_from_stock
    brokerage = _paisa(sum((_brokerage(order, rates, bought, sold, is_delivery=is_delivery) for order in listed), ZERO))
    exchange_fee, regulator = _paisa(turnover * exchange_rate), _paisa(turnover * TAXES.regulator)
    return Charges(
        brokerage=brokerage,
        transaction_tax=_paisa((sold.value - sold_from_stock) * TAXES.sale_intraday + delivered * TAXES.trade_delivered),
        exchange=exchange_fee,
        regulator=regulator,
        stamp_duty=_paisa((bought.value - bought_to_keep) * TAXES.stamp_intraday + bought_to_keep * TAXES.stamp_delivered),
        services_tax=_paisa((brokerage + exchange_fee + regulator) * TAXES.services),
    )


def _brokerage(order: Executed, rates: BrokerRates, bought: Executed, sold: Executed, *, is_delivery: bool) -> Decimal:
    """A broker charges an order by what it was for; one that is partly kept is charged by the larger part."""
    same_day = min(bought.quantity, sold.quantity)
    side_total = bought.quantity if order.side is Side.BUY else sold.quantity
    kept_most = is_delivery and side_total - same_day > same_day
    return (rates.delivery if kept_most else rates.intraday).of(order.value)


def _total(orders: Iterable[Executed], side: Side) -> Executed:
    listed = [order for order in orders if order.side is side]
    return Executed(side, sum(order.quantity for order in listed), sum((order.value for order in listed), ZERO))


def _part(side: Executed, quantity: int) -> Decimal:
    return side.value * quantity / side.quantity if side.quantity else ZERO


def _paisa(value: Decimal) -> Decimal:
    return value.quantize(PAISA, ROUND_HALF_UP)
