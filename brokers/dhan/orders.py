"""Orders, trades, positions and the account, between our types and Dhan's JSON. Pure.

An order names its instrument by segment and security id; `instrument_of` turns our key for that pair into the instrument, if the
broker's list knows it.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from brokers.dhan import words
from brokers.dhan.loose import count, first_moment, is_missing, number, number_or_zero, optional_word, word
from brokers.exact_json import Encodable
from brokers.fields import Row, row, rows
from trading.accounts import Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import BrokerHolding, BrokerOrder, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest
from trading.ports.broker import UnreadableAnswer

Body = dict[str, Encodable]
InstrumentOf = Callable[[str], InstrumentId | None]

_NOT_AT_THE_EXCHANGE = ("TRANSIT", "REJECTED")


def place_body(order: OrderRequest, *, token: str, client_id: str) -> Body:
    """A DAY LIMIT order, or a DAY stop-limit order. What is not used is left out: the server refuses empty texts where it wants
    numbers."""
    segment, security_id = words.split_token(token)
    body: Body = {
        "dhanClientId": client_id,
        "correlationId": order.tag,
        "transactionType": order.side.value,
        "exchangeSegment": segment,
        "productType": words.product_word(order.product),
        "orderType": _type_of(order.trigger_price),
        "validity": "DAY",
        "securityId": security_id,
        "quantity": order.quantity,
        "price": order.price,
    }
    return body if order.trigger_price is None else body | {"triggerPrice": order.trigger_price}


def modify_body(change: ModifyRequest, *, client_id: str) -> Body:
    """`quantity` is the new total, filled shares included. The trigger is always named, as the broker's own client does: a stop
    that becomes a limit order must not keep it."""
    return {
        "dhanClientId": client_id,
        "orderId": change.broker_order_id,
        "orderType": _type_of(change.trigger_price),
        "quantity": change.quantity,
        "price": change.price,
        "triggerPrice": change.trigger_price or 0,
        "validity": "DAY",
    }


def _type_of(trigger_price: Decimal | None) -> str:
    return "LIMIT" if trigger_price is None else "STOP_LOSS"


def quote_body(tokens: Iterable[str]) -> Body:
    """Security ids as numbers, by segment."""
    segments: dict[str, list[int]] = {}
    for token in tokens:
        segment, security_id = words.split_token(token)
        segments.setdefault(segment, []).append(int(security_id))
    return dict(segments)


def read_order(value: object, *, instrument_of: InstrumentOf) -> BrokerOrder:
    """One order of the book or of a postback."""
    source = row(value, "order")
    state = word(source, "orderStatus")
    filled = _filled(source, state)
    return BrokerOrder(
        broker_order_id=word(source, "orderId"),
        tag=optional_word(source, "correlationId"),
        instrument=_instrument(source, instrument_of),
        product=words.product(word(source, "productType")),
        side=words.side(word(source, "transactionType")),
        quantity=count(source, "quantity"),
        filled_quantity=filled,
        price=number_or_zero(source, "price"),
        # A filled order may show its average late, as zero: the trades say it exactly.
        average_price=number_or_zero(source, "averageTradedPrice") if filled else Decimal(0),
        status=words.status(state),
        message=optional_word(source, "omsErrorDescription") or "",
        updated_at=first_moment(source, "updateTime", "exchangeTime", "createTime"),
        exchange_order_id=optional_word(source, "exchangeOrderId"),
        algo_id=optional_word(source, "algoId"),
        trigger_price=trigger_price(source, kind="orderType", price="triggerPrice", filled=filled, state=state),
    )


def trigger_price(source: Row, *, kind: str, price: str, filled: int, state: str) -> Decimal | None:
    """What a stop order waits for; `kind` and `price` name the fields. A waiting stop has no word of its own, nor has one that
    has triggered and found nobody yet: that one counts as waiting until something of it has filled."""
    if (optional_word(source, kind) or "").upper() not in words.STOP_TYPES or filled or words.status(state).is_terminal:
        return None
    return number_or_zero(source, price) or None


def _filled(source: Row, state: str) -> int:
    """Postbacks write it in snake case. Where it is missing, only an order that was never at the exchange has none for sure."""
    for key in ("filledQty", "filled_qty"):
        if not is_missing(source, key):
            return count(source, key)
    if state.upper() in _NOT_AT_THE_EXCHANGE:
        return 0
    raise UnreadableAnswer("filledQty is missing")


def read_orders(data: object, *, instrument_of: InstrumentOf) -> tuple[BrokerOrder, ...]:
    return tuple(read_order(item, instrument_of=instrument_of) for item in rows(data, "orders"))


def read_one(data: object, *, broker_order_id: str, instrument_of: InstrumentOf) -> BrokerOrder:
    """One order by its id: the documentation shows a list of one, the client's samples the order itself."""
    found = data[0] if isinstance(data, list) and data else data
    order = read_order(found, instrument_of=instrument_of)
    if order.broker_order_id != broker_order_id:
        raise UnreadableAnswer("the answer is about another order")
    return order


def read_tagged(data: object, *, tag: str, instrument_of: InstrumentOf) -> tuple[BrokerOrder, ...]:
    """Orders by their correlation id: one, a list, or nothing. Others than those of the tag are not what was asked for."""
    if isinstance(data, dict):
        data = [data] if data else []
    found = read_orders(data, instrument_of=instrument_of)
    if any(order.tag != tag for order in found):
        raise UnreadableAnswer("the answer is about another correlation id")
    return found


def _instrument(source: Row, instrument_of: InstrumentOf) -> InstrumentId:
    segment = word(source, "exchangeSegment")
    security_id = optional_word(source, "securityId")
    return known_instrument(segment, security_id, optional_word(source, "tradingSymbol"), instrument_of=instrument_of)


def known_instrument(segment: str, security_id: str | None, symbol: str | None, *, instrument_of: InstrumentOf) -> InstrumentId:
    """By the broker's id, for symbols are written differently in places. What its list does not hold, somebody else trades: it
    goes by the symbol it came with."""
    listed = instrument_of(words.token(segment, security_id)) if security_id else None
    if listed is not None:
        return listed
    exchange = words.EXCHANGES.get(segment)
    if exchange is None:
        raise UnreadableAnswer(f"unknown segment {segment!r}")
    if not (symbol or security_id):
        raise UnreadableAnswer("an order without an instrument")
    return InstrumentId(exchange, symbol or f"{security_id}")


def read_trades(data: object, *, instrument_of: InstrumentOf) -> tuple[BrokerTrade, ...]:
    return tuple(_trade(source, instrument_of) for source in rows(data, "trades"))


def _trade(source: Row, instrument_of: InstrumentOf) -> BrokerTrade:
    filled_at = first_moment(source, "exchangeTime", "updateTime", "createTime")
    if filled_at is None:
        raise UnreadableAnswer("a trade without a time")
    return BrokerTrade(
        trade_id=word(source, "exchangeTradeId"),
        broker_order_id=word(source, "orderId"),
        instrument=_instrument(source, instrument_of),
        product=words.product(word(source, "productType")),
        side=words.side(word(source, "transactionType")),
        quantity=count(source, "tradedQuantity"),
        price=number(source, "tradedPrice"),
        filled_at=filled_at,
    )


def read_positions(data: object, *, instrument_of: InstrumentOf) -> tuple[BrokerPosition, ...]:
    return tuple(_position(source, instrument_of) for source in rows(data, "positions"))


def _position(source: Row, instrument_of: InstrumentOf) -> BrokerPosition:
    net = count(source, "netQty")
    average = number_or_zero(source, "buyAvg" if net > 0 else "sellAvg") if net else Decimal(0)
    return BrokerPosition(
        instrument=_instrument(source, instrument_of),
        product=words.product(word(source, "productType")),
        net_quantity=net,
        average_price=average or number_or_zero(source, "costPrice"),
        last_price=_last_price(source, net, average),
    )


def _last_price(source: Row, net: int, average: Decimal) -> Decimal:
    """Not among the fields; what is not realised yet tells it. For people to look at: nothing is decided by it."""
    if not net:
        return Decimal(0)
    return (average + number_or_zero(source, "unrealizedProfit") / net).quantize(Decimal("0.01"))


def read_holdings(data: object, *, instrument_of: InstrumentOf) -> tuple[BrokerHolding, ...]:
    return tuple(_holding(source, instrument_of) for source in rows(data, "holdings"))


def _holding(source: Row, instrument_of: InstrumentOf) -> BrokerHolding:
    """`exchange` is `ALL` for a share of several exchanges, whose id is then NSE's, as far as the documentation shows."""
    exchange = word(source, "exchange").upper()
    segment = "NSE_EQ" if exchange == "ALL" else words.split_segment(exchange, "E")
    if segment is None:
        raise UnreadableAnswer(f"unknown exchange {exchange!r}")
    instrument = known_instrument(
        segment, optional_word(source, "securityId"), optional_word(source, "tradingSymbol"), instrument_of=instrument_of
    )
    return BrokerHolding(instrument, count(source, "totalQty"), number_or_zero(source, "avgCostPrice"))


def read_margins(data: object) -> Margins:
    """`availabelBalance` is how Dhan spells it."""
    source = row(data, "funds")
    key = "availableBalance" if is_missing(source, "availabelBalance") else "availabelBalance"
    return Margins(available=number(source, key), used=number(source, "utilizedAmount"))


def read_profile(data: object) -> Profile:
    """The profile tells no name; the number stands for it."""
    source = row(data, "profile")
    client_id = word(source, "dhanClientId")
    return Profile(broker_user_id=client_id, name=optional_word(source, "dhanClientName") or client_id)


def read_last_prices(data: object, *, instrument_of: InstrumentOf) -> dict[InstrumentId, Decimal]:
    """What Dhan does not know is left out; a price of zero means never traded and is left out too."""
    prices: dict[InstrumentId, Decimal] = {}
    for instrument, quoted in _quotes(data, instrument_of):
        price = number(quoted, "last_price")
        if price > 0:
            prices[instrument] = price
    return prices


def read_price_limits(data: object, *, instrument_of: InstrumentOf) -> dict[InstrumentId, PriceLimits]:
    """From full quotes. Indices have none, and a limit of zero is none."""
    return {
        instrument: PriceLimits(_limit(quoted, "lower_circuit_limit"), _limit(quoted, "upper_circuit_limit"))
        for instrument, quoted in _quotes(data, instrument_of)
    }


def _quotes(data: object, instrument_of: InstrumentOf) -> Sequence[tuple[InstrumentId, Row]]:
    found: list[tuple[InstrumentId, Row]] = []
    for segment, quoted in row(data, "quotes").items():
        for security_id, value in row(quoted, "quotes of a segment").items():
            instrument = instrument_of(words.token(segment, security_id))
            if instrument is not None:
                found.append((instrument, row(value, "quote")))
    return found


def _limit(quoted: Row, key: str) -> Decimal | None:
    return number_or_zero(quoted, key) or None
