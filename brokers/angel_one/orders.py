"""Orders, trades, positions and the account, between our types and SmartAPI's JSON. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from brokers.angel_one import words
from brokers.angel_one.fields import decimal, is_given, name, optional_instant, optional_name, time_of_day, whole
from brokers.angel_one.symbols import AngelInstrument, instrument_of
from brokers.exact_json import Encodable
from brokers.fields import Row, row, rows
from trading.accounts import Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import BrokerHolding, BrokerOrder, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest
from trading.ports.broker import BrokerRefused, UnreadableAnswer

Body = dict[str, Encodable]
NORMAL, STOPLOSS = "NORMAL", "STOPLOSS"
_STOP_TYPES = ("STOPLOSS_LIMIT", "STOPLOSS_MARKET")


@dataclass(frozen=True, slots=True)
class Handle:
    """What SmartAPI wants to be told of an order besides its id when it is changed or read alone, in the broker's own words."""

    variety: str
    product: str
    instrument: AngelInstrument
    unique_id: str = ""


def place_body(order: OrderRequest, instrument: AngelInstrument) -> Body:
    """A DAY LIMIT order, or a DAY stop-limit order, of another variety. Numbers as text, as the documentation sends them."""
    return {
        "variety": NORMAL if order.trigger_price is None else STOPLOSS,
        "tradingsymbol": instrument.symbol,
        "symboltoken": instrument.token,
        "transactiontype": order.side.value,
        "exchange": instrument.exchange,
        "ordertype": _type_of(order.trigger_price),
        "producttype": words.PRODUCT_WORDS[order.product],
        "duration": "DAY",
        "price": _plain(order.price),
        "triggerprice": _plain(order.trigger_price or Decimal(0)),
        "quantity": str(order.quantity),
        "disclosedquantity": "0",
        "squareoff": "0",
        "stoploss": "0",
        "ordertag": order.tag,
    }


def placed_handle(body: Body, *, unique_id: str) -> Handle:
    """Of an order that was placed with this body."""
    instrument = AngelInstrument(str(body["exchange"]), str(body["symboltoken"]), str(body["tradingsymbol"]))
    return Handle(str(body["variety"]), str(body["producttype"]), instrument, unique_id)


def modify_body(change: ModifyRequest, handle: Handle) -> Body:
    """`quantity` is the new total, filled shares included. The variety is the order's, also when a stop becomes a limit order."""
    return {
        "variety": handle.variety,
        "orderid": change.broker_order_id,
        "ordertype": _type_of(change.trigger_price),
        "producttype": handle.product,
        "duration": "DAY",
        "price": _plain(change.price),
        "triggerprice": _plain(change.trigger_price or Decimal(0)),
        "quantity": str(change.quantity),
        "tradingsymbol": handle.instrument.symbol,
        "symboltoken": handle.instrument.token,
        "exchange": handle.instrument.exchange,
    }


def cancel_body(broker_order_id: str, handle: Handle) -> Body:
    return {"variety": handle.variety, "orderid": broker_order_id}


def _type_of(trigger_price: Decimal | None) -> str:
    return "LIMIT" if trigger_price is None else "STOPLOSS_LIMIT"


def _plain(price: Decimal) -> str:
    return format(price, "f")


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the order book: the order, and what it takes to change it."""

    order: BrokerOrder
    handle: Handle


def read_listed(value: object) -> Listed:
    source = row(value, "order")
    return Listed(read_order(source), _handle(source))


def read_order(value: object) -> BrokerOrder:
    """One order of the book, of its details, of an order update or of a postback."""
    source = row(value, "order")
    state = name(source, "orderstatus" if is_given(source, "orderstatus") else "status")
    return BrokerOrder(
        broker_order_id=name(source, "orderid"),
        tag=optional_name(source, "ordertag"),
        instrument=_instrument(source),
        product=words.product(name(source, "producttype")),
        side=words.side(name(source, "transactiontype")),
        quantity=whole(source, "quantity"),
        filled_quantity=whole(source, "filledshares"),
        price=_price(source),
        average_price=_average_price(source),
        status=words.status(state),
        message=optional_name(source, "text") or "",
        updated_at=_updated_at(source),
        exchange_order_id=optional_name(source, "exchangeorderid"),
        trigger_price=_trigger_price(source, state),
    )


def _trigger_price(source: Row, state: str) -> Decimal | None:
    """A stop order shows its type for good; once it has triggered its state is that of a limit order. While a change of it is
    under way its state says neither, and it counts as waiting unless something of it has filled: the next reading knows."""
    has_triggered = words.plain(state) in words.NOT_WAITING or whole(source, "filledshares") > 0
    if optional_name(source, "ordertype") not in _STOP_TYPES or has_triggered:
        return None
    return _first_decimal(source, ("triggerprice",)) or None


def _price(source: Row) -> Decimal:
    """Only orders with a limit need to have one."""
    limited = "LIMIT" in (optional_name(source, "ordertype") or "LIMIT")
    return decimal(source, "price") if limited else _first_decimal(source, ("price",))


def _average_price(source: Row) -> Decimal:
    """Only orders that traded need to have one."""
    return decimal(source, "averageprice") if whole(source, "filledshares") else _first_decimal(source, ("averageprice",))


def _updated_at(source: Row) -> datetime | None:
    for key in ("exchorderupdatetime", "updatetime", "exchtime"):
        found = optional_instant(source, key)
        if found is not None:
            return found
    return None


def _handle(source: Row) -> Handle:
    return Handle(
        variety=optional_name(source, "variety") or NORMAL,
        product=name(source, "producttype"),
        instrument=AngelInstrument(name(source, "exchange"), name(source, "symboltoken"), name(source, "tradingsymbol")),
        unique_id=optional_name(source, "uniqueorderid") or "",
    )


def _instrument(source: Row) -> InstrumentId:
    return instrument_of(name(source, "exchange"), name(source, "tradingsymbol"))


def read_book(data: object) -> tuple[Listed, ...]:
    return tuple(read_listed(item) for item in rows(data, "orders"))


def read_details(data: object, *, broker_order_id: str) -> BrokerOrder:
    """One order by its own call: an object, or a list of one. Null: the broker does not know it."""
    if data is None or data == []:
        raise BrokerRefused("the broker knows no such order")
    found = read_order(data[0] if isinstance(data, list) and len(data) == 1 else data)
    if found.broker_order_id != broker_order_id:
        raise UnreadableAnswer("the details are of another order")
    return found


def read_trades(data: object, *, trading_day: date) -> tuple[BrokerTrade, ...]:
    """Trades carry a time of day only: the book is that of one day."""
    return tuple(_trade(source, trading_day) for source in rows(data, "trades"))


def _trade(source: Row, trading_day: date) -> BrokerTrade:
    return BrokerTrade(
        trade_id=name(source, "fillid"),
        broker_order_id=name(source, "orderid"),
        instrument=_instrument(source),
        product=words.product(name(source, "producttype")),
        side=words.side(name(source, "transactiontype")),
        quantity=whole(source, "fillsize"),
        price=decimal(source, "fillprice"),
        filled_at=time_of_day(source, "filltime", on=trading_day),
    )


def read_positions(data: object) -> tuple[BrokerPosition, ...]:
    return tuple(_position(source) for source in rows(data, "positions"))


def _position(source: Row) -> BrokerPosition:
    return BrokerPosition(
        instrument=_instrument(source),
        product=words.product(name(source, "producttype")),
        net_quantity=whole(source, "netqty"),
        average_price=_first_decimal(source, ("avgnetprice", "netprice")),
        last_price=_first_decimal(source, ("ltp",)),
    )


def read_holdings(data: object) -> tuple[BrokerHolding, ...]:
    return tuple(_holding(source) for source in rows(data, "holdings"))


def _holding(source: Row) -> BrokerHolding:
    """Its parts rather than `quantity`, of which nobody says whether it counts what is on its way."""
    quantity = whole(source, "realisedquantity") + whole(source, "t1quantity")
    return BrokerHolding(_instrument(source), quantity, decimal(source, "averageprice"))


def _first_decimal(source: Row, keys: Sequence[str]) -> Decimal:
    """The first that is given; zero for a figure the broker leaves out where it means nothing."""
    for key in keys:
        if is_given(source, key):
            return decimal(source, key)
    return Decimal(0)


def read_margins(data: object) -> Margins:
    """`net` is what can still be used."""
    source = row(data, "funds")
    return Margins(available=decimal(source, "net"), used=_first_decimal(source, ("utiliseddebits",)))


def read_profile(data: object) -> Profile:
    source = row(data, "profile")
    return Profile(broker_user_id=name(source, "clientcode"), name=optional_name(source, "name") or "")


def quote_body(mode: str, instruments: Sequence[AngelInstrument]) -> Body:
    tokens: dict[str, list[str]] = {}
    for instrument in instruments:
        tokens.setdefault(instrument.exchange, []).append(instrument.token)
    return {"mode": mode, "exchangeTokens": tokens}


Asked = Mapping[tuple[str, str], InstrumentId]


def read_last_prices(data: object, asked: Asked) -> dict[InstrumentId, Decimal]:
    """By exchange and token. A price of zero means never traded and is left out."""
    prices = {instrument: decimal(quote, "ltp") for instrument, quote in _fetched(data, asked)}
    return {instrument: price for instrument, price in prices.items() if price > 0}


def read_price_limits(data: object, asked: Asked) -> dict[InstrumentId, PriceLimits]:
    """From full quotes. Indices have none, and a limit of zero is none."""
    return {
        instrument: PriceLimits(_limit(quote, "lowerCircuit"), _limit(quote, "upperCircuit"))
        for instrument, quote in _fetched(data, asked)
    }


def _fetched(data: object, asked: Asked) -> list[tuple[InstrumentId, Row]]:
    quotes = rows(row(data, "quotes").get("fetched") or [], "quotes")
    found = [(asked.get((name(quote, "exchange"), name(quote, "symbolToken"))), quote) for quote in quotes]
    return [(instrument, quote) for instrument, quote in found if instrument is not None]


def _limit(quote: Row, key: str) -> Decimal | None:
    limit = decimal(quote, key) if is_given(quote, key) else None
    return limit or None
