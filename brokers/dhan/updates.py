"""Dhan's order updates: a socket of its own that tells of all orders of the account, from whatever app they came."""

from asyncio import timeout
from collections.abc import AsyncIterator
from decimal import Decimal

from websockets.exceptions import ConnectionClosed

from brokers.dhan import words
from brokers.dhan.loose import count, first_moment, is_missing, number_or_zero, optional_word, word
from brokers.dhan.orders import InstrumentOf, known_instrument, trigger_price
from brokers.exact_json import Encodable, encode_json, parse_json
from brokers.fields import Row, row
from brokers.sockets import AttentiveConnection, closing_words, receive_unless_silent, send
from trading.accounts import Credentials
from trading.orders import BrokerOrder, BrokerOrderStatus
from trading.ports.broker import BrokerUnavailable, Leisure, UnreadableAnswer, at_once

LOGIN_CODE = 42


async def introduce(connection: AttentiveConnection, *, credentials: Credentials, answer_seconds: float) -> None:
    """The first message says who listens; whether the token was taken, the server does not say. Raises BrokerUnavailable.

    A pong proves that the server has read the introduction before it: from here on it tells of everything.
    """
    login: dict[str, Encodable] = {
        "MsgCode": LOGIN_CODE,
        "ClientId": credentials.broker_user_id,
        "Token": credentials.access_token or "",
    }
    await send(connection, encode_json({"LoginReq": login, "UserType": "SELF"}).decode())
    try:
        async with timeout(answer_seconds):
            await (await connection.ping())
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None
    except TimeoutError:
        raise BrokerUnavailable("the order updates did not answer") from None


async def order_updates(
    connection: AttentiveConnection, *, silence_seconds: float, leisure: Leisure = at_once, instrument_of: InstrumentOf
) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change. Raises BrokerUnavailable when not even a pong was heard for so long."""
    while True:
        message = await receive_unless_silent(connection, silence_seconds=silence_seconds, what="the order updates")
        await leisure()
        if isinstance(message, str) and (order := read_update(message, instrument_of=instrument_of)) is not None:
            yield order


def read_update(message: str, *, instrument_of: InstrumentOf) -> BrokerOrder | None:
    """The order in a frame, None for other kinds of message. Raises UnreadableAnswer for anything else."""
    try:
        value = parse_json(message)
    except ValueError:
        raise UnreadableAnswer("a text frame that is not JSON") from None
    frame = _lower(row(value, "a text frame"))
    if str(frame.get("type")).lower() != "order_alert":
        return None
    return _read(_lower(row(frame.get("data"), "order update")), instrument_of=instrument_of)


def _lower(source: Row) -> Row:
    """The documentation writes `OrderNo`, the server `orderNo`."""
    return {key.lower(): value for key, value in source.items()}


def _read(source: Row, *, instrument_of: InstrumentOf) -> BrokerOrder:
    status = words.status(word(source, "status"))
    filled = 0 if is_missing(source, "tradedqty") and status is BrokerOrderStatus.REJECTED else count(source, "tradedqty")
    return BrokerOrder(
        broker_order_id=word(source, "orderno"),
        tag=optional_word(source, "correlationid"),
        instrument=known_instrument(
            _segment(source), optional_word(source, "securityid"), optional_word(source, "symbol"), instrument_of=instrument_of
        ),
        product=words.product(word(source, "productname" if is_missing(source, "product") else "product")),
        side=words.side(word(source, "txntype")),
        quantity=count(source, "quantity"),
        filled_quantity=filled,
        price=number_or_zero(source, "price"),
        average_price=number_or_zero(source, "avgtradedprice") if filled else Decimal(0),
        status=status,
        message=(optional_word(source, "reasondescription") or "") if status is BrokerOrderStatus.REJECTED else "",
        updated_at=first_moment(source, "lastupdatedtime", "exchordertime", "orderdatetime"),
        exchange_order_id=optional_word(source, "exchorderno"),
        algo_id=optional_word(source, "algoid"),
        trigger_price=trigger_price(source, kind="ordertype", price="triggerprice", filled=filled, state=word(source, "status")),
    )


def _segment(source: Row) -> str:
    exchange, letter = word(source, "exchange"), word(source, "segment")
    found = words.split_segment(exchange, letter)
    if found is None:
        raise UnreadableAnswer(f"unknown segment {exchange!r} {letter!r}")
    return found
