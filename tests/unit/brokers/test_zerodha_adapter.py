"""What the adapter adds to its parts: paths, the missing login, and the wall between live and simulated."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.transport import always
from brokers.urls import BrokerUrls
from brokers.zerodha.adapter import LiveZerodhaBroker, SimulatedZerodhaBroker, ZerodhaBroker
from brokers.zerodha.limits import LIMITS
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, raw_server, unused_port
from trading.accounts import Credentials, Environment
from trading.instruments import InstrumentId, Product
from trading.orders import ModifyRequest, OrderRequest, RefusalKind, Refused, Side
from trading.ports.broker import SessionExpired

ORDER = OrderRequest("t1", InstrumentId("NSE", "M&M"), Product.MIS, Side.BUY, 5, Decimal("100.05"))


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def broker(
    api_url: str, pool: ConnectionPool, *, token: str | None = "token", kind: type[ZerodhaBroker] = SimulatedZerodhaBroker
) -> ZerodhaBroker:
    return kind(
        account_id="brk_1",
        credentials=Credentials("key", "secret", token),
        urls=BrokerUrls(api_url, f"ws://127.0.0.1:{unused_port()}", ""),
        tokens=InstrumentTokens(),
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


async def no_orders(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.answer_json({"status": "success", "data": []})


async def no_prices(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.answer_json({"status": "success", "data": {}})


@pytest.mark.parametrize(
    "url", ["https://api.kite.trade", "https://API.KITE.TRADE.", "http://api.kite.trade", "https://kite.zerodha.com/x"]
)
def test_a_simulated_account_cannot_be_built_for_the_brokers_own_servers(pool: ConnectionPool, url: str) -> None:
    with pytest.raises(ValueError, match="own server"):
        broker(url, pool)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8090", "http://api.kite.trade", "https://api.kite.trade.example.com", "https://notkite.trade"]
)
def test_a_live_account_cannot_be_built_for_anything_else(pool: ConnectionPool, url: str) -> None:
    with pytest.raises(ValueError, match="own server, over https"):
        broker(url, pool, kind=LiveZerodhaBroker)


def test_the_environment_is_the_type(pool: ConnectionPool) -> None:
    assert broker("https://api.kite.trade", pool, kind=LiveZerodhaBroker).environment is Environment.LIVE
    assert broker("http://127.0.0.1:1", pool).environment is Environment.SIMULATED


def test_an_adapter_shows_its_account_and_no_secret(pool: ConnectionPool) -> None:
    assert repr(broker("http://127.0.0.1:1", pool)) == "SimulatedZerodhaBroker(account_id='brk_1')"


async def test_without_a_login_nothing_is_sent(pool: ConnectionPool) -> None:
    async with raw_server(no_orders) as server:
        account = broker(server.url, pool, token=None)
        for outcome in (
            await account.place(ORDER, may_send=always),
            await account.modify(ModifyRequest("1", 5, Decimal(1)), may_send=always),
            await account.cancel("1", may_send=always),
        ):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.SESSION
        with pytest.raises(SessionExpired):
            await account.orders()
        for opening in (account.ticks(), account.order_updates()):
            with pytest.raises(SessionExpired):
                async with opening:
                    pass
    assert server.connections == 0


async def test_an_order_id_cannot_reach_another_path(pool: ConnectionPool) -> None:
    async with raw_server(no_orders) as server:
        await broker(server.url, pool).cancel("1/../../session/token?x", may_send=always)
    assert server.requests[0].split()[1] == b"/orders/regular/1%2F..%2F..%2Fsession%2Ftoken%3Fx"


async def test_a_book_knows_the_moment_before_it_was_asked_for(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        clock.seconds += 5
        await connection.answer_json({"status": "success", "data": []})

    async with raw_server(script) as server:
        account = broker(server.url, pool)
        assert isinstance(account._clock, HeldClock)
        clock = account._clock
        assert (await account.orders()).requested_at == 100.0


async def test_symbols_with_special_characters_are_asked_for_exactly(pool: ConnectionPool) -> None:
    async with raw_server(no_prices) as server:
        await broker(server.url, pool).ltp(
            [InstrumentId("NSE", "M&M"), InstrumentId("NSE", "NIFTY 50"), InstrumentId("NSE", "A+B")]
        )
    assert server.requests[0].split()[1] == b"/quote/ltp?i=NSE:M%26M&i=NSE:NIFTY+50&i=NSE:A%2BB"


async def test_more_symbols_than_one_quote_takes_are_asked_for_in_turns(pool: ConnectionPool) -> None:
    many = [InstrumentId("NSE", f"S{n}") for n in range(LIMITS.quote_keys + 1)]
    async with raw_server(no_prices) as server:
        assert await broker(server.url, pool).ltp(many) == {}
        assert await broker(server.url, pool).ltp([]) == {}
    assert [request.count(b"i=NSE:") for request in server.requests] == [LIMITS.quote_keys, 1]


def test_our_limits_stay_below_the_documented_ones() -> None:
    for ours, theirs in zip(LIMITS.order_writes, LIMITS.documented_order_writes, strict=True):
        assert ours.seconds == theirs.seconds
        assert ours.count <= theirs.count
    assert LIMITS.modifications_per_order < LIMITS.documented_modifications_per_order
