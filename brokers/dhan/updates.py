"""Dhan's order updates: a socket of its own that tells of all orders of the account, from whatever app they came."""

from asyncio import timeout
from collections.abc import AsyncIterator
from decimal import Decimal

from websockets.exceptions import ConnectionClosed

from brokers.dhan import words
from brokers.dhan.loose import count, first_moment, is_missing, number_or_zero, optional_word, word
from brokers.dhan.orders import InstrumentOf, known_instrument
from brokers.dhan.sockets import Socket, closing_words, open_socket, receive
from brokers.exact_json import encode_json, parse_json
from brokers.fields import Row, row
from trading.accounts import Credentials
from trading.orders import BrokerOrder, BrokerOrderStatus
from trading.ports.broker import BrokerUnavailable, UnreadableAnswer
from trading.ports.clock import Clock

LOGIN_CODE = 42


async def open_updates(ws_url: str, *, credentials: Credentials, clock: Clock, open_seconds: float) -> Socket:
    """Connected and introduced. Raises BrokerUnavailable; whether the token was taken, the server does not say."""
    connection = await open_socket(ws_url, clock=clock, open_seconds=open_seconds)
    login = {"MsgCode": LOGIN_CODE, "ClientId": credentials.broker_user_id, "Token": credentials.access_token or ""}
    try:
        await connection.send(encode_json({"LoginReq": login, "UserType": "SELF"}).decode())
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None
    return connection


async def order_updates(
    connection: Socket, *, clock: Clock, silence_seconds: float, instrument_of: InstrumentOf
) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change. Raises BrokerUnavailable when not even a pong was heard for so long."""
    while True:
        message = await _next_message(connection, clock=clock, silence_seconds=silence_seconds)
        if isinstance(message, str) and (order := read_update(message, instrument_of=instrument_of)) is not None:
            yield order


async def _next_message(connection: Socket, *, clock: Clock, silence_seconds: float) -> bytes | str:
    """Days may pass without an order, never long without a pong. Being cancelled loses no message."""
    while True:
        left = silence_seconds - (clock.monotonic() - connection.heard_at)
        if left <= 0:
            raise BrokerUnavailable(f"the order updates fell silent for {silence_seconds:g} s")
        try:
            async with timeout(left):
                return await receive(connection)
        except TimeoutError:
            continue


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
    )


def _segment(source: Row) -> str:
    exchange, letter = word(source, "exchange"), word(source, "segment")
    found = words.split_segment(exchange, letter)
    if found is None:
        raise UnreadableAnswer(f"unknown segment {exchange!r} {letter!r}")
    return found
