"""Broker accounts: what is stored, what is refused, and that a refusal leaves nothing behind."""

import hashlib
import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from api.errors import ApiError, ErrorCode
from api.pages import not_logged_in
from storage.models import BrokerAccount
from tests.api.conftest import Client, Platform
from tests.api.fakes import TCS, broker_order
from tests.api.rows import add_run
from trading.accounts import Environment
from trading.instruments import Product
from trading.orders import BrokerPosition


async def accounts_stored(platform: Platform) -> int:
    async with platform.services.database.transaction() as session:
        return (await session.scalar(select(func.count()).select_from(BrokerAccount))) or 0


async def stored(platform: Platform, broker_id: str) -> BrokerAccount:
    async with platform.services.database.transaction() as session:
        return await session.get_one(BrokerAccount, broker_id)


async def test_connecting_with_a_token_the_broker_accepts(platform: Platform) -> None:
    user = await platform.user()
    token = platform.broker.register("key")
    answer = await user.post("/broker/connect", {"api_key": "key", "api_secret": "secret", "access_token": token}, expect=201)
    assert (answer["status"], answer["broker_valid"], answer["environment"]) == ("connected", True, "simulated")
    listed = (await user.get("/broker/list"))["items"]
    assert [account["broker_id"] for account in listed] == [answer["broker_id"]]
    assert listed[0]["broker_user_id"] == "U-key"


async def test_the_other_names_of_the_fields_are_accepted(platform: Platform) -> None:
    user = await platform.user()
    token = platform.broker.register("key")
    body = {"broker_name": "Zerodha", "api_key": "key", "secret_key": "secret", "access_token": token}
    assert (await user.post("/broker/connect", body, expect=201))["status"] == "connected"


async def test_secrets_are_stored_sealed_and_never_answered(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, "visible-key", user_id="AB1234")
    row = await stored(platform, broker_id)
    token = next(iter(platform.broker.tokens))
    for sealed in (row.sealed_api_key, row.sealed_api_secret, row.sealed_access_token or ""):
        assert sealed.startswith("v1.")
        assert not any(secret in sealed for secret in ("visible-key", "secret", token))
    shown = json.dumps(await user.get(f"/broker/{broker_id}"))
    assert not any(secret in shown for secret in ("visible-key", '"secret"', token))


async def test_a_sealed_secret_moved_to_another_account_does_not_open(platform: Platform) -> None:
    user = await platform.user()
    first, second = await platform.connect(user, "one"), await platform.connect(user, "two")
    async with platform.services.database.transaction() as session:
        source = await session.get_one(BrokerAccount, first)
        target = await session.get_one(BrokerAccount, second)
        target.sealed_access_token, target.session_version = source.sealed_access_token, 99
    answer = await user.refused("GET", f"/broker/{second}/margins", 409, "BROKER_NOT_CONNECTED")
    assert "cannot be opened" in answer["message"]


async def test_credentials_the_broker_refuses_are_not_stored(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key")
    body = {"api_key": "key", "api_secret": "secret", "access_token": "dead"}
    answer = await user.refused("POST", "/broker/connect", 400, "BROKER_AUTH_FAILED", json=body)
    assert "access_token" in answer["message"]
    assert await accounts_stored(platform) == 0


async def test_a_wrong_secret_is_found_out_by_the_login_exchange_and_not_stored(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key")
    body = {"api_key": "key", "api_secret": "wrong", "request_token": platform.broker.request_token("key")}
    await user.refused("POST", "/broker/connect", 400, "BROKER_AUTH_FAILED", json=body)
    assert await accounts_stored(platform) == 0


async def test_a_broker_that_is_away_is_503_and_nothing_is_stored(platform: Platform) -> None:
    user = await platform.user()
    body = {"api_key": "key", "api_secret": "secret", "access_token": platform.broker.register("key")}
    platform.broker.is_down = True
    await user.refused("POST", "/broker/connect", 503, "BROKER_UNAVAILABLE", json=body)
    assert await accounts_stored(platform) == 0


@pytest.mark.parametrize("name", ["dhan", "nobody", ""])
async def test_a_broker_without_an_adapter_is_refused(platform: Platform, name: str) -> None:
    user = await platform.user()
    body = {"broker": name, "client_id": "1000000001", "api_key": "key", "api_secret": "secret"}
    await user.refused("POST", "/broker/connect", 400, "BROKER_NOT_SUPPORTED", json=body)


@pytest.mark.parametrize("missing", ["api_key", "api_secret"])
async def test_a_missing_credential_is_422(platform: Platform, missing: str) -> None:
    user = await platform.user()
    body = {"api_key": "key", "api_secret": "secret", "access_token": "token"}
    del body[missing]
    await user.refused("POST", "/broker/connect", 422, "INVALID_INPUT", json=body)


async def test_without_a_token_the_account_waits_for_its_login(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key")
    answer = await user.post("/broker/connect", {"api_key": "key", "api_secret": "secret"}, expect=201)
    assert (answer["status"], answer["broker_valid"]) == ("login_required", False)
    assert "api_key=key" in answer["login_url"]
    await user.refused("GET", f"/broker/{answer['broker_id']}/margins", 409, "BROKER_NOT_CONNECTED")


async def test_connecting_again_renews_the_account_instead_of_adding_one(platform: Platform) -> None:
    user = await platform.user()
    first = await platform.connect(user, "key")
    assert await platform.connect(user, "key") == first
    row = await stored(platform, first)
    assert row.session_version == 2
    await user.get(f"/broker/{first}/margins")


async def test_connecting_again_without_a_token_keeps_the_session_that_is_alive(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, "key")
    answer = await user.post("/broker/connect", {"api_key": "key", "api_secret": "secret"}, expect=201)
    assert (answer["broker_id"], answer["status"]) == (broker_id, "connected")
    await user.get(f"/broker/{broker_id}/margins")


async def waiting_account(platform: Platform, user: Client) -> tuple[str, str]:
    """Id and login state of an account that has not been logged in."""
    platform.broker.register("key")
    answer = await user.post("/broker/connect", {"api_key": "key", "api_secret": "secret"}, expect=201)
    broker_id = answer["broker_id"]
    url = (await user.get(f"/broker/{broker_id}/login-url"))["login_url"]
    return broker_id, parse_qs(urlsplit(url).query)["state"][0]


async def test_the_login_redirect_opens_the_session(platform: Platform) -> None:
    user = await platform.user()
    broker_id, state = await waiting_account(platform, user)
    query = {"request_token": platform.broker.request_token("key"), "state": state, "status": "success"}
    page = await platform.anonymous().call("GET", "/broker/zerodha/callback", params=query, expect=200)
    assert "Logged in" in page.text
    account = await user.get(f"/broker/{broker_id}")
    assert (account["status"], account["broker_user_id"]) == ("connected", "U-key")


@pytest.mark.parametrize("state", ["", "nonsense"])
async def test_a_redirect_that_was_not_started_here_is_refused(platform: Platform, state: str) -> None:
    user = await platform.user()
    broker_id, _ = await waiting_account(platform, user)
    query = {"request_token": platform.broker.request_token("key"), "state": state}
    await platform.anonymous().refused("GET", "/broker/zerodha/callback", 400, "LOGIN_STATE_INVALID", params=query)
    assert (await user.get(f"/broker/{broker_id}"))["status"] == "login_required"


# What a browser sends when it follows a link.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/broker/zerodha/callback?request_token=x&state=nonsense", "/readiness/login/nonsense"])
async def test_a_browser_is_told_what_to_do_on_a_page_and_a_program_in_json(platform: Platform, path: str) -> None:
    nobody = platform.anonymous()
    page = await nobody.call("GET", path, headers=BROWSER, expect=400)
    assert page.headers["content-type"].startswith("text/html")
    assert "begin the login there once more" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for accept in ("*/*", "application/json"):
        assert (await nobody.call("GET", path, headers={"Accept": accept}, expect=400)).json()["error"] == "LOGIN_STATE_INVALID"
    elsewhere = await nobody.call("GET", "/auth/me", headers=BROWSER, expect=401)
    assert elsewhere.json()["error"] == "UNAUTHENTICATED"


async def test_a_login_the_broker_refuses_is_told_in_its_own_words(platform: Platform) -> None:
    user = await platform.user()
    _, state = await waiting_account(platform, user)
    query = {"request_token": "of-nobody", "state": state}
    page = await platform.anonymous().call("GET", "/broker/zerodha/callback", params=query, headers=BROWSER, expect=400)
    assert "<p>Token is invalid or has expired.</p>" in page.text


def test_what_a_broker_says_is_text_on_a_page_and_nothing_more() -> None:
    said = ApiError(ErrorCode.BROKER_AUTH_FAILED, "<script>alert(1)</script>")
    page = bytes(not_logged_in(said, request_id="<b>").body).decode()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<b>" not in page


async def test_an_access_token_does_not_pass_as_login_state(platform: Platform) -> None:
    user = await platform.user()
    query = {"request_token": "x", "state": user.tokens["token"]}
    await platform.anonymous().refused("GET", "/broker/zerodha/callback", 400, "LOGIN_STATE_INVALID", params=query)


async def test_a_redirect_that_comes_too_late_is_refused(platform: Platform) -> None:
    user = await platform.user()
    _, state = await waiting_account(platform, user)
    platform.clock.advance(minutes=15)
    query = {"request_token": platform.broker.request_token("key"), "state": state}
    await platform.anonymous().refused("GET", "/broker/zerodha/callback", 400, "LOGIN_STATE_INVALID", params=query)


async def test_a_request_token_works_once(platform: Platform) -> None:
    user = await platform.user()
    broker_id, _ = await waiting_account(platform, user)
    body = {"request_token": platform.broker.request_token("key")}
    assert (await user.post(f"/broker/{broker_id}/session", body))["status"] == "connected"
    await user.refused("POST", f"/broker/{broker_id}/session", 400, "BROKER_AUTH_FAILED", json=body)


async def test_a_new_session_is_used_at_once(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, "key")
    await user.get(f"/broker/{broker_id}/margins")
    token = platform.broker.log_in("key")
    await user.refused("GET", f"/broker/{broker_id}/margins", 409, "BROKER_NOT_CONNECTED")
    assert (await user.get(f"/broker/{broker_id}"))["status"] == "login_required"
    await user.post(f"/broker/{broker_id}/session", {"access_token": token})
    await user.get(f"/broker/{broker_id}/margins")
    assert (await user.get(f"/broker/{broker_id}"))["status"] == "connected"


async def test_a_dead_token_does_not_replace_a_living_one(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, "key")
    await user.refused("POST", f"/broker/{broker_id}/session", 400, "BROKER_AUTH_FAILED", json={"access_token": "dead"})
    await user.get(f"/broker/{broker_id}/margins")


async def test_a_session_without_any_token_is_422(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await user.refused("POST", f"/broker/{broker_id}/session", 422, "INVALID_INPUT", json={})


async def test_a_login_as_somebody_else_is_refused(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, "key", user_id="AB1234")
    platform.broker.users["key"] = "ZZ9999"
    body = {"access_token": platform.broker.log_in("key")}
    answer = await user.refused("POST", f"/broker/{broker_id}/session", 400, "BROKER_AUTH_FAILED", json=body)
    assert "another user" in answer["message"]


async def test_a_login_as_a_user_who_is_connected_already_is_refused(platform: Platform) -> None:
    user = await platform.user()
    await platform.connect(user, "one", user_id="AB1234")
    platform.broker.register("two", user_id="AB1234")
    waiting = await user.post("/broker/connect", {"api_key": "two", "api_secret": "secret"}, expect=201)
    body = {"access_token": platform.broker.log_in("two")}
    await user.refused("POST", f"/broker/{waiting['broker_id']}/session", 409, "BROKER_ALREADY_CONNECTED", json=body)


async def test_an_expired_session_shows_as_login_required(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    platform.clock.advance(hours=20)
    refreshed = await platform.anonymous().post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]})
    user.tokens = refreshed
    assert (await user.get(f"/broker/{broker_id}"))["status"] == "login_required"


async def test_a_deleted_account_is_gone_and_its_secrets_are_wiped(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await user.call("DELETE", f"/broker/{broker_id}", expect=200)
    await user.refused("GET", f"/broker/{broker_id}", 404, "BROKER_NOT_FOUND")
    row = await stored(platform, broker_id)
    assert (row.sealed_api_key, row.sealed_api_secret, row.sealed_access_token) == ("", "", None)


async def test_an_account_that_trades_cannot_be_deleted(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await add_run(platform, user, broker_id)
    await user.refused("DELETE", f"/broker/{broker_id}", 409, "BROKER_IN_USE")
    assert (await stored(platform, broker_id)).sealed_access_token is not None


async def test_an_account_can_be_connected_again_after_it_was_deleted(platform: Platform) -> None:
    user = await platform.user()
    first = await platform.connect(user)
    await user.call("DELETE", f"/broker/{first}", expect=200)
    assert await platform.connect(user) != first


async def test_the_brokers_books_are_read_through(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id, order_tag="ours")
    platform.broker.book = [broker_order("ours"), broker_order(None, order_id="2")]
    platform.broker.held = [BrokerPosition(TCS, Product.MIS, 10, Decimal("3511.256"), Decimal(3490))]
    assert await user.get(f"/broker/{broker_id}/margins") == {"available": 99725.06, "used": 145706.55}
    orders = (await user.get(f"/broker/{broker_id}/orders"))["items"]
    assert [(order["ours"], order["average_price"]) for order in orders] == [(True, 3511.26), (False, 3511.26)]
    positions = (await user.get(f"/broker/{broker_id}/positions"))["items"]
    assert positions == [
        {
            "exchange": "NSE",
            "symbol": "TCS",
            "product": "MIS",
            "net_quantity": 10,
            "average_price": 3511.26,
            "last_price": 3490.0,
        }
    ]
    assert run.account_id == broker_id


@pytest.mark.parametrize("what", ["margins", "orders", "positions"])
async def test_a_read_of_a_broker_that_is_away_is_503_and_never_an_empty_list(platform: Platform, what: str) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    platform.broker.is_down = True
    await user.refused("GET", f"/broker/{broker_id}/{what}", 503, "BROKER_UNAVAILABLE")


async def test_unrelated_users_cannot_both_have_live_accounts(platform: Platform) -> None:
    platform.broker.environment = Environment.LIVE
    asha, ravi = await platform.user(), await platform.user()
    await platform.connect(asha, "hers")
    body = {"api_key": "his", "api_secret": "secret", "access_token": platform.broker.register("his")}
    await ravi.refused("POST", "/broker/connect", 403, "UNRELATED_LIVE_ACCOUNT", json=body)
    await platform.connect(asha, "her-second")
    assert await accounts_stored(platform) == 2


async def test_an_account_connected_to_the_simulator_is_not_opened_against_the_live_broker(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    platform.broker.environment = Environment.LIVE
    async with platform.services.database.transaction() as session:
        (await session.get_one(BrokerAccount, broker_id)).session_version += 1
    answer = await user.refused("GET", f"/broker/{broker_id}/margins", 400, "BROKER_AUTH_FAILED")
    assert "connected as simulated" in answer["message"]


def postback(user_id: str, *, secret: str) -> bytes:
    order = {
        "user_id": user_id,
        "order_id": "250807000000001",
        "order_timestamp": "2026-11-20 09:20:00",
        "exchange_timestamp": "2026-11-20 09:20:00",
        "exchange_update_timestamp": "2026-11-20 09:20:00",
        "exchange_order_id": "1300000038792287",
        "status": "COMPLETE",
        "status_message": None,
        "exchange": "NSE",
        "tradingsymbol": "TCS",
        "transaction_type": "BUY",
        "product": "MIS",
        "quantity": 10,
        "filled_quantity": 10,
        "unfilled_quantity": 0,
        "price": 3512.5,
        "average_price": 3511.0,
        "tag": "t1",
        "order_type": "LIMIT",
        "validity": "DAY",
        "variety": "regular",
    }
    signed = f"{order['order_id']}{order['order_timestamp']}{secret}"
    return json.dumps(order | {"checksum": hashlib.sha256(signed.encode()).hexdigest()}).encode()


async def test_a_signed_postback_wakes_the_accounts_desk(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user, user_id="AB1234")
    async with platform.services.redis.pubsub() as listening:
        await listening.subscribe(f"orders:{broker_id}")
        await listening.get_message(timeout=5)
        await platform.anonymous().call("POST", "/postback/zerodha", content=postback("AB1234", secret="secret"), expect=200)
        heard = await listening.get_message(ignore_subscribe_messages=True, timeout=5)
    assert heard is not None
    assert heard["channel"].decode() == f"orders:{broker_id}"


@pytest.mark.parametrize(("user_id", "secret"), [("AB1234", "wrong"), ("NOBODY", "secret")])
async def test_a_postback_that_is_not_signed_with_the_accounts_secret_is_refused(
    platform: Platform, user_id: str, secret: str
) -> None:
    await platform.connect(await platform.user(), user_id="AB1234")
    content = postback(user_id, secret=secret)
    await platform.anonymous().refused("POST", "/postback/zerodha", 403, "BAD_SIGNATURE", content=content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"user_id":5}', b"\xff\xfe", b'{"user_id":"\\u0000"}', b'"x"'])
async def test_a_postback_that_is_junk_is_refused(platform: Platform, content: bytes) -> None:
    await platform.anonymous().refused("POST", "/postback/zerodha", 400, "MALFORMED_JSON", content=content)
