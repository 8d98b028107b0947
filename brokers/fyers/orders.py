"""Orders, trades, positions and the account, between our types and Fyers' JSON. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from brokers.fields import Row, optional_text, row, rows, text
from brokers.fyers import words
from brokers.fyers.numbers import number, number_or_zero, whole
from brokers.fyers.symbols import instrument_of
from trading.accounts import Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import BrokerHolding, BrokerOrder, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest
from trading.ports.broker import UnreadableAnswer
from trading.sessions import INDIA

Body = dict[str, str | int | Decimal | bool]

# A user's own tag comes back behind this; the broker's marks for none have a 2, or this word.
_OWN_TAG = "1:"
_UNTAGGED = "Untagged"
_AVAILABLE, _UTILIZED = 10, 2


def place_body(order: OrderRequest, ticker: str) -> Body:
    """A DAY LIMIT order, or a DAY stop-limit order."""
    return {
        "symbol": ticker,
        "qty": order.quantity,
        "type": _type_of(order.trigger_price),
        "side": words.SIDE_NUMBERS[order.side],
        "productType": words.PRODUCT_WORDS[order.product],
        "limitPrice": order.price,
        "stopPrice": order.trigger_price or 0,
        "validity": "DAY",
        "disclosedQty": 0,
        "offlineOrder": False,
        "stopLoss": 0,
        "takeProfit": 0,
        "orderTag": order.tag,
    }


def modify_body(change: ModifyRequest) -> Body:
    """`qty` is the new total, filled shares included. Live servers have refused bodies that leave out what stays as it is."""
    return {
        "id": change.broker_order_id,
        "type": _type_of(change.trigger_price),
        "qty": change.quantity,
        "limitPrice": change.price,
        "stopPrice": change.trigger_price or 0,
        "disclosedQty": 0,
    }


def _type_of(trigger_price: Decimal | None) -> int:
    return words.LIMIT if trigger_price is None else words.STOP_LIMIT


def tag_key(tag: str) -> str:
    """A tag as the order book keeps it, which is how it is searched."""
    return f"{_OWN_TAG}{tag}"


def read_tag(value: object) -> str | None:
    """Our part of a tag; None for what the broker itself writes."""
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        raise UnreadableAnswer("orderTag is not text")
    if value.startswith(_OWN_TAG):
        value = value.removeprefix(_OWN_TAG)
    elif ":" in value:
        return None
    return None if value in (_UNTAGGED, "") else value


def read_order(value: object) -> BrokerOrder:
    """One row of the order book. A fill is only what `filledQty` says: a rejected order has nothing remaining either."""
    source = row(value, "order")
    status, filled = words.status(source.get("status")), whole(source.get("filledQty"), "filledQty")
    return BrokerOrder(
        broker_order_id=_id(source, "id"),
        tag=read_tag(source.get("orderTag")),
        instrument=_instrument(source),
        product=words.product(text(source, "productType")),
        side=words.side(source.get("side")),
        quantity=whole(source.get("qty"), "qty"),
        filled_quantity=filled,
        price=number_or_zero(source.get("limitPrice"), "limitPrice"),
        average_price=number_or_zero(source.get("tradedPrice"), "tradedPrice"),
        status=status,
        message=optional_text(source, "message") or "",
        updated_at=_optional_time(source, "orderDateTime"),
        exchange_order_id=_optional_id(source, "exchOrdId"),
        trigger_price=None if filled or status.is_terminal else _trigger_price(source),
    )


def _trigger_price(source: Row) -> Decimal | None:
    """What a stop waits for. A waiting stop has no number of its own, nor has one that has triggered and found nobody yet: that
    one counts as waiting until something of it has filled."""
    is_stop = source.get("type") is not None and whole(source.get("type"), "type") in words.STOPS
    return number_or_zero(source.get("stopPrice"), "stopPrice") or None if is_stop else None


# Names on the order socket, and in the book. What has no value is left out there.
_SOCKET_NAMES: Mapping[str, str] = {
    "id": "id",
    "ordertag": "orderTag",
    "symbol": "symbol",
    "fy_token": "fyToken",
    "product_type": "productType",
    "tran_side": "side",
    "qty": "qty",
    "qty_filled": "filledQty",
    "price_limit": "limitPrice",
    "price_stop": "stopPrice",
    "ord_type": "type",
    "price_traded": "tradedPrice",
    # Not `ord_status`, which is a number of the broker's inside.
    "org_ord_status": "status",
    "oms_msg": "message",
    "time_oms": "orderDateTime",
    "id_exchange": "exchOrdId",
}


def read_socket_order(value: object) -> BrokerOrder | None:
    """An order as the order socket tells it. None when it is said to have traded but not how much: the book will say."""
    source = row(value, "order update")
    if "org_ord_status" not in source:
        return read_order(source)
    named = {name: source[key] for key, name in _SOCKET_NAMES.items() if key in source}
    if named.get("filledQty") is None:
        if whole(named["status"], "org_ord_status") == words.TRADED:
            return None
        named["filledQty"] = 0
    return read_order(named)


def read_orders(body: Row) -> tuple[BrokerOrder, ...]:
    return tuple(read_order(item) for item in _list(body, "orderBook"))


def only_order(body: Row, *, broker_order_id: str) -> BrokerOrder | None:
    """The order asked for by its number; None when the answer holds none."""
    found = read_orders(body)
    if not found:
        return None
    mine = [order for order in found if order.broker_order_id == broker_order_id]
    if len(mine) != 1:
        raise UnreadableAnswer("the answer is not about the order that was asked for")
    return mine[0]


def read_trades(body: Row) -> tuple[BrokerTrade, ...]:
    return tuple(_trade(source) for source in _list(body, "tradeBook"))


def _trade(source: Row) -> BrokerTrade:
    return BrokerTrade(
        trade_id=_id(source, "tradeNumber"),
        broker_order_id=_id(source, "orderNumber"),
        instrument=_instrument(source),
        product=words.product(text(source, "productType")),
        side=words.side(source.get("side")),
        quantity=whole(source.get("tradedQty"), "tradedQty"),
        price=number(source.get("tradePrice"), "tradePrice"),
        filled_at=_time(source, "orderDateTime"),
    )


def read_positions(body: Row) -> tuple[BrokerPosition, ...]:
    """Net positions, closed ones of the day included."""
    return tuple(_position(source) for source in _list(body, "netPositions"))


def _position(source: Row) -> BrokerPosition:
    average = source.get("netAvg") if source.get("netAvg") is not None else source.get("avgPrice")
    return BrokerPosition(
        instrument=_instrument(source),
        product=words.product(text(source, "productType")),
        net_quantity=_net(source),
        average_price=number_or_zero(average, "netAvg"),
        last_price=number_or_zero(source.get("ltp"), "ltp"),
    )


def _net(source: Row) -> int:
    """Signed. Where the row also tells the side, both must agree; a number without a sign takes the side's."""
    net = whole(source.get("netQty"), "netQty")
    if source.get("side") in (None, ""):
        return net
    side = whole(source.get("side"), "side")
    if side not in (-1, 0, 1) or (side == 0 and net) or (side == 1 and net < 0):
        raise UnreadableAnswer(f"a position of {net} on side {side}")
    return -net if side == -1 and net > 0 else net


def read_holdings(body: Row) -> tuple[BrokerHolding, ...]:
    return tuple(_holding(source) for source in _list(body, "holdings"))


def _holding(source: Row) -> BrokerHolding:
    """`quantity` counts what is on its way (`qty_t1`) and what was sold today, which `remainingQuantity` does not."""
    quantity = whole(source.get("quantity"), "quantity")
    return BrokerHolding(_instrument(source), quantity, number_or_zero(source.get("costPrice"), "costPrice"))


def read_margins(body: Row) -> Margins:
    """The equity column of the funds."""
    amounts = {whole(source.get("id"), "id"): source.get("equityAmount") for source in _list(body, "fund_limit")}
    return Margins(
        available=number(amounts.get(_AVAILABLE), "Available Balance"), used=number(amounts.get(_UTILIZED), "Utilized Amount")
    )


def read_profile(body: Row) -> Profile:
    source = row(body.get("data"), "profile")
    return Profile(broker_user_id=text(source, "fy_id"), name=optional_text(source, "name") or "")


def read_last_prices(body: Row, wanted: Mapping[str, InstrumentId]) -> dict[InstrumentId, Decimal]:
    """By ticker. A symbol the broker does not know carries an error of its own; a price of zero means never traded."""
    prices: dict[InstrumentId, Decimal] = {}
    for source in _list(body, "d"):
        instrument = wanted.get(text(source, "n"))
        if instrument is None or source.get("s") != "ok":
            continue
        price = number(row(source.get("v"), "quote").get("lp"), "lp")
        if price > 0:
            prices[instrument] = price
    return prices


def read_price_limits(body: Row, ticker: str) -> PriceLimits | None:
    """From the market depth of one symbol; None when the answer says nothing of it. A limit of zero is none."""
    depths = row(body.get("d"), "depth")
    if ticker not in depths:
        return None
    depth = row(depths[ticker], "depth")
    lower, upper = (number_or_zero(depth.get(name), name) or None for name in ("lower_ckt", "upper_ckt"))
    return PriceLimits(lower, upper)


def _list(body: Row, key: str) -> list[Row]:
    """The payload of a call. Null is an empty list; a missing key is not."""
    if key not in body:
        raise UnreadableAnswer(f"the answer has no {key}")
    return [] if body[key] is None else rows(body[key], key)


def _instrument(source: Row) -> InstrumentId:
    token = source.get("fyToken")
    return instrument_of(text(source, "symbol"), str(token) if token else None)


def _id(source: Row, key: str) -> str:
    found = _optional_id(source, key)
    if found is None:
        raise UnreadableAnswer(f"{key} is missing")
    return found


def _optional_id(source: Row, key: str) -> str | None:
    value = source.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return optional_text(source, key)


_TIME_FORMATS = ("%d-%b-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")


def _time(source: Row, key: str) -> datetime:
    """`18-Dec-2023 13:51:30`, Indian time, as aware UTC; also with the date in digits."""
    value = text(source, key)
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(value, form).replace(tzinfo=INDIA).astimezone(UTC)
        except ValueError:
            continue
    raise UnreadableAnswer(f"{key} is not a time")


def _optional_time(source: Row, key: str) -> datetime | None:
    return None if optional_text(source, key) in (None, "NA") else _time(source, key)
