"""The same routes with the real adapter against the stand-in exchange: no fake between the API and the wire."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from asgi_lifespan import LifespanManager

from api.main import create_app
from api.services import Services
from simulator.testing import RunningSimulator, running_simulator
from tests.api.conftest import LIMIT_SECONDS, PASSWORD, PLAN, Client, DeclaredErrors, make_settings, until
from trading.sessions import trading_date


@dataclass
class Real:
    simulator: RunningSimulator
    services: Services
    http: httpx.AsyncClient
    user: Client

    async def connect(self, name: str = "alice") -> str:
        account = self.simulator.account(name)
        body = {"broker": "zerodha", "api_key": account.api_key, "api_secret": account.api_secret}
        answer = await self.user.post("/broker/connect", {**body, "access_token": account.access_token}, expect=201)
        return str(answer["broker_id"])


@pytest.fixture
async def real(database_url: str, redis_url: str, temporal_address: str, task_queue: str) -> AsyncIterator[Real]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running_simulator())
        settings = make_settings(
            database_url,
            redis_url,
            temporal_address=temporal_address,
            task_queue=task_queue,
            zerodha_api_url=simulator.kite_url,
            zerodha_ws_url=simulator.kite_ws_url,
            zerodha_login_url=f"{simulator.kite_url}/connect/login",
        )
        app = create_app(settings)
        manager = LifespanManager(app, startup_timeout=LIMIT_SECONDS, shutdown_timeout=LIMIT_SECONDS)
        await stack.enter_async_context(manager)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api.test"))
        http.event_hooks = {"response": [DeclaredErrors()]}
        services: Services = app.state.services
        await until(lambda: services.instruments.count > 0, "the simulator's instrument list is loaded")
        user = Client(http)
        user.tokens = await user.post("/auth/register", {"email": "asha@example.com", "password": PASSWORD}, expect=201)
        yield Real(simulator, services, http, user)


async def test_connect_create_start_and_stop_on_a_night_without_market_hours(real: Real) -> None:
    await real.connect()
    plan: dict[str, Any] = {**PLAN, "buy_time": "00:00:00", "sell_time": "23:59:59", "stop_loss": "3400"}
    strategy_id = (await real.user.post("/strategy/create", plan, expect=201))["strategy_id"]
    real.simulator.set_price("TCS", "3500")
    started = await real.user.post(f"/strategy/start/{strategy_id}", {"start": "now"})
    assert (started["status"], started["environment"]) == ("running", "simulated")
    assert (await real.user.post(f"/strategy/stop/{strategy_id}"))["status"] == "stopped"


async def test_a_start_below_the_stop_is_refused_by_the_brokers_own_price(real: Real) -> None:
    await real.connect()
    plan: dict[str, Any] = {**PLAN, "buy_time": "00:00:00", "sell_time": "23:59:59"}
    strategy_id = (await real.user.post("/strategy/create", plan, expect=201))["strategy_id"]
    real.simulator.set_price("TCS", "3499.90")
    await real.user.refused("POST", f"/strategy/start/{strategy_id}", 409, "PRICE_AT_OR_BELOW_STOP", json={"start": "now"})


async def test_a_token_the_exchange_does_not_know_is_refused(real: Real) -> None:
    account = real.simulator.account("alice")
    body = {"api_key": account.api_key, "api_secret": account.api_secret, "access_token": "dead"}
    await real.user.refused("POST", "/broker/connect", 400, "BROKER_AUTH_FAILED", json=body)
    assert (await real.user.get("/broker/list"))["items"] == []


async def test_the_whole_login_from_the_page_to_the_books(real: Real) -> None:
    account = real.simulator.account("alice")
    body = {"api_key": account.api_key, "api_secret": account.api_secret}
    waiting = await real.user.post("/broker/connect", body, expect=201)
    assert waiting["status"] == "login_required"
    state = parse_qs(urlsplit(waiting["login_url"]).query)["redirect_params"][0].removeprefix("state=")
    async with httpx.AsyncClient() as browser:
        path = f"/control/accounts/{account.api_key}/request-token"
        token = (await browser.post(real.simulator.control_url + path)).json()["request_token"]
    query = {"request_token": token, "state": state, "status": "success"}
    assert (await real.user.call("GET", "/broker/zerodha/callback", params=query)).status_code == 200
    broker_id = waiting["broker_id"]
    assert (await real.user.get(f"/broker/{broker_id}"))["broker_user_id"] == account.user_id
    assert (await real.user.get(f"/broker/{broker_id}/margins"))["available"] > 0
    assert (await real.user.get(f"/broker/{broker_id}/positions"))["items"] == []


async def test_orders_made_by_hand_are_shown_as_not_ours(real: Real) -> None:
    broker_id = await real.connect()
    real.simulator.set_price("TCS", "3500")
    real.simulator.place_by_hand("alice", symbol="TCS", side="BUY", quantity=5)
    orders = (await real.user.get(f"/broker/{broker_id}/orders"))["items"]
    assert [(order["symbol"], order["quantity"], order["ours"]) for order in orders] == [("TCS", 5, False)]
    assert (await real.user.get(f"/broker/{broker_id}/positions"))["items"][0]["net_quantity"] == 5


@pytest.mark.parametrize("fault", ["status_500", "status_502_html", "status_503", "status_429", "half_json", "drop_before"])
async def test_a_broker_that_answers_nonsense_is_503_and_never_an_empty_list(real: Real, fault: str) -> None:
    broker_id = await real.connect()
    real.simulator.add_fault(fault, endpoint="positions")
    await real.user.refused("GET", f"/broker/{broker_id}/positions", 503, "BROKER_UNAVAILABLE")
    assert (await real.user.get(f"/broker/{broker_id}/positions"))["items"] == []


async def test_an_expired_token_is_told_as_not_connected(real: Real) -> None:
    broker_id = await real.connect()
    real.simulator.add_fault("token_expired", endpoint="margins")
    await real.user.refused("GET", f"/broker/{broker_id}/margins", 409, "BROKER_NOT_CONNECTED")
    assert (await real.user.get(f"/broker/{broker_id}"))["status"] == "login_required"


async def test_the_exchanges_symbols_are_found(real: Real) -> None:
    found = (await real.user.get("/instruments?query=TCS"))["items"]
    assert (found[0]["exchange"], found[0]["symbol"]) == ("NSE", "TCS")


async def test_the_brokers_own_history_becomes_a_file_of_prices_for_the_playground(real: Real) -> None:
    broker_id = await real.connect()
    last = trading_date(datetime.now(UTC)) - timedelta(days=1)
    wanted = {
        "broker_id": broker_id,
        "symbol": "TCS",
        "from_day": f"{last - timedelta(days=3)}",
        "to_day": f"{last}",
        "name": "days",
    }
    data = await real.user.post("/playground/data/from-broker", wanted, expect=201)
    assert (data["symbol"], data["bar_seconds"], data["days"]) == ("TCS", 60, 4)
    assert (data["first_day"], data["last_day"]) == (wanted["from_day"], wanted["to_day"])
    assert data["rows"] == 4 * 24 * 60, "an exchange that never closes"
    plan = {"symbol": "TCS", "quantity": 10, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss_percent": 1}
    await real.user.post("/playground/backtest", {"plans": [plan], "data_id": data["data_id"]}, expect=202)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"to_day": "2020-01-01"}, 400, "INVALID_VALUE"),
        ({"from_day": "2020-01-01"}, 400, "INVALID_VALUE"),
        ({"from_day": "2100-01-01", "to_day": "2100-01-02"}, 400, "NO_SUCH_DAY"),
        ({"symbol": "NOWHERE"}, 400, "BROKER_AUTH_FAILED"),
        ({"broker_id": "brk_" + "0" * 26}, 404, "BROKER_NOT_FOUND"),
    ],
)
async def test_history_that_cannot_be_had_is_refused_in_words(real: Real, change: dict[str, str], status: int, code: str) -> None:
    broker_id = await real.connect()
    day = trading_date(datetime.now(UTC)) - timedelta(days=1)
    wanted = {"broker_id": broker_id, "symbol": "TCS", "from_day": f"{day}", "to_day": f"{day}", **change}
    await real.user.refused("POST", "/playground/data/from-broker", status, code, json=wanted)
    assert (await real.user.get("/playground/data"))["items"] == []
