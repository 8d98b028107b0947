"""The port every broker adapter implements. Writes return one of three outcomes; reads either succeed or raise.

```
BrokerError
├── BrokerUnavailable   the read did not succeed: try again, conclude nothing
├── SessionExpired      a person has to log in; exits wait for it
├── BrokerRefused       a definite no to a read or a login (bad key, no permission)
└── UnreadableAnswer    the broker said something we do not understand: conclude nothing, raise an alarm
```
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer, Margins, Profile
from trading.instruments import Instrument, InstrumentId, PriceLimits
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
)

# Asked once per write, after a connection was acquired and right before the first byte would leave. No means: do not send.
MaySend: TypeAlias = Callable[[], bool]
# Awaited between an update's arrival and its being read: a process that sends a herd of orders reads later.
Leisure: TypeAlias = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """No reason to wait."""


class BrokerError(Exception):
    """A read or a login did not succeed. The message never contains a secret."""


class BrokerUnavailable(BrokerError):
    """No usable answer: refused connection, timeout, 5xx, 429. Proves nothing about the broker's book."""


class SessionExpired(BrokerError):
    """The access token is dead: expired, logged out, or replaced by a newer login."""


class BrokerRefused(BrokerError):
    """A definite no, in the broker's own words."""


class UnreadableAnswer(BrokerError):
    """An answer outside the protocol, such as an order status nobody knows."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One price as received. `event_time` is the venue's where it sends one; `received_at` is ours, both aware."""

    instrument: InstrumentId
    last_price: Decimal
    received_at: datetime
    event_time: datetime | None = None


class TickStream(Protocol):
    """A connected market feed. Iterating yields batches as they arrive; a lost connection raises BrokerUnavailable."""

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        """Ask for prices. Instruments the broker's list does not know raise BrokerRefused, after the others were asked for."""

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None: ...

    def __aiter__(self) -> AsyncIterator[Sequence[Tick]]: ...

    @property
    def last_heard_at(self) -> float:
        """Monotonic seconds of the last byte received, heartbeats included."""


class Broker(Protocol):
    """One account at one broker. Safe for use by many tasks at once."""

    @property
    def name(self) -> BrokerName: ...

    @property
    def environment(self) -> Environment: ...

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        """One HTTP attempt. Never raises for anything the network or the broker does; cancellation passes through, and a
        cancelled write is in doubt. `may_send` said no: Refused(NOT_SENT)."""

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        """As `place`. BUSY may also hide an order that has just ended: read it before trying again."""

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        """As `place`."""

    async def warm(self, connections: int) -> int:
        """Open up to that many connections ahead of a burst of writes; how many are open. A failure is no error: the next
        write will meet it and say so."""

    async def orders(self) -> BookSnapshot:
        """Today's orders, freshly read."""

    async def order(self, broker_order_id: str) -> BrokerOrder:
        """The newest state of one order."""

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        """Orders that carry the tag: by the broker's own search where it has one, else from a fresh book. Empty: not in what was
        read."""

    async def trades(self) -> tuple[BrokerTrade, ...]: ...

    async def positions(self) -> tuple[BrokerPosition, ...]: ...

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        """Shares of earlier days. What was bought today is a position."""

    async def margins(self) -> Margins: ...

    async def profile(self) -> Profile: ...

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """Last prices in rupees, all positive. An instrument the broker does not know, or that has no price yet, is absent."""

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """The day's circuit limits. An instrument the broker does not know is absent."""

    def ticks(self) -> AbstractAsyncContextManager[TickStream]:
        """Connect to the market feed."""

    def order_updates(self, *, leisure: Leisure = at_once) -> AbstractAsyncContextManager[AsyncIterator[BrokerOrder]]:
        """Connect to this account's order updates: hints that arrive twice, late or never. The book decides. Iterating raises
        BrokerUnavailable when the connection is lost or has been silent for too long, heartbeats included."""

    async def validate_credentials(self) -> Profile:
        """Raises BrokerRefused or SessionExpired when the broker does not accept them."""


class LiveBroker(Broker, Protocol):
    """An account that trades real money. A simulated run cannot be handed one: the types do not match."""

    @property
    def environment(self) -> Literal[Environment.LIVE]: ...


class SimulatedBroker(Broker, Protocol):
    """An account at a stand-in exchange."""

    @property
    def environment(self) -> Literal[Environment.SIMULATED]: ...


class BrokerLogin(Protocol):
    """What is needed before there is a session; one per broker, not per account."""

    @property
    def name(self) -> BrokerName: ...

    @property
    def environment(self) -> Environment: ...

    @property
    def page_is_counted(self) -> bool:
        """Whether `login_url` asks the broker for something it counts by the day: then only when a person asks for it."""

    @property
    def renews(self) -> bool:
        """Whether a living session can be followed by another without a person: `renew`."""

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str | None:
        """Where the user logs in; `state` comes back with the redirect where the broker carries one. None: there is no page for
        these credentials, the login is made with `log_in` alone."""

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        """One attempt: codes work once. Tokens brought along are proven by a call. Raises BrokerRefused for a wrong secret, a
        used code, a dead token, or an answer that is not enough for this broker; BrokerUnavailable; UnreadableAnswer."""

    async def renew(self, credentials: Credentials) -> BrokerSession:
        """A new session from one that is still alive, which may end with it. Raises as `log_in`."""


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """An instrument as a broker's master lists it, with the broker's own key for it (`token`, opaque outside `brokers/`)."""

    instrument: Instrument
    token: str


class InstrumentMaster(Protocol):
    """A broker's public instrument list."""

    @property
    def name(self) -> BrokerName: ...

    async def instruments(self) -> tuple[ListedInstrument, ...]: ...
