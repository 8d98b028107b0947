"""Login, tokens, logout (Kite Connect v3, "User")."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from simulator.registry import next_token_death
from simulator.testing import RunningSimulator, running_simulator
from tests.simulator.kite_client import KiteClient
from tests.simulator.market import NOON

HOUR_NS = 3_600_000_000_000


def checksum(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()


async def request_token(control: aiohttp.ClientSession, api_key: str) -> str:
    async with control.post(f"/control/accounts/{api_key}/request-token") as answer:
        return str((await answer.json())["request_token"])


async def exchange_token(kite: KiteClient, token: str, *, api_key: str = "sim-carol", secret: str = "sim-carol-secret"):
    form = {"api_key": api_key, "request_token": token, "checksum": checksum(api_key, token, secret)}
    return await kite.request("POST", "/session/token", headers={}, data=form)


async def test_a_request_token_and_the_right_checksum_open_a_session(kite: KiteClient, control: aiohttp.ClientSession) -> None:
    session = (await exchange_token(kite, await request_token(control, "sim-carol"))).data
    assert session["api_key"] == "sim-carol"
    assert session["refresh_token"] == ""
    header = {"Authorization": f"token sim-carol:{session['access_token']}"}
    profile = (await kite.request("GET", "/user/profile", headers=header)).data
    assert (profile["user_id"], profile["broker"]) == (session["user_id"], "ZERODHA")


async def test_a_request_token_works_once(kite: KiteClient, control: aiohttp.ClientSession) -> None:
    token = await request_token(control, "sim-carol")
    assert (await exchange_token(kite, token)).status == 200
    assert (await exchange_token(kite, token)).error == (403, "TokenException")


async def test_wrong_checksums_keys_and_tokens_are_refused(kite: KiteClient, control: aiohttp.ClientSession) -> None:
    token = await request_token(control, "sim-carol")
    assert (await exchange_token(kite, token, secret="wrong")).error == (403, "TokenException")
    assert (await exchange_token(kite, token, api_key="nobody")).error == (403, "TokenException")
    assert (await exchange_token(kite, "made-up")).error == (403, "TokenException")
    missing = await kite.request("POST", "/session/token", headers={}, data={"api_key": "sim-carol"})
    assert missing.error == (400, "InputException")


async def test_a_request_token_dies_after_five_minutes(kite: KiteClient, sim: RunningSimulator) -> None:
    account = sim.simulator.registry.find("sim-carol")
    assert account is not None
    token = sim.simulator.registry.mint_request_token(account)
    start = sim.exchange.clock()
    sim.exchange.clock = lambda: start + HOUR_NS // 12
    assert (await exchange_token(kite, token)).error == (403, "TokenException")


async def test_a_new_login_kills_the_token_before(
    kite: KiteClient, control: aiohttp.ClientSession, sim: RunningSimulator
) -> None:
    assert (await kite.get("/orders")).status == 200
    async with control.post(f"/control/accounts/{kite.account.api_key}/access-token") as answer:
        assert (await answer.json())["access_token"] != kite.account.access_token
    assert (await kite.get("/orders")).error == (403, "TokenException")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "token",
        "token sim-alice",
        "token sim-alice:",
        "token sim-alice:wrong",
        "Bearer {}",
        "token nobody:{}",
        "token :{}",
    ],
)
async def test_a_missing_or_wrong_authorization_is_a_token_exception(kite: KiteClient, header: str | None) -> None:
    token = kite.account.access_token
    headers = {} if header is None else {"Authorization": header.format(token)}
    for path in ("/orders", "/user/margins", "/portfolio/positions", "/quote/ltp"):
        assert (await kite.request("GET", path, headers=headers)).error == (403, "TokenException")


async def test_logout_ends_the_session(kite: KiteClient) -> None:
    params = {"api_key": kite.account.api_key, "access_token": kite.account.access_token}
    assert (await kite.request("DELETE", "/session/token", params=params)).data is True
    assert (await kite.get("/user/profile")).error == (403, "TokenException")
    assert (await kite.request("DELETE", "/session/token", params=params)).error == (403, "TokenException")


async def test_nobody_gets_refresh_tokens(kite: KiteClient) -> None:
    form = {"api_key": "sim-alice", "refresh_token": "x", "checksum": "y"}
    assert (await kite.request("POST", "/session/refresh_token", data=form)).error == (403, "TokenException")


def test_tokens_die_at_six_in_the_morning_indian_time() -> None:
    assert next_token_death(NOON) == NOON + 18 * HOUR_NS
    assert next_token_death(NOON + 18 * HOUR_NS) == NOON + 42 * HOUR_NS
    assert next_token_death(NOON + 18 * HOUR_NS - 1_000_000_000) == NOON + 18 * HOUR_NS


async def test_a_token_is_refused_after_six_in_the_morning(kite: KiteClient, sim: RunningSimulator) -> None:
    death = sim.exchange.accounts[kite.account.api_key].access_token_expires_ns
    sim.exchange.clock = lambda: death
    assert (await kite.get("/user/profile")).error == (403, "TokenException")


async def test_the_login_page_leads_back_to_the_registered_address(kite: KiteClient, control: aiohttp.ClientSession) -> None:
    redirect = "http://127.0.0.1:9/callback?mine=1"
    async with control.post("/control/accounts", json={"api_key": "app", "redirect_url": redirect}) as answer:
        assert answer.status == 201
    page = await kite.get("/connect/login", v="3", api_key="app", redirect_params="state=a%3Db&x=<y>")
    assert page.content_type == "text/html"
    assert "<form" in page.body
    assert "<y>" not in page.body, "what comes from the address bar is escaped"
    form = {"api_key": "app", "redirect_params": "state=a%3Db&x=<y>"}
    async with kite.session.post(kite.url + "/connect/login", data=form, allow_redirects=False) as answer:
        assert answer.status == 302
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
    token = query.pop("request_token")[0]
    assert query == {
        "mine": ["1"], "state": ["a=b"], "x": ["<y>"], "action": ["login"], "type": ["login"], "status": ["success"],
    }  # fmt: skip
    assert (await exchange_token(kite, token, api_key="app", secret="app-secret")).status == 200


async def test_auto_presses_the_button_and_without_an_address_the_token_is_shown(kite: KiteClient) -> None:
    page = await kite.get("/connect/login", v="3", api_key="sim-alice", auto="1")
    assert (page.status, "<pre>" in page.body) == (200, True)
    assert (await kite.get("/connect/login", v="3", api_key="unknown")).status == 400
    assert (await kite.get("/connect/login", api_key="sim-alice")).status == 400


async def test_made_up_keys_can_be_switched_off() -> None:
    async with running_simulator(open_accounts=False) as sim, aiohttp.ClientSession() as session:
        async with session.post(f"{sim.control_url}/control/accounts/sim-eve/access-token") as answer:
            assert answer.status == 404
        async with session.get(f"{sim.kite_url}/connect/login?v=3&api_key=sim-eve") as answer:
            assert answer.status == 400
