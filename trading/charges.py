"""What brokers, exchanges and the state take of a trade in Indian equities: an estimate, never an invoice.

Rates are data: each broker's with where they are published, the day that publication speaks of, and what could not be confirmed;
days before use the same ones. Left out, because they depend on the client and not on the trade: discounts, offers to new clients,
interest, penalties, fees for orders placed or closed by the broker's desk. Contract notes round the transaction tax and the stamp
duty to the whole rupee per day; here each line is rounded to the paisa per run, so an estimate differs from a day's note by a
rupee or so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from trading.accounts import BrokerName
from trading.instruments import Product
from trading.orders import Side

ZERO = Decimal(0)
PAISA = Decimal("0.01")

# When all of this was last compared with what is published.
CHECKED_ON = date(2026, 11, 21)


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
    """`depository`: rupees for each instrument and day on which shares leave the demat account, before the tax on services.

    `speaks_of`: the day the source is dated, or says its rates begin; None where it says neither. `unconfirmed`: what no public
    page that could be read confirms; empty where everything is confirmed.
    """

    intraday: Brokerage
    delivery: Brokerage
    depository: Decimal
    source: str
    speaks_of: date | None
    unconfirmed: str = ""


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
_ZERODHA = BrokerRates(
    intraday=_INTRADAY,
    delivery=_FREE,
    depository=Decimal(13),
    source="support.zerodha.com: brokerage for equity; what DP charges mean",
    speaks_of=None,
    unconfirmed="the day of the pages; women as first holders pay 0.25 less to the depository",
)
RATES: Mapping[BrokerName, BrokerRates] = {
    BrokerName.ZERODHA: _ZERODHA,
    BrokerName.DHAN: BrokerRates(
        intraday=_INTRADAY,
        delivery=_FREE,
        depository=Decimal("12.50"),
        source="dhan.co/pricing, as repeated by others",
        speaks_of=None,
        unconfirmed="the broker's own page could not be read, only copies of it without a day",
    ),
    BrokerName.FYERS: BrokerRates(
        intraday=_INTRADAY,
        delivery=Brokerage(Decimal("0.003"), Decimal(20)),
        depository=Decimal("12.50"),
        source="support.fyers.in: brokerage, statutory and other charges; DP charges",
        speaks_of=date(2025, 6, 2),
        unconfirmed="an older page of the broker's names 3.50 for the depository",
    ),
    BrokerName.ANGEL_ONE: BrokerRates(
        intraday=Brokerage(Decimal("0.0003"), Decimal(20), Decimal(5)),
        delivery=Brokerage(Decimal("0.001"), Decimal(20), Decimal(5)),
        depository=Decimal(20),
        source="angelone.in: pricing update; exchange-transaction-charges",
        speaks_of=date(2024, 11, 1),
        unconfirmed="the least brokerage of 5 an order: the update of November 2024 says 2 for delivery and none for intraday",
    ),
    # Nobody charges a paper account: it is shown what the same trades would have cost at Zerodha.
    BrokerName.PAPER: _ZERODHA,
}


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """A share of the turnover, both sides."""

    rate: Decimal
    source: str
    speaks_of: date


EXCHANGE_RATES: Mapping[str, ExchangeRate] = {
    "NSE": ExchangeRate(
        Decimal("0.0000307"),
        "NSE: 2.97 a lakh for the cash market, and 10 a crore for the investors' protection fund",
        date(2024, 10, 1),
    ),
    # Groups A and B; other groups pay 275 a crore to one per cent, and our instruments do not tell their group.
    "BSE": ExchangeRate(
        Decimal("0.0000375"),
        "angelone.in, exchange-transaction-charges: BSE takes 375 a crore for groups A and B",
        date(2024, 11, 1),
    ),
}
# Securities transaction tax (Finance Act), stamp duty (Indian Stamp Act, one rate for all states since July 2020), SEBI's 10 a
# crore, and GST; the same on every broker's page.
TAXES_SOURCE = "statutory: STT, stamp duty, SEBI turnover fee, GST"
TAXES = Taxes()


def sources() -> tuple[str, ...]:
    """Where all of it is published, each once."""
    listed = [*(rates.source for rates in RATES.values()), *(rate.source for rate in EXCHANGE_RATES.values()), TAXES_SOURCE]
    return tuple(dict.fromkeys(listed))


@dataclass(frozen=True, slots=True)
class Executed:
    """What one order bought or sold; value in rupees. `day`: of its fills, in India; orders of which nobody knows it are taken to
    be of one day."""

    side: Side
    quantity: int
    value: Decimal
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Charges:
    """In rupees, each line to the paisa."""

    brokerage: Decimal = ZERO
    transaction_tax: Decimal = ZERO
    exchange: Decimal = ZERO
    regulator: Decimal = ZERO
    stamp_duty: Decimal = ZERO
    depository: Decimal = ZERO
    services_tax: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        state = self.transaction_tax + self.stamp_duty + self.services_tax
        return self.brokerage + self.exchange + self.regulator + self.depository + state


@dataclass(frozen=True, slots=True)
class _Day:
    """One day's orders. `kept` and `from_stock`: the values of what was bought for delivery and stays, and of what was sold of
    shares that were there before."""

    orders: Sequence[Executed]
    bought: Executed
    sold: Executed
    kept: Decimal
    from_stock: Decimal

    @staticmethod
    def of(orders: Sequence[Executed], *, is_delivery: bool) -> "_Day":
        bought, sold = _total(orders, Side.BUY), _total(orders, Side.SELL)
        left = bought.quantity - sold.quantity if is_delivery else 0
        return _Day(orders, bought, sold, _part(bought, max(0, left)), _part(sold, max(0, -left)))

    def brokerage_of(self, order: Executed, rates: BrokerRates, *, is_delivery: bool) -> Decimal:
        """A broker charges an order by what it was for; one that is partly kept is charged by the larger part."""
        same_day = min(self.bought.quantity, self.sold.quantity)
        side_total = self.bought.quantity if order.side is Side.BUY else self.sold.quantity
        kept_most = is_delivery and side_total - same_day > same_day
        return (rates.delivery if kept_most else rates.intraday).of(order.value)


def estimate(orders: Iterable[Executed], *, broker: BrokerName, exchange: str, product: Product) -> Charges | None:
    """The charges of one run's orders; None where no rates are known (derivatives, other exchanges), which is not zero.

    Shares sold on the day they were bought are charged as intraday whatever their product; those left over in a delivery product
    as delivered, and so are those sold on a later day. The depository is paid, once a day, for shares that were there before:
    those leave the demat account.
    """
    exchange_rate, rates = EXCHANGE_RATES.get(exchange), RATES.get(broker)
    if product is Product.NRML or exchange_rate is None or rates is None:
        return None
    is_delivery = product is Product.CNC
    days = _by_day([order for order in orders if order.quantity], is_delivery=is_delivery)
    bought, sold = sum((day.bought.value for day in days), ZERO), sum((day.sold.value for day in days), ZERO)
    kept, from_stock = sum((day.kept for day in days), ZERO), sum((day.from_stock for day in days), ZERO)
    brokerages = [day.brokerage_of(order, rates, is_delivery=is_delivery) for day in days for order in day.orders]
    brokerage = _paisa(sum(brokerages, ZERO))
    depository = rates.depository * sum(1 for day in days if day.from_stock)
    exchange_fee, regulator = _paisa((bought + sold) * exchange_rate.rate), _paisa((bought + sold) * TAXES.regulator)
    return Charges(
        brokerage=brokerage,
        transaction_tax=_paisa((sold - from_stock) * TAXES.sale_intraday + (kept + from_stock) * TAXES.trade_delivered),
        exchange=exchange_fee,
        regulator=regulator,
        stamp_duty=_paisa((bought - kept) * TAXES.stamp_intraday + kept * TAXES.stamp_delivered),
        depository=depository,
        services_tax=_paisa((brokerage + exchange_fee + regulator + depository) * TAXES.services),
    )


def _by_day(orders: Sequence[Executed], *, is_delivery: bool) -> list[_Day]:
    """An intraday product is closed on its day, whatever day its rows tell."""
    days = {order.day for order in orders} if is_delivery else {None}
    return [_Day.of([order for order in orders if not is_delivery or order.day == day], is_delivery=is_delivery) for day in days]


def _total(orders: Iterable[Executed], side: Side) -> Executed:
    listed = [order for order in orders if order.side is side]
    return Executed(side, sum(order.quantity for order in listed), sum((order.value for order in listed), ZERO))


def _part(side: Executed, quantity: int) -> Decimal:
    return side.value * quantity / side.quantity if side.quantity else ZERO


def _paisa(value: Decimal) -> Decimal:
    return value.quantize(PAISA, ROUND_HALF_UP)
