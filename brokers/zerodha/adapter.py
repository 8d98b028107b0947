"""One Zerodha account behind the broker port. Only `LiveZerodhaBroker` reaches Zerodha's own servers, by type and by check."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Unpack
from urllib.parse import quote

from brokers.account import NOT_LOGGED_IN, Account, AccountAdapter, Live, Simulated
from brokers.sockets import AttentiveConnection
from brokers.zerodha import history
from brokers.zerodha import orders as shapes
from brokers.zerodha.errors import change_outcome, place_outcome, read_data
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.session import session_headers
from brokers.zerodha.stream import TickerForbidden, ZerodhaTickStream, open_ticker, open_updates, order_updates
from brokers.zerodha.ticks import Mode
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
from trading.ports.broker import BrokerRefused, Leisure, MaySend, TickStream, at_once
from trading.ports.history import MinuteBar


class ZerodhaBroker(AccountAdapter):
    """Everything but the environment, which is the subclass."""

    name = BrokerName.ZERODHA
    own_domains = ("kite.trade", "zerodha.com")

    def __init__(self, *, tick_mode: Mode = Mode.FULL, **account: Unpack[Account]) -> None:
        super().__init__(**account)
        self._tick_mode = tick_mode

    def _session_headers(self) -> Mapping[str, str]:
        return session_headers(self._credentials)

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        form = shapes.place_form(order)
        return place_outcome(await self._transport.write("POST", "/orders/regular", form=form, may_send=may_send))

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        path = _order_path(change.broker_order_id)
        return await self._change("PUT", path, form=shapes.modify_form(change), may_send=may_send)

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        return await self._change("DELETE", _order_path(broker_order_id), form=None, may_send=may_send)

    async def _change(self, method: str, path: str, *, form: shapes.Pairs | None, may_send: MaySend) -> ChangeOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        return change_outcome(await self._transport.write(method, path, form=form, may_send=may_send))

    async def orders(self) -> BookSnapshot:
        requested_at = self._clock.monotonic()
        return BookSnapshot(shapes.read_orders(await self._read("/orders")), requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        history = await self._read(f"/orders/{quote(broker_order_id, safe='')}")
        return shapes.read_history(history, broker_order_id=broker_order_id)

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        return (await self.orders()).by_tag(tag)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        return shapes.read_trades(await self._read("/trades"))

    async def positions(self) -> tuple[BrokerPosition, ...]:
        return shapes.read_positions(await self._read("/portfolio/positions"))

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        return shapes.read_holdings(await self._read("/portfolio/holdings"))

    async def margins(self) -> Margins:
        return shapes.read_margins(await self._read("/user/margins/equity"))

    async def profile(self) -> Profile:
        return shapes.read_profile(await self._read("/user/profile"))

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """One request per thousand instruments; the broker allows one such request a second."""
        prices: dict[InstrumentId, Decimal] = {}
        for start in range(0, len(instruments), LIMITS.quote_keys):
            some = instruments[start : start + LIMITS.quote_keys]
            data = await self._read("/quote/ltp", query=[("i", str(instrument)) for instrument in some])
            prices.update(shapes.read_last_prices(data))
        return prices

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """In full quotes only: one request per five hundred instruments, of which the broker allows one a second."""
        limits: dict[InstrumentId, PriceLimits] = {}
        for start in range(0, len(instruments), LIMITS.full_quote_keys):
            some = instruments[start : start + LIMITS.full_quote_keys]
            data = await self._read("/quote", query=[("i", str(instrument)) for instrument in some])
            limits.update(shapes.read_price_limits(data))
        return limits

    async def minute_bars(self, instrument: InstrumentId, *, first: date, last: date) -> tuple[MinuteBar, ...]:
        """Only where the account's plan has historical data; a few days a request."""
        token = self._tokens.token_of(instrument)
        if token is None:
            raise BrokerRefused(f"{instrument} is not on the broker's list")
        return await history.minute_bars(self._read, token, first=first, last=last)

    async def _read(self, path: str, *, query: shapes.Pairs = ()) -> object:
        self._check_logged_in()
        return read_data(await self._transport.read(path, query=query))

    @asynccontextmanager
    async def ticks(self) -> AsyncIterator[TickStream]:
        connection = await self._connect(open_ticker)
        try:
            yield ZerodhaTickStream(connection, self._tokens, self._clock, self._tick_mode, self._clock.monotonic())
        finally:
            await connection.close()

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        connection = await self._connect(open_updates)
        try:
            yield order_updates(connection, silence_seconds=self._silence_seconds, leisure=leisure)
        finally:
            await connection.close()

    async def _connect(self, opener: Callable[..., Awaitable[AttentiveConnection]]) -> AttentiveConnection:
        self._check_logged_in()
        try:
            return await opener(self._urls.ws_url, credentials=self._credentials, open_seconds=self._timeout_seconds)
        except TickerForbidden:
            # A dead token makes this read say so; a live one means that the app may trade but not see prices.
            await self.profile()
            raise BrokerRefused("the ticker refused this app: it has no market data plan") from None


class LiveZerodhaBroker(Live, ZerodhaBroker):
    """Real money."""


class SimulatedZerodhaBroker(Simulated, ZerodhaBroker):
    """Any server that speaks the protocol and is not Zerodha's own."""


def _order_path(broker_order_id: str) -> str:
    return f"/orders/regular/{quote(broker_order_id, safe='')}"
