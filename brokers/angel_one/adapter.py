"""One Angel One account behind the broker port. Only `LiveAngelOneBroker` reaches its own servers, by type and by check."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Unpack
from urllib.parse import quote

from brokers.account import NOT_LOGGED_IN, Account, AccountAdapter, Live, Simulated
from brokers.angel_one import limits
from brokers.angel_one import orders as shapes
from brokers.angel_one.errors import (
    NO_HOLDING,
    NO_POSITION,
    NO_TRADE,
    accepted_data,
    change_outcome,
    place_outcome,
    read_data,
    read_list,
)
from brokers.angel_one.handles import Handles
from brokers.angel_one.heartbeat import keep_alive
from brokers.angel_one.limits import LIMITS
from brokers.angel_one.login import PROFILE
from brokers.angel_one.session import session_headers, socket_headers
from brokers.angel_one.shared_read import Pace, SharedRead
from brokers.angel_one.stream import AngelOneTickStream, Key
from brokers.angel_one.symbols import AngelInstrument
from brokers.angel_one.ticks import Mode
from brokers.angel_one.updates import order_updates
from brokers.answers import Answered, WireResult
from brokers.exact_json import encode_json
from brokers.instrument_tokens import InstrumentTokens
from brokers.lines import Lines
from brokers.sockets import AttentiveConnection, HandshakeRefused, open_socket
from trading.accounts import BrokerName, Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import (
    BookSnapshot,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    Placed,
    PlaceOutcome,
    RefusalKind,
    Refused,
)
from trading.ports.broker import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    Leisure,
    MaySend,
    SessionExpired,
    TickStream,
    at_once,
)
from trading.sessions import INDIA

# Handshakes answered so: the token is dead, or this app may not have the socket.
_FORBIDDEN = (401, 403)
_ORDERS = "/rest/secure/angelbroking/order/v1"
_QUOTES = "/rest/secure/angelbroking/market/v1/quote"
_ELSEWHERE = (301, 307, 308, 404, 405)
_HOLDINGS = "/rest/secure/angelbroking/portfolio/v1/getHolding"
_FUNDS = "/rest/secure/angelbroking/user/v1/getRMS"


class AngelOneBroker(AccountAdapter):
    """Everything but the environment, which is the subclass."""

    name = BrokerName.ANGEL_ONE
    own_domains = ("angelone.in", "angelbroking.com")

    def __init__(self, *, tick_mode: Mode = Mode.SNAP_QUOTE, **account: Unpack[Account]) -> None:
        super().__init__(**account)
        self._tick_mode = tick_mode
        self._handles = Handles()
        self._book = SharedRead(self._fetch_book, pace=self._pace_of("book", limits.BOOK_GAP_SECONDS))
        self._trades = SharedRead(self._fetch_trades, pace=self._pace_of("trades", limits.BOOK_GAP_SECONDS))
        self._positions = SharedRead(self._fetch_positions, pace=self._pace_of("positions", limits.BOOK_GAP_SECONDS))
        self._holdings = SharedRead(self._fetch_holdings, pace=self._pace_of("holdings", limits.BOOK_GAP_SECONDS))
        self._quotes_path = f"{_QUOTES}/"
        self._quotes = self._pace_of("quotes", limits.QUOTE_GAP_SECONDS)

    def _pace_of(self, name: str, gap_seconds: float) -> Pace:
        return Pace(self._turns, self._broker_account, name=name, gap_seconds=gap_seconds)

    def _session_headers(self) -> Mapping[str, str]:
        return session_headers(self._credentials)

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        token = self._tokens.token_of(order.instrument)
        if token is None:
            return _not_listed(order.instrument, self._tokens)
        body = shapes.place_body(order, AngelInstrument.parse(token))
        result = await self._transport.write("POST", f"{_ORDERS}/placeOrder", json=encode_json(body), may_send=may_send)
        outcome = place_outcome(result)
        if isinstance(outcome, Placed):
            unique_id = str((accepted_data(result) or {}).get("uniqueorderid") or "")
            self._handles.learn(outcome.broker_order_id, shapes.placed_handle(body, unique_id=unique_id))
        return outcome

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        def body(handle: shapes.Handle) -> shapes.Body:
            return shapes.modify_body(change, handle)

        return await self._change("modifyOrder", change.broker_order_id, body, may_send=may_send)

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        def body(handle: shapes.Handle) -> shapes.Body:
            return shapes.cancel_body(broker_order_id, handle)

        return await self._change("cancelOrder", broker_order_id, body, may_send=may_send)

    async def _change(
        self, call: str, broker_order_id: str, body: Callable[[shapes.Handle], shapes.Body], *, may_send: MaySend
    ) -> ChangeOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        try:
            handle = self._handles.of(broker_order_id) or await self._find_handle(broker_order_id)
        except SessionExpired as expired:
            return Refused(RefusalKind.SESSION, str(expired))
        except BrokerError as error:
            return Refused(RefusalKind.NOT_SENT, f"the order's own particulars could not be read: {error}")
        if handle is None:
            # Not gone: a book that does not show it may be late.
            return Refused(RefusalKind.NOT_SENT, "the broker's book does not show the order")
        path, written = f"{_ORDERS}/{call}", encode_json(body(handle))
        outcome = change_outcome(await self._transport.write("POST", path, json=written, may_send=may_send))
        if isinstance(outcome, Refused) and outcome.kind is RefusalKind.INPUT:
            # Its particulars may have changed with the order, as a stop's variety does: the next change asks the book for them.
            self._handles.forget(broker_order_id)
        return outcome

    async def _find_handle(self, broker_order_id: str) -> shapes.Handle | None:
        """Only after a restart, and only when the order was not seen since."""
        await self._book.read()
        return self._handles.of(broker_order_id)

    async def orders(self) -> BookSnapshot:
        return await self._book.read()

    async def _fetch_book(self) -> BookSnapshot:
        requested_at = self._clock.monotonic()
        listed = shapes.read_book(await self._list(f"{_ORDERS}/getOrderBook"))
        self._handles.learn_all(listed)
        return BookSnapshot(tuple(one.order for one in listed), requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        """By its own call where the broker's other id of it is known, else from the book."""
        handle = self._handles.of(broker_order_id)
        if handle is not None and handle.unique_id:
            details = await self._read(f"{_ORDERS}/details/{quote(handle.unique_id, safe='')}")
            return shapes.read_details(details, broker_order_id=broker_order_id)
        for order in (await self._book.read()).orders:
            if order.broker_order_id == broker_order_id:
                return order
        raise BrokerRefused("the broker's book knows no such order")

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        return (await self.orders()).by_tag(tag)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        return await self._trades.read()

    async def _fetch_trades(self) -> tuple[BrokerTrade, ...]:
        data = await self._list(f"{_ORDERS}/getTradeBook", nothing=NO_TRADE)
        return shapes.read_trades(data, trading_day=self._clock.now().astimezone(INDIA).date())

    async def positions(self) -> tuple[BrokerPosition, ...]:
        return await self._positions.read()

    async def _fetch_positions(self) -> tuple[BrokerPosition, ...]:
        return shapes.read_positions(await self._list(f"{_ORDERS}/getPosition", nothing=NO_POSITION))

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        return await self._holdings.read()

    async def _fetch_holdings(self) -> tuple[BrokerHolding, ...]:
        return shapes.read_holdings(await self._list(_HOLDINGS, nothing=NO_HOLDING))

    async def margins(self) -> Margins:
        return shapes.read_margins(await self._read(_FUNDS))

    async def profile(self) -> Profile:
        return shapes.read_profile(await self._read(PROFILE))

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """One request per fifty instruments, and one request a second."""
        prices: dict[InstrumentId, Decimal] = {}
        async for data, asked in self._quoted("LTP", instruments):
            prices.update(shapes.read_last_prices(data, asked))
        return prices

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """In full quotes only; otherwise as `ltp`."""
        found: dict[InstrumentId, PriceLimits] = {}
        async for data, asked in self._quoted("FULL", instruments):
            found.update(shapes.read_price_limits(data, asked))
        return found

    async def _quoted(self, mode: str, instruments: Sequence[InstrumentId]) -> AsyncIterator[tuple[object, shapes.Asked]]:
        listed = [(instrument, token) for instrument in instruments if (token := self._tokens.token_of(instrument)) is not None]
        known = [(instrument, AngelInstrument.parse(token)) for instrument, token in listed]
        for start in range(0, len(known), LIMITS.quote_keys):
            some = known[start : start + LIMITS.quote_keys]
            asked = {(found.exchange, found.token): instrument for instrument, found in some}
            body = encode_json(shapes.quote_body(mode, [found for _, found in some]))
            self._check_logged_in()
            await self._quotes.turn()
            yield read_data(await self._ask_quotes(body)), asked

    async def _ask_quotes(self, body: bytes) -> WireResult:
        """The documentation's address has a slash at its end and the official client's has none: a server may know but one."""
        result = await self._transport.ask(self._quotes_path, json=body)
        if isinstance(result, Answered) and result.status in _ELSEWHERE:
            self._quotes_path = _QUOTES if self._quotes_path.endswith("/") else f"{_QUOTES}/"
            result = await self._transport.ask(self._quotes_path, json=body)
        return result

    async def _list(self, path: str, *, nothing: str | None = None) -> object:
        self._check_logged_in()
        return read_list(await self._transport.read(path), nothing=nothing)

    async def _read(self, path: str) -> object:
        self._check_logged_in()
        return read_data(await self._transport.read(path))

    @asynccontextmanager
    async def ticks(self) -> AsyncIterator[TickStream]:
        def connect() -> Awaitable[AttentiveConnection]:
            return self._connect(self._urls.ws_url)

        each, most = LIMITS.instruments_per_feed, LIMITS.feeds_per_key
        lines: Lines[Key] = Lines(connect, keys_per_line=each, most_lines=most)
        async with lines:
            yield AngelOneTickStream(lines, self._tokens, self._clock, self._tick_mode)

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        connection = await self._connect(self._urls.orders_ws_url)
        try:
            yield order_updates(connection, silence_seconds=self._silence_seconds, leisure=leisure)
        finally:
            await connection.close()

    async def _connect(self, url: str) -> AttentiveConnection:
        self._check_logged_in()
        try:
            headers = socket_headers(self._credentials)
            return keep_alive(await open_socket(url, headers=headers, open_seconds=self._timeout_seconds))
        except HandshakeRefused as refused:
            if refused.status not in _FORBIDDEN:
                raise BrokerUnavailable(f"the socket answered HTTP {refused.status}") from None
            # A dead token makes this read say so; a live one means that this app may trade but not listen.
            await self.profile()
            words = refused.headers.get("x-error-message") or "no reason given"
            raise BrokerRefused(f"the broker refused the socket: {words}") from None


class LiveAngelOneBroker(Live, AngelOneBroker):
    """Real money."""


class SimulatedAngelOneBroker(Simulated, AngelOneBroker):
    """Any server that speaks the protocol and is not the broker's own."""


def _not_listed(instrument: InstrumentId, tokens: InstrumentTokens) -> Refused:
    """Nothing was sent. An empty list says nothing about the instrument: try again once it is loaded."""
    if len(tokens) == 0:
        return Refused(RefusalKind.NOT_SENT, "the broker's instrument list is not loaded yet")
    return Refused(RefusalKind.INPUT, f"not in the broker's instrument list: {instrument}")
