from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.connections import ConnectionPool
from brokers.registry import BROKERS, BrokerRegistry, UnsupportedBroker
from brokers.turns import LocalTurns
from brokers.urls import BrokerUrls
from brokers.zerodha.adapter import LiveZerodhaBroker, SimulatedZerodhaBroker
from brokers.zerodha.instruments import ZerodhaInstruments
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.login import ZerodhaLogin
from tests.unit.brokers.clock import HeldClock
from trading.accounts import BrokerName, Credentials, Environment
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import ListedInstrument

HERE = BrokerUrls(api_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1", login_url="http://127.0.0.1:1/connect/login")
THERE = BrokerUrls(
    api_url="https://api.kite.trade", ws_url="wss://ws.kite.trade", login_url="https://kite.zerodha.com/connect/login"
)
CREDENTIALS = Credentials("key", "secret", "token")
ZERODHA = BrokerName.ZERODHA


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def registry(pool: ConnectionPool, urls: dict[BrokerName, BrokerUrls]) -> BrokerRegistry:
    return BrokerRegistry(urls=urls, clock=HeldClock(), connections=pool, timeout_seconds=5, turns=LocalTurns(HeldClock()))


def test_the_environment_chooses_the_type(pool: ConnectionPool) -> None:
    simulated = registry(pool, {ZERODHA: HERE}).broker(
        ZERODHA, account_id="a", credentials=CREDENTIALS, environment=Environment.SIMULATED
    )
    live = registry(pool, {ZERODHA: THERE}).broker(ZERODHA, account_id="a", credentials=CREDENTIALS, environment=Environment.LIVE)
    assert type(simulated) is SimulatedZerodhaBroker
    assert type(live) is LiveZerodhaBroker


@pytest.mark.parametrize(("urls", "environment"), [(THERE, Environment.SIMULATED), (HERE, Environment.LIVE)])
def test_an_environment_that_contradicts_the_url_is_refused(
    pool: ConnectionPool, urls: BrokerUrls, environment: Environment
) -> None:
    with pytest.raises(ValueError, match="account"):
        registry(pool, {ZERODHA: urls}).broker(ZERODHA, account_id="a", credentials=CREDENTIALS, environment=environment)


@pytest.mark.parametrize("name", BrokerName)
def test_a_broker_without_urls_is_unsupported(pool: ConnectionPool, name: BrokerName) -> None:
    empty = registry(pool, {})
    unsupported = UnsupportedBroker(name)
    assert empty.broker(name, account_id="a", credentials=CREDENTIALS, environment=Environment.SIMULATED) == unsupported
    assert empty.login(name, environment=Environment.SIMULATED) == unsupported
    assert empty.master(name) == unsupported


@pytest.mark.parametrize("name", [name for name in BrokerName if name not in BROKERS])
def test_a_broker_without_an_adapter_is_unsupported_and_says_so(pool: ConnectionPool, name: BrokerName) -> None:
    full = registry(pool, dict.fromkeys(BrokerName, HERE))
    unsupported = UnsupportedBroker(name)
    assert full.broker(name, account_id="a", credentials=CREDENTIALS, environment=Environment.SIMULATED) == unsupported
    assert full.login(name, environment=Environment.SIMULATED) == unsupported
    assert full.master(name) == unsupported
    assert full.limits(name) == unsupported
    assert name.value in unsupported.message


def test_zerodha_has_a_login_a_list_and_limits(pool: ConnectionPool) -> None:
    full = registry(pool, {ZERODHA: HERE})
    login = full.login(ZERODHA, environment=Environment.SIMULATED)
    assert isinstance(login, ZerodhaLogin)
    assert login.environment is Environment.SIMULATED
    assert isinstance(full.master(ZERODHA), ZerodhaInstruments)
    assert full.limits(ZERODHA) is LIMITS


def test_all_accounts_of_a_broker_share_its_instrument_tokens_and_see_the_next_list(pool: ConnectionPool) -> None:
    full = registry(pool, {ZERODHA: HERE})
    account = full.broker(ZERODHA, account_id="a", credentials=CREDENTIALS, environment=Environment.SIMULATED)
    infy, tcs = InstrumentId("NSE", "INFY"), InstrumentId("NSE", "TCS")
    for instrument in (infy, tcs):
        listed = ListedInstrument(Instrument(instrument, "X", Segment.CASH, Decimal("0.05")), "408065")
        full.tokens(ZERODHA).replace([listed])
    assert isinstance(account, SimulatedZerodhaBroker)
    tokens = account._tokens
    assert (tokens.token_of(infy), tokens.token_of(tcs), tokens.instrument_of("408065"), len(tokens)) == (None, "408065", tcs, 1)
