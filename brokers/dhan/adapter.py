"""One Dhan account behind the broker port. Only `LiveDhanBroker` reaches Dhan's own servers, by type and by check."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Unpack
from urllib.parse import quote

from brokers.account import NOT_LOGGED_IN, Account, AccountAdapter, Live, Simulated
from brokers.answers import WireResult
from brokers.dhan import orders as shapes
from brokers.dhan.errors import change_outcome, not_there, place_outcome, read_data, read_list
from brokers.dhan.limits import LIMITS
from brokers.dhan.session import session_headers
from brokers.dhan.stream import DhanTickStream, Key, connected, open_feed
from brokers.dhan.updates import introduce, order_updates
from brokers.exact_json import encode_json
from brokers.lines import Lines
from brokers.sockets import AttentiveConnection
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
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Leisure, MaySend, TickStream, UnreadableAnswer, at_once

LIST_NOT_LOADED = "Dhan's instrument list is not loaded yet"


class DhanBroker(AccountAdapter):
    """Everything but the environment, which is the subclass."""

    name = BrokerName.DHAN
    own_domains = ("dhan.co",)

    def __init__(self, *, instruments_per_feed: int = LIMITS.instruments_per_feed, **account: Unpack[Account]) -> None:
        super().__init__(**account)
        self._instruments_per_feed = instruments_per_feed

    def _session_headers(self) -> Mapping[str, str]:
        return session_headers(self._credentials)

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        token = self._tokens.token_of(order.instrument)
        if token is None:
            return _not_listed(order.instrument, list_is_loaded=len(self._tokens) > 0)
        body = shapes.place_body(order, token=token, client_id=self._credentials.broker_user_id)
        return place_outcome(await self._transport.write("POST", "/orders", json=encode_json(body), may_send=may_send))

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        body = shapes.modify_body(change, client_id=self._credentials.broker_user_id)
        return await self._change("PUT", change.broker_order_id, body=body, may_send=may_send)

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        return await self._change("DELETE", broker_order_id, body=None, may_send=may_send)

    async def _change(self, method: str, broker_order_id: str, *, body: shapes.Body | None, may_send: MaySend) -> ChangeOutcome:
        if not self._credentials.access_token:
            return Refused(RefusalKind.SESSION, NOT_LOGGED_IN)
        path, encoded = _path("/orders", broker_order_id), encode_json(body) if body is not None else None
        return change_outcome(await self._transport.write(method, path, json=encoded, may_send=may_send))

    async def orders(self) -> BookSnapshot:
        requested_at = self._clock.monotonic()
        data = await self._read_by_instrument("/orders")
        return BookSnapshot(shapes.read_orders(data, instrument_of=self._instrument_of), requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        found = await self._read_by_instrument(_path("/orders", broker_order_id))
        return shapes.read_one(found, broker_order_id=broker_order_id, instrument_of=self._instrument_of)

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        """The book, and if it does not show the tag Dhan's own lookup as well: either has been seen lagging behind the other, and
        the lookup alone may show one of two orders of a tag."""
        found = (await self.orders()).by_tag(tag)
        return found or await self._look_up(tag)

    async def _look_up(self, tag: str) -> tuple[BrokerOrder, ...]:
        result = await self._transport.read(_path("/orders/external", tag))
        if not_there(result):
            return ()
        return shapes.read_tagged(read_data(result), tag=tag, instrument_of=self._instrument_of)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        return shapes.read_trades(await self._read_by_instrument("/trades"), instrument_of=self._instrument_of)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        return shapes.read_positions(await self._read_by_instrument("/positions"), instrument_of=self._instrument_of)

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        data = await self._read_by_instrument("/holdings", understand=read_list)
        return shapes.read_holdings(data, instrument_of=self._instrument_of)

    async def margins(self) -> Margins:
        return shapes.read_margins(await self._read("/fundlimit"))

    async def profile(self) -> Profile:
        return shapes.read_profile(await self._read("/profile"))

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """One request per thousand instruments; the broker allows one such request a second."""
        prices: dict[InstrumentId, Decimal] = {}
        for some in self._batches(instruments, LIMITS.quote_keys):
            prices.update(shapes.read_last_prices(await self._ask("/marketfeed/ltp", some), instrument_of=self._instrument_of))
        return prices

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """In full quotes only: one request per thousand instruments, of which the broker allows one a second."""
        limits: dict[InstrumentId, PriceLimits] = {}
        for some in self._batches(instruments, LIMITS.full_quote_keys):
            limits.update(shapes.read_price_limits(await self._ask("/marketfeed/quote", some), instrument_of=self._instrument_of))
        return limits

    def _batches(self, instruments: Sequence[InstrumentId], size: int) -> Sequence[Sequence[str]]:
        """Our keys of what the broker's list knows."""
        tokens = [token for instrument in instruments if (token := self._tokens.token_of(instrument)) is not None]
        return [tokens[start : start + size] for start in range(0, len(tokens), size)]

    def _instrument_of(self, token: str) -> InstrumentId | None:
        return self._tokens.instrument_of(token)

    async def _read_by_instrument(self, path: str, *, understand: Callable[[WireResult], object] = read_data) -> object:
        """Rows name their instruments by number. Without the list an order of ours could pass for another's, and a book in which
        it cannot be recognized must not be read as one that lacks it."""
        if len(self._tokens) == 0:
            raise BrokerUnavailable(LIST_NOT_LOADED)
        return await self._read(path, understand=understand)

    async def _read(self, path: str, *, understand: Callable[[WireResult], object] = read_data) -> object:
        self._check_logged_in()
        return understand(await self._transport.read(path))

    async def _ask(self, path: str, tokens: Sequence[str]) -> object:
        self._check_logged_in()
        return read_data(await self._transport.ask(path, json=encode_json(shapes.quote_body(tokens))))

    @asynccontextmanager
    async def ticks(self) -> AsyncIterator[TickStream]:
        await self._check_session()
        async with self._lines() as lines:
            yield DhanTickStream(lines, self._tokens, self._clock)

    def _lines(self) -> Lines[Key]:
        async def one_more() -> AttentiveConnection:
            return await open_feed(self._urls.ws_url, credentials=self._credentials, open_seconds=self._timeout_seconds)

        return Lines(one_more, keys_per_line=self._instruments_per_feed, most_lines=LIMITS.feeds_per_key)

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        await self._check_session()
        connection = await connected(self._urls.orders_ws_url, open_seconds=self._timeout_seconds)
        try:
            await introduce(connection, credentials=self._credentials, answer_seconds=self._timeout_seconds)
            yield order_updates(
                connection, silence_seconds=self._silence_seconds, leisure=leisure, instrument_of=self._instrument_of
            )
        finally:
            await connection.close()

    async def _check_session(self) -> None:
        """The sockets take a dead token and fall silent, or close without saying why: only a call tells. One that does not
        succeed proves nothing, and the socket may be well."""
        try:
            await self.profile()
        except (BrokerUnavailable, BrokerRefused, UnreadableAnswer):
            return


class LiveDhanBroker(Live, DhanBroker):
    """Real money."""


class SimulatedDhanBroker(Simulated, DhanBroker):
    """Any server that speaks the protocol and is not Dhan's own."""


def _not_listed(instrument: InstrumentId, *, list_is_loaded: bool) -> Refused:
    """Orders name instruments by a number that only the list tells."""
    if not list_is_loaded:
        return Refused(RefusalKind.NOT_SENT, LIST_NOT_LOADED)
    return Refused(RefusalKind.INPUT, f"{instrument} is not in Dhan's instrument list")


def _path(root: str, name: str) -> str:
    return f"{root}/{quote(name, safe='')}"
