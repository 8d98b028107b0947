"""One Fyers account behind the broker port. Only `LiveFyersBroker` reaches Fyers' own servers, by type and by check."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Unpack

from brokers.account import NOT_LOGGED_IN, Account, AccountAdapter, Live, Simulated
from brokers.answers import Answered, WireResult
from brokers.exact_json import encode_json
from brokers.fields import Row
from brokers.fyers import order_socket
from brokers.fyers import orders as shapes
from brokers.fyers import stream as feed
from brokers.fyers.errors import change_outcome, is_minute_breach, place_outcome, read_body
from brokers.fyers.frames import Reply
from brokers.fyers.limits import LIMITS
from brokers.fyers.pace import Need, Pace
from brokers.fyers.session import TRADING_APP_SUFFIX, authorization, claimed_text, session_headers
from brokers.fyers.symbols import ticker_of
from brokers.sockets import PING_SECONDS, AttentiveConnection, HandshakeRefused, open_socket
from brokers.transport import Transport
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
    PlaceOutcome,
    RefusalKind,
    Refused,
)
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Leisure, MaySend, TickStream, at_once

ORDERS = "/orders/sync"


class FyersBroker(AccountAdapter):
    """Everything but the environment, which is the subclass."""

    name = BrokerName.FYERS
    own_domains = ("fyers.in",)

    def __init__(self, **account: Unpack[Account]) -> None:
        super().__init__(**account)
        self._data = self._transport_to(self._urls.data_url)
        self._pace = Pace(self._broker_account, self._turns, self._clock)

    def _session_headers(self) -> Mapping[str, str]:
        return session_headers(self._credentials)

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        ticker = ticker_of(order.instrument, self._tokens)
        if ticker is None:
            return Refused(RefusalKind.INPUT, f"{order.instrument} is not in Fyers' instrument list")
        outcome = place_outcome(await self._write("POST", shapes.place_body(order, ticker), may_send))
        return self._explained(outcome) if isinstance(outcome, Refused) else outcome

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        return await self._change("PATCH", shapes.modify_body(change), may_send)

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        return await self._change("DELETE", {"id": broker_order_id}, may_send)

    async def _change(self, method: str, body: shapes.Body, may_send: MaySend) -> ChangeOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        outcome = change_outcome(await self._write(method, body, may_send))
        return self._explained(outcome) if isinstance(outcome, Refused) else outcome

    async def _write(self, method: str, body: shapes.Body, may_send: MaySend) -> WireResult:
        self._pace.count()
        return await self._heard(await self._transport.write(method, ORDERS, json=encode_json(body), may_send=may_send))

    def _explained(self, refused: Refused) -> Refused:
        """The broker's words for three different things are the same; what we know of the app narrows them down."""
        if refused.kind is not RefusalKind.PERMISSION:
            return refused
        if self._credentials.api_key.endswith(TRADING_APP_SUFFIX):
            why = "orders are taken only from the static IP address registered for this app"
        else:
            why = f"orders are taken only from an algo-trading app, whose id ends in {TRADING_APP_SUFFIX}"
        return Refused(refused.kind, f"{refused.message} ({why})")

    async def orders(self) -> BookSnapshot:
        requested_at = self._clock.monotonic()
        return BookSnapshot(shapes.read_orders(await self._read("/orders", Need.BOOK)), requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        body = await self._read("/orders", Need.BOOK, query=[("id", broker_order_id)])
        found = shapes.only_order(body, broker_order_id=broker_order_id)
        if found is None:
            raise BrokerRefused("the broker knows no such order")
        return found

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        """By the broker's own search; what that does not find is looked for in the whole book, which is what proves absence."""
        try:
            body = await self._read("/orders", Need.BOOK, query=[("order_tag", shapes.tag_key(tag))])
        except BrokerRefused:
            return (await self.orders()).by_tag(tag)
        found = tuple(order for order in shapes.read_orders(body) if order.tag == tag)
        return found or (await self.orders()).by_tag(tag)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        return shapes.read_trades(await self._read("/tradebook", Need.BOOK))

    async def positions(self) -> tuple[BrokerPosition, ...]:
        return shapes.read_positions(await self._read("/positions", Need.BOOK))

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        return shapes.read_holdings(await self._read("/holdings", Need.COMFORT))

    async def margins(self) -> Margins:
        return shapes.read_margins(await self._read("/funds", Need.COMFORT))

    async def profile(self) -> Profile:
        return shapes.read_profile(await self._read("/profile", Need.COMFORT))

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """One request per fifty instruments."""
        wanted = self._tickers(instruments)
        tickers = list(wanted)
        prices: dict[InstrumentId, Decimal] = {}
        for start in range(0, len(tickers), LIMITS.quote_keys):
            some = ",".join(tickers[start : start + LIMITS.quote_keys])
            prices.update(shapes.read_last_prices(await self._quote("/quotes", [("symbols", some)]), wanted))
        return prices

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """In the market depth only: one request per instrument, as many as there are turns for in a moment. The rest is absent,
        and found when it is asked for again."""
        limits: dict[InstrumentId, PriceLimits] = {}
        for ticker, instrument in self._tickers(instruments).items():
            if not limits:
                await self._pace.ask(Need.COMFORT)
            elif await self._pace.take(Need.COMFORT) > 0:
                return limits
            try:
                body = await self._read_now("/depth", [("symbol", ticker), ("ohlcv_flag", "1")], self._data)
            except BrokerRefused:
                continue
            if (found := shapes.read_price_limits(body, ticker)) is not None:
                limits[instrument] = found
        return limits

    def _tickers(self, instruments: Sequence[InstrumentId]) -> dict[str, InstrumentId]:
        """What the broker's list knows; before it is loaded, what a rule can tell. One bad symbol may spoil a whole answer."""
        known = [instrument for instrument in instruments if not len(self._tokens) or self._tokens.token_of(instrument)]
        found = {instrument: ticker_of(instrument, self._tokens) for instrument in known}
        return {ticker: instrument for instrument, ticker in found.items() if ticker is not None}

    async def _quote(self, path: str, query: Sequence[tuple[str, str]]) -> Row:
        return await self._read(path, Need.COMFORT, query=query, transport=self._data)

    async def _read(
        self, path: str, need: Need, *, query: Sequence[tuple[str, str]] = (), transport: Transport | None = None
    ) -> Row:
        self._check_logged_in()
        await self._pace.ask(need)
        return await self._read_now(path, query, transport or self._transport)

    async def _read_now(self, path: str, query: Sequence[tuple[str, str]], transport: Transport) -> Row:
        """In a turn that was taken."""
        return read_body(await self._heard(await transport.read(path, query=query)))

    async def _heard(self, result: WireResult) -> WireResult:
        if isinstance(result, Answered) and is_minute_breach(result):
            await self._pace.complained()
        return result

    @asynccontextmanager
    async def ticks(self) -> AsyncIterator[TickStream]:
        hsm_key = claimed_text(self._credentials.access_token or "", "hsm_key")
        self._check_logged_in()
        if not hsm_key:
            raise await self._feed_refusal("the access token carries no key for market data")
        connection = await self._connect(self._urls.ws_url, headers={}, ping_seconds=feed.PING_SECONDS)
        try:
            reply = await self._show(connection, hsm_key)
            stream = feed.FyersTickStream(connection, self._tokens, self._clock, reply.acknowledge_every)
            async with stream.kept_alive():
                yield stream
        finally:
            await connection.close()

    async def _show(self, connection: AttentiveConnection, hsm_key: str) -> Reply:
        """Open the feed with its key."""
        try:
            return await feed.authenticate(connection, hsm_key, within_seconds=self._timeout_seconds)
        except feed.FeedForbidden:
            raise await self._feed_refusal("the market data socket does not accept this session") from None
        except feed.FeedSilent:
            # A dead token makes this read say so. With a living one whoever watches the prices sees whether they come.
            await self.profile()
            return feed.NO_REPLY

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        self._check_logged_in()
        headers = {"authorization": authorization(self._credentials)}
        connection = await self._connect(self._urls.orders_ws_url, headers=headers)
        try:
            told = await order_socket.subscribe(connection)
            async with order_socket.kept_alive(connection):
                yield order_socket.order_updates(connection, silence_seconds=self._silence_seconds, leisure=leisure, told=told)
        finally:
            await connection.close()

    async def _connect(self, url: str, *, headers: Mapping[str, str], ping_seconds: float = PING_SECONDS) -> AttentiveConnection:
        try:
            return await open_socket(url, headers=headers, open_seconds=self._timeout_seconds, ping_seconds=ping_seconds)
        except HandshakeRefused as refused:
            if refused.status in (401, 403):
                raise await self._feed_refusal("the socket refused this session") from None
            raise BrokerUnavailable(f"the socket answered HTTP {refused.status}") from None

    async def _feed_refusal(self, words: str) -> BrokerRefused:
        """A dead token makes this read say so; a live one means that the app may not have what it asked for."""
        await self.profile()
        return BrokerRefused(words)


class LiveFyersBroker(Live, FyersBroker):
    """Real money."""


class SimulatedFyersBroker(Simulated, FyersBroker):
    """Any server that speaks the protocol and is not Fyers' own."""
