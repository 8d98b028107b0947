"""Orders, trades, positions and the account, between our types and Kite's forms and JSON. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from brokers.fields import Row, decimal, indian_time, optional_indian_time, optional_text, row, rows, text, whole
from brokers.zerodha import words
from trading.accounts import Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import BrokerHolding, BrokerOrder, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest
from trading.ports.broker import UnreadableAnswer

Pairs = Sequence[tuple[str, str]]

_STOP_TYPES = ("SL", "SL-M")
# Tags the broker adds by itself, for market protection and for slices.
_SYSTEM_TAGS = ("mktp", "autoslice")


def place_form(order: OrderRequest) -> Pairs:
    """A DAY LIMIT order of the `regular` variety, or a DAY stop-limit order."""
    return (
        ("exchange", order.instrument.exchange),
        ("tradingsymbol", order.instrument.symbol),
        ("transaction_type", order.side.value),
        *_terms(order.price, order.trigger_price),
        ("quantity", str(order.quantity)),
        ("product", order.product.value),
        ("validity", "DAY"),
        ("tag", order.tag),
    )


def modify_form(change: ModifyRequest) -> Pairs:
    """`quantity` is the new total, filled shares included."""
    return (
        *_terms(change.price, change.trigger_price),
        ("quantity", str(change.quantity)),
        ("validity", "DAY"),
    )


def _terms(price: Decimal, trigger_price: Decimal | None) -> Pairs:
    if trigger_price is None:
        return (("order_type", "LIMIT"), ("price", _plain(price)))
    return (("order_type", "SL"), ("price", _plain(price)), ("trigger_price", _plain(trigger_price)))


def _plain(price: Decimal) -> str:
    return format(price, "f")


def read_order(value: object) -> BrokerOrder:
    """One order of the book, of a history, of an order update or of a postback."""
    source = row(value, "order")
    return BrokerOrder(
        broker_order_id=text(source, "order_id"),
        tag=_tag(source),
        instrument=_instrument(source),
        product=words.product(text(source, "product")),
        side=words.side(text(source, "transaction_type")),
        quantity=whole(source, "quantity"),
        filled_quantity=whole(source, "filled_quantity"),
        price=decimal(source, "price"),
        average_price=decimal(source, "average_price"),
        status=words.status(text(source, "status")),
        message=optional_text(source, "status_message") or optional_text(source, "status_message_raw") or "",
        updated_at=optional_indian_time(source, "exchange_update_timestamp") or optional_indian_time(source, "order_timestamp"),
        exchange_order_id=optional_text(source, "exchange_order_id"),
        trigger_price=_trigger_price(source),
    )


def _trigger_price(source: Row) -> Decimal | None:
    """A stop order shows its type for good; once it has triggered its status is that of a limit order. While a change of it is
    under way its status says neither, and it counts as waiting unless something of it has filled: the next reading knows."""
    has_triggered = text(source, "status") in words.NOT_WAITING or whole(source, "filled_quantity") > 0
    if source.get("order_type") not in _STOP_TYPES or has_triggered:
        return None
    return decimal(source, "trigger_price")


def read_orders(data: object) -> tuple[BrokerOrder, ...]:
    return tuple(read_order(item) for item in rows(data, "orders"))


def read_history(data: object, *, broker_order_id: str) -> BrokerOrder:
    """The newest state of one order, from its history, oldest first."""
    history = rows(data, "order history")
    if not history:
        raise UnreadableAnswer("the order's history is empty")
    newest = read_order(history[-1])
    if newest.broker_order_id != broker_order_id:
        raise UnreadableAnswer("the history is of another order")
    return newest


def _tag(source: Row) -> str | None:
    own = optional_text(source, "tag")
    if own is not None:
        return own
    listed = source.get("tags") or []
    if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
        raise UnreadableAnswer("tags is not a list of texts")
    return next((tag for tag in listed if tag and not tag.startswith(_SYSTEM_TAGS)), None)


def _instrument(source: Row) -> InstrumentId:
    return InstrumentId(text(source, "exchange"), text(source, "tradingsymbol"))


def read_trades(data: object) -> tuple[BrokerTrade, ...]:
    return tuple(_trade(source) for source in rows(data, "trades"))


def _trade(source: Row) -> BrokerTrade:
    filled_at = optional_indian_time(source, "fill_timestamp")
    return BrokerTrade(
        trade_id=text(source, "trade_id"),
        broker_order_id=text(source, "order_id"),
        instrument=_instrument(source),
        product=words.product(text(source, "product")),
        side=words.side(text(source, "transaction_type")),
        quantity=whole(source, "quantity"),
        price=decimal(source, "average_price"),
        filled_at=filled_at or indian_time(source, "exchange_timestamp"),
    )


def read_positions(data: object) -> tuple[BrokerPosition, ...]:
    """The `net` list: what is actually held, carried over included."""
    return tuple(_position(source) for source in rows(row(data, "positions").get("net"), "net positions"))


def _position(source: Row) -> BrokerPosition:
    return BrokerPosition(
        instrument=_instrument(source),
        product=words.product(text(source, "product")),
        net_quantity=whole(source, "quantity"),
        average_price=decimal(source, "average_price"),
        last_price=decimal(source, "last_price"),
    )


def read_holdings(data: object) -> tuple[BrokerHolding, ...]:
    return tuple(_holding(source) for source in rows(data, "holdings"))


def _holding(source: Row) -> BrokerHolding:
    """Its parts rather than `quantity`: documentation and servers differ in whether that counts what is on its way."""
    quantity = whole(source, "realised_quantity") + whole(source, "t1_quantity")
    return BrokerHolding(_instrument(source), quantity, decimal(source, "average_price"))


def read_margins(data: object) -> Margins:
    """The equity segment: `net` is what can still be used."""
    source = row(data, "margins")
    return Margins(available=decimal(source, "net"), used=decimal(row(source.get("utilised"), "utilised"), "debits"))


def read_profile(data: object) -> Profile:
    source = row(data, "profile")
    return Profile(broker_user_id=text(source, "user_id"), name=optional_text(source, "user_name") or "")


def read_last_prices(data: object) -> dict[InstrumentId, Decimal]:
    """Kite leaves out what it does not know; a price of zero means never traded and is left out too."""
    prices: dict[InstrumentId, Decimal] = {}
    for key, value in row(data, "last prices").items():
        price = decimal(row(value, "last price"), "last_price")
        if price > 0:
            prices[_parse_key(key)] = price
    return prices


def read_price_limits(data: object) -> dict[InstrumentId, PriceLimits]:
    """From full quotes. Indices have none, and a limit of zero is none."""
    limits: dict[InstrumentId, PriceLimits] = {}
    for key, value in row(data, "quotes").items():
        quoted = row(value, "quote")
        lower, upper = (_limit(quoted, name) for name in ("lower_circuit_limit", "upper_circuit_limit"))
        limits[_parse_key(key)] = PriceLimits(lower, upper)
    return limits


def _limit(quoted: Row, name: str) -> Decimal | None:
    return None if quoted.get(name) in (None, 0) else decimal(quoted, name)


def _parse_key(key: str) -> InstrumentId:
    try:
        return InstrumentId.parse(key)
    except ValueError as error:
        raise UnreadableAnswer(str(error)) from None
