"""One broker adapter against one dialect of the simulator, and what the cases need to steer and judge both."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from brokers.connections import ConnectionPool
from brokers.registry import BrokerRegistry, UnsupportedBroker
from brokers.turns import LocalTurns, Turns
from brokers.urls import BrokerUrls
from simulator.testing import RunningSimulator, SimulatedAccount, running_simulator
from tests.contract.ways import Ways, ways_of
from tests.unit.brokers.raw_server import unused_port
from trading.accounts import BrokerName, Credentials, Environment, LoginAnswer
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrder, OrderRequest, Placed, Side
from trading.ports.broker import BrokerLogin, InstrumentMaster, ListedInstrument, SimulatedBroker

TCS, INFY, NOWHERE = InstrumentId("NSE", "TCS"), InstrumentId("NSE", "INFY"), InstrumentId("NSE", "NOWHERE")
OWNER = "alice"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def yes() -> bool:
    return True


def no() -> bool:
    return False


@dataclass(slots=True)
class World:
    """`broker` is the account's adapter, logged in; the account owns `sim-alice` and nobody else trades unless a case says so."""

    name: BrokerName
    urls: BrokerUrls
    sim: RunningSimulator
    account: SimulatedAccount
    connections: ConnectionPool
    listed: tuple[ListedInstrument, ...]
    broker: SimulatedBroker
    _numbers: "count[int]"

    def registry(
        self, *, urls: BrokerUrls | None = None, timeout_seconds: float = 20.0, turns: Turns | None = None
    ) -> BrokerRegistry:
        """As one process has it; `turns`: those it shares with others."""
        made = BrokerRegistry(
            urls={self.name: urls or self.urls},
            clock=SystemClock(),
            connections=self.connections,
            timeout_seconds=timeout_seconds,
            turns=turns or LocalTurns(SystemClock()),
        )
        made.tokens(self.name).replace(self.listed)
        return made

    def another_broker(
        self,
        *,
        urls: BrokerUrls | None = None,
        timeout_seconds: float = 20.0,
        access_token: str | None = None,
        turns: Turns | None = None,
    ) -> SimulatedBroker:
        """The same account, seen through other settings or by another process."""
        credentials = credentials_of(self.account)
        if access_token:
            credentials = replace(credentials, access_token=access_token)
        return self._build(self.registry(urls=urls, timeout_seconds=timeout_seconds, turns=turns), credentials)

    def broker_of(self, owner: str) -> SimulatedBroker:
        """Another account, logged in."""
        other = self.sim.account(owner, rate_limits="off", dialect=self.name.value)
        return self._build(self.registry(), credentials_of(other))

    def _build(self, registry: BrokerRegistry, credentials: Credentials) -> SimulatedBroker:
        found = registry.broker(self.name, account_id="brk_contract", credentials=credentials, environment=Environment.SIMULATED)
        assert not isinstance(found, UnsupportedBroker)
        return found

    @property
    def ways(self) -> Ways:
        return ways_of(self.name)

    @property
    def nobody(self) -> BrokerUrls:
        """Where nobody listens."""
        port = unused_port()
        return BrokerUrls(
            **{
                kind: url if not url else f"{'ws' if 'ws' in kind else 'http'}://127.0.0.1:{port}"
                for kind, url in asdict(self.urls).items()
            }
        )

    def unreachable_broker(self) -> SimulatedBroker:
        return self.another_broker(urls=self.nobody)

    @property
    def credentials(self) -> Credentials:
        """Without a session."""
        return Credentials(self.account.api_key, self.account.api_secret, broker_user_id=self.account.user_id)

    @property
    def login(self) -> BrokerLogin:
        found = self.registry().login(self.name, environment=Environment.SIMULATED)
        assert not isinstance(found, UnsupportedBroker)
        return found

    @property
    def master(self) -> InstrumentMaster:
        found = self.registry().master(self.name)
        assert not isinstance(found, UnsupportedBroker)
        return found

    def answer(self) -> LoginAnswer:
        """What a person brings after logging in: the code of the redirect, or PIN and one-time code."""
        return LoginAnswer(**self.sim.login_answer(OWNER, dialect=self.name.value))

    def used_up(self, answer: LoginAnswer) -> LoginAnswer:
        """The same answer once it is worth nothing: it was used, or its time has passed."""
        gone = self.ways.one_time_code_gone
        return answer if gone is None else replace(answer, one_time_code=gone)

    def expire_token(self) -> None:
        self.sim.expire_token(OWNER)

    def fault(self, kind: str, **fields: object) -> None:
        self.sim.add_fault(kind, account=self.account.key, **fields)

    def order(
        self,
        *,
        side: Side = Side.BUY,
        quantity: int = 5,
        price: str = "3500",
        instrument: InstrumentId = TCS,
        product: Product = Product.MIS,
    ) -> OrderRequest:
        """A new request with a tag of its own. TCS stands at 3500, so the default fills at once."""
        return OrderRequest(f"t215b01contract{next(self._numbers):05d}", instrument, product, side, quantity, Decimal(price))

    def resting(self, *, quantity: int = 5) -> OrderRequest:
        """A buy far below the price: it waits in the book."""
        return self.order(price="3400", quantity=quantity)

    async def place(self, request: OrderRequest) -> str:
        """Place an order that must be taken; its id."""
        outcome = await self.broker.place(request, may_send=yes)
        assert isinstance(outcome, Placed)
        return outcome.broker_order_id

    async def only(self, tag: str) -> BrokerOrder:
        """The one order of that tag in a fresh book."""
        (found,) = await self.broker.find_by_tag(tag)
        return found

    def attempts(self, action: str, **fields: str) -> int:
        """How many requests of that kind reached the exchange, taken or refused, by its own log."""
        return len(self.sim.log.since(0, action=action, **fields))

    def accepted(self, action: str, **fields: str) -> int:
        return len(self.sim.log.since(0, action=action, outcome="accepted", **fields))


def credentials_of(account: SimulatedAccount) -> Credentials:
    """With the session it is logged in with."""
    return Credentials(
        account.api_key,
        account.api_secret,
        account.access_token,
        broker_user_id=account.user_id,
        refresh_token=account.refresh_token or None,
        feed_token=account.feed_token or None,
    )


@asynccontextmanager
async def new_world(name: BrokerName) -> AsyncIterator[World]:
    """A simulator with TCS at 3500 and INFY at 1500, an account without rate limits, an adapter that knows the instruments."""
    connections = ConnectionPool()
    async with running_simulator() as sim:
        sim.set_prices({"TCS": "3500", "INFY": "1500"})
        account = sim.account(OWNER, rate_limits="off", dialect=name.value)
        urls = BrokerUrls(**sim.urls(name.value))
        clock = SystemClock()
        registry = BrokerRegistry(
            urls={name: urls}, clock=clock, connections=connections, timeout_seconds=20, turns=LocalTurns(clock)
        )
        master = registry.master(name)
        assert not isinstance(master, UnsupportedBroker)
        listed = await master.instruments()
        registry.tokens(name).replace(listed)
        broker = registry.broker(
            name, account_id="brk_contract", credentials=credentials_of(account), environment=Environment.SIMULATED
        )
        assert not isinstance(broker, UnsupportedBroker)
        yield World(name, urls, sim, account, connections, listed, broker, count(1))
        await connections.close()
