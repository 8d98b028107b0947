"""A broker that lives in memory, and a clock and a calendar that are held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from brokers.answers import StatedTime
from brokers.zerodha.limits import LIMITS
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer, Margins, Profile
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.orders import BookSnapshot, BrokerOrder, BrokerOrderStatus, BrokerPosition, Side
from trading.ports.broker import BrokerRefused, BrokerUnavailable, ListedInstrument, SessionExpired
from trading.sessions import ExchangeDay

TCS = InstrumentId("NSE", "TCS")


class HeldClock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


class WeekdayCalendar:
    """Monday to Friday, 09:15 to 15:30."""

    def day(self, day: date) -> ExchangeDay | None:
        return ExchangeDay(day, time(9, 15), time(15, 30)) if day.weekday() < 5 else None

    def typical_day(self) -> ExchangeDay:
        return ExchangeDay(date(2026, 1, 5), time(9, 15), time(15, 30))


@dataclass
class FakeBrokerWorld:
    """The broker's side: apps with their secrets, tokens that are alive, prices. `is_down` refuses every connection."""

    secrets: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    request_tokens: dict[str, str] = field(default_factory=dict)
    prices: dict[InstrumentId, Decimal] = field(default_factory=dict)
    book: list[BrokerOrder] = field(default_factory=list)
    held: list[BrokerPosition] = field(default_factory=list)
    is_down: bool = False
    quotes_refused: int = 0
    # PIN and one-time code by the user's own number, and what every login was made with.
    pins: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: list[tuple[Credentials, LoginAnswer]] = field(default_factory=list)
    refresh_token: str | None = None
    feed_token: str | None = None
    environment: Environment = Environment.SIMULATED
    clock: HeldClock = field(default_factory=lambda: HeldClock(NOW))

    def register(self, api_key: str, *, secret: str = "secret", user_id: str | None = None) -> str:
        """A new app of a broker's user, and an access token for it."""
        self.secrets[api_key] = secret
        self.users[api_key] = user_id or f"U-{api_key}"
        return self.log_in(api_key)

    def log_in(self, api_key: str) -> str:
        """A new session; the one before is dead."""
        for token in [token for token, owner in self.tokens.items() if owner == api_key]:
            del self.tokens[token]
        token = f"token-{api_key}-{uuid4().hex}"
        self.tokens[token] = api_key
        return token

    def request_token(self, api_key: str) -> str:
        token = f"request-{api_key}-{len(self.request_tokens)}"
        self.request_tokens[token] = api_key
        return token


class FakeBroker:
    def __init__(self, world: FakeBrokerWorld, credentials: Credentials) -> None:
        self.name = BrokerName.ZERODHA
        self.environment = world.environment
        self._world = world
        self._credentials = credentials

    def _check(self) -> None:
        if self._world.is_down:
            raise BrokerUnavailable("connection refused")
        if self._world.tokens.get(self._credentials.access_token or "") != self._credentials.api_key:
            raise SessionExpired("Incorrect `api_key` or `access_token`.")

    async def validate_credentials(self) -> Profile:
        self._check()
        return Profile(self._world.users[self._credentials.api_key], "Somebody")

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        self._check()
        if self._world.quotes_refused > 0:
            self._world.quotes_refused -= 1
            raise BrokerUnavailable("Too many requests")
        return {instrument: self._world.prices[instrument] for instrument in instruments if instrument in self._world.prices}

    async def orders(self) -> BookSnapshot:
        self._check()
        return BookSnapshot(tuple(self._world.book), 0.0)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        self._check()
        return tuple(self._world.held)

    async def margins(self) -> Margins:
        self._check()
        return Margins(Decimal("99725.055"), Decimal("145706.55"))


class FakeLogin:
    name = BrokerName.ZERODHA
    page_is_counted = False
    renews = False

    def __init__(self, world: FakeBrokerWorld) -> None:
        self._world = world

    @property
    def environment(self) -> Environment:
        return self._world.environment

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str:
        return f"https://broker.example/login?api_key={credentials.api_key}&state={state}"

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        if self._world.is_down:
            raise BrokerUnavailable("connection refused")
        self._world.answers.append((credentials, answer))
        if answer.pin is not None:
            if self._world.pins.get(credentials.broker_user_id) != (answer.pin, answer.one_time_code):
                raise BrokerRefused("Invalid TOTP")
            return self._session(self._world.log_in(credentials.api_key), credentials.api_key)
        if answer.code is None:
            if self._world.tokens.get(answer.access_token or "") != credentials.api_key:
                raise BrokerRefused("Incorrect `api_key` or `access_token`.")
            return self._session(answer.access_token or "", credentials.api_key)
        if self._world.secrets.get(credentials.api_key) != credentials.api_secret:
            raise BrokerRefused("Invalid `checksum`.")
        if self._world.request_tokens.pop(answer.code, None) != credentials.api_key:
            raise BrokerRefused("Token is invalid or has expired.")
        return self._session(self._world.log_in(credentials.api_key), credentials.api_key)

    async def renew(self, credentials: Credentials) -> BrokerSession:
        raise BrokerRefused("not renewed")

    def _session(self, access_token: str, api_key: str) -> BrokerSession:
        ends = self._world.clock.now() + timedelta(hours=20)
        return BrokerSession(access_token, self._world.users[api_key], ends, self._world.refresh_token, self._world.feed_token)


class FakeMaster:
    name = BrokerName.ZERODHA

    def __init__(self) -> None:
        self.listed: tuple[ListedInstrument, ...] = standard_list()
        self.is_down = False

    async def instruments(self) -> tuple[ListedInstrument, ...]:
        if self.is_down:
            raise BrokerUnavailable("connection refused")
        return self.listed


class FakeAdapters:
    """Implements `runtime.accounts.Adapters`."""

    def __init__(self) -> None:
        self.world = FakeBrokerWorld()
        self.instrument_master = FakeMaster()
        self.supported = (BrokerName.ZERODHA,)

    def names(self) -> tuple[BrokerName, ...]:
        return self.supported

    def limits(self, broker: BrokerName) -> Any:
        return LIMITS

    def login(self, broker: BrokerName) -> FakeLogin:
        return FakeLogin(self.world)

    def master(self, broker: BrokerName) -> FakeMaster:
        return self.instrument_master

    def open(self, broker: BrokerName, *, account_id: str, credentials: Credentials) -> Any:
        return FakeBroker(self.world, credentials)

    def stated_times(self) -> list[StatedTime]:
        return []

    async def close(self) -> None:
        return None


# A Friday, 09:20 in India: five minutes after the open.
NOW = datetime.fromisoformat("2026-11-20T03:50:00+00:00")


def standard_list() -> tuple[ListedInstrument, ...]:
    def share(symbol: str, token: str, **more: Any) -> ListedInstrument:
        defaults: dict[str, Any] = {"tick_size": Decimal("0.05"), "freeze_quantity": 100_000}
        instrument = Instrument(InstrumentId("NSE", symbol), f"{symbol} LIMITED", Segment.CASH, **{**defaults, **more})
        return ListedInstrument(instrument, token)

    future = Instrument(
        InstrumentId("NFO", "TCS26NOVFUT"), "TCS", Segment.DERIVATIVES, Decimal("0.05"), lot_size=175, freeze_quantity=17_500
    )
    index = Instrument(InstrumentId("NSE", "NIFTY 50"), "NIFTY 50", Segment.INDEX, Decimal("0.05"))
    return (
        share("TCS", "101", has_derivatives=True, freeze_quantity=1_000, tick_size=Decimal("0.10")),
        share("INFY", "102", has_derivatives=True),
        share("TCSX", "103"),
        share("SMALL", "104"),
        ListedInstrument(future, "201"),
        ListedInstrument(index, "301"),
    )


def broker_order(tag: str | None, *, order_id: str = "1") -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=order_id,
        tag=tag,
        instrument=TCS,
        product=Product.MIS,
        side=Side.BUY,
        quantity=10,
        filled_quantity=10,
        price=Decimal("3512.50"),
        average_price=Decimal("3511.256"),
        status=BrokerOrderStatus.COMPLETE,
        message="",
        updated_at=NOW,
    )
