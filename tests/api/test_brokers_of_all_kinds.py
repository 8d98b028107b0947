"""Connecting and logging in at brokers that ask for other things than Zerodha: what each takes, refuses, and never keeps."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from api.throttle import HINTS_PER_MINUTE
from storage.models import BrokerAccount
from tests.api.conftest import Client, Platform, make_settings, running
from tests.api.fakes import FakeAdapters
from trading.accounts import BrokerName, Credentials, LoginAnswer

DHAN = {"broker": "dhan", "client_id": "1000000001"}
ANGEL_ONE = {"broker": "angel_one", "api_key": "key", "client_code": "A123"}
FYERS = {"broker": "fyers", "app_id": "key", "secret_id": "secret"}
PIN = {"pin": "4711", "one_time_code": "246810"}


@pytest.fixture
async def platform(database_url: str, redis_url: str) -> AsyncIterator[Platform]:
    adapters = FakeAdapters()
    adapters.supported = tuple(name for name in BrokerName if name.has_servers)
    async with running(make_settings(database_url, redis_url), adapters) as platform:
        yield platform


async def stored(platform: Platform, broker_id: str) -> BrokerAccount:
    async with platform.services.database.transaction() as session:
        return await session.get_one(BrokerAccount, broker_id)


def newest(platform: Platform) -> tuple[Credentials, LoginAnswer]:
    return platform.broker.answers[-1]


async def test_dhan_takes_a_token_of_its_web_page(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.users[""] = "1000000001"
    platform.broker.tokens["web"] = ""
    answer = await user.post("/broker/connect", DHAN | {"access_token": "web"}, expect=201)
    assert (answer["status"], answer["broker"]) == ("connected", "dhan")
    assert newest(platform) == (Credentials("", "", broker_user_id="1000000001"), LoginAnswer(access_token="web"))


async def test_dhan_takes_pin_and_code_and_keeps_neither(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.users[""], platform.broker.pins["1000000001"] = "1000000001", ("4711", "246810")
    answer = await user.post("/broker/connect", DHAN | PIN, expect=201)
    assert answer["status"] == "connected"
    assert newest(platform)[1] == LoginAnswer(pin="4711", one_time_code="246810")
    async with platform.services.database.transaction() as session:
        tables = (await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))).all()
        for table in tables:
            rows = (await session.execute(text(f'SELECT CAST(t AS text) FROM "{table}" t'))).scalars().all()  # noqa: S608
            assert not [row for row in rows if "246810" in row], table


async def test_dhan_with_an_api_key_waits_for_its_consent_page(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key", user_id="1000000001")
    answer = await user.post("/broker/connect", DHAN | {"app_id": "key", "app_secret": "secret"}, expect=201)
    assert (answer["status"], answer["login_url"] is not None) == ("login_required", True)
    code = platform.broker.request_token("key")
    page = await platform.anonymous().call("GET", "/broker/dhan/callback", params={"tokenId": f"<{code}>"}, expect=200)
    assert f"&lt;{code}&gt;" in page.text
    session = await user.post(f"/broker/{answer['broker_id']}/session", {"token_id": code})
    assert (session["status"], session["broker_user_id"]) == ("connected", "1000000001")


async def test_angel_one_logs_in_with_pin_and_code_and_keeps_its_three_tokens_sealed(platform: Platform) -> None:
    user = await platform.user()
    world = platform.broker
    world.register("key", user_id="A123")
    world.pins["A123"], world.refresh_token, world.feed_token = ("4711", "246810"), "refresh-1", "feed-1"
    answer = await user.post("/broker/connect", ANGEL_ONE | PIN, expect=201)
    assert answer["status"] == "connected"
    row = await stored(platform, answer["broker_id"])
    for sealed in (row.sealed_access_token, row.sealed_refresh_token, row.sealed_feed_token):
        assert sealed is not None
        assert sealed.startswith("v1.")
    found = platform.services.accounts.credentials(row)
    assert (found.broker_user_id, found.refresh_token, found.feed_token) == ("A123", "refresh-1", "feed-1")
    await user.call("DELETE", f"/broker/{answer['broker_id']}", expect=200)
    row = await stored(platform, answer["broker_id"])
    assert (row.sealed_refresh_token, row.sealed_feed_token) == (None, None)


async def test_a_broker_that_knows_its_user_by_number_is_asked_for_with_it_each_morning(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key", user_id="A123")
    waiting = await user.post("/broker/connect", ANGEL_ONE, expect=201)
    assert waiting["status"] == "login_required"
    await user.refused("POST", f"/broker/{waiting['broker_id']}/session", 400, "BROKER_AUTH_FAILED", json=PIN)
    platform.broker.pins["A123"] = ("4711", "246810")
    again = await user.post("/broker/connect", ANGEL_ONE | PIN, expect=201)
    assert again["broker_id"] == waiting["broker_id"]
    assert (await user.post(f"/broker/{waiting['broker_id']}/session", PIN))["status"] == "connected"


async def test_two_accounts_of_one_app_are_told_apart_by_their_numbers(platform: Platform) -> None:
    user = await platform.user()
    first = await user.post("/broker/connect", ANGEL_ONE, expect=201)
    second = await user.post("/broker/connect", ANGEL_ONE | {"client_code": "B456"}, expect=201)
    assert first["broker_id"] != second["broker_id"]
    assert [account["broker_user_id"] for account in (await user.get("/broker/list"))["items"]] == ["A123", "B456"]


async def test_a_login_of_another_number_than_the_one_given_is_refused_and_nothing_stored(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.users[""], platform.broker.tokens["web"] = "2000000002", ""
    answer = await user.refused("POST", "/broker/connect", 400, "BROKER_AUTH_FAILED", json=DHAN | {"access_token": "web"})
    assert "another user" in answer["message"]
    assert (await user.get("/broker/list"))["items"] == []


async def test_fyers_logs_in_by_its_page(platform: Platform) -> None:
    user = await platform.user()
    platform.broker.register("key", user_id="XY0001")
    answer = await user.post("/broker/connect", FYERS, expect=201)
    assert answer["status"] == "login_required"
    state = answer["login_url"].partition("state=")[2]
    query = {"s": "ok", "code": "200", "auth_code": platform.broker.request_token("key"), "state": state}
    page = await platform.anonymous().call("GET", "/broker/fyers/callback", params=query, expect=200)
    assert "Logged in" in page.text
    assert (await user.get(f"/broker/{answer['broker_id']}"))["broker_user_id"] == "XY0001"


async def test_angel_ones_page_comes_back_with_tokens(platform: Platform) -> None:
    user = await platform.user()
    token = platform.broker.register("key", user_id="A123")
    answer = await user.post("/broker/connect", ANGEL_ONE, expect=201)
    state = answer["login_url"].partition("state=")[2]
    query = {"auth_token": token, "feed_token": "f", "refresh_token": "r", "state": state}
    await platform.anonymous().call("GET", "/broker/angel_one/callback", params=query, expect=200)
    assert newest(platform)[1] == LoginAnswer(access_token=token, refresh_token="r", feed_token="f")


async def test_a_redirect_without_our_state_is_taken_from_dhan_alone(platform: Platform) -> None:
    query = {"auth_code": "a", "tokenId": "t", "request_token": "r"}
    for broker in ("zerodha", "fyers", "angel_one"):
        await platform.anonymous().refused("GET", f"/broker/{broker}/callback", 400, "LOGIN_STATE_INVALID", params=query)
    assert platform.broker.answers == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"broker": "dhan"}, "client_id"),
        (DHAN | {"pin": "4711"}, "one_time_code"),
        (DHAN | {"one_time_code": "246810"}, "pin"),
        (DHAN | {"app_id": "key"}, "app_secret"),
        (DHAN | {"token_id": "t"}, "app_id"),
        ({"broker": "angel_one", "api_key": "key"}, "client_code"),
        ({"broker": "Angel_One", "client_code": "A123"}, "api_key"),
        (ANGEL_ONE | {"pin": "4711"}, "one_time_code"),
        ({"broker": "fyers", "app_id": "key"}, "secret_id"),
        ({"broker": "fyers", "secret_id": "secret"}, "app_id"),
    ],
)
async def test_what_a_broker_needs_and_did_not_get_is_named(platform: Platform, body: dict[str, Any], field: str) -> None:
    user = await platform.user()
    answer = await user.refused("POST", "/broker/connect", 422, "INVALID_INPUT", json=body)
    assert field in answer["message"]
    assert platform.broker.answers == []


@pytest.mark.parametrize("body", [{"pin": "4711"}, {"one_time_code": "246810"}, {}])
async def test_half_a_login_is_422(platform: Platform, body: dict[str, str]) -> None:
    user = await platform.user()
    waiting = await user.post("/broker/connect", ANGEL_ONE, expect=201)
    await user.refused("POST", f"/broker/{waiting['broker_id']}/session", 422, "INVALID_INPUT", json=body)


async def test_the_brokers_own_words_for_the_fields_are_taken_too(platform: Platform) -> None:
    user: Client = await platform.user()
    platform.broker.register("key", user_id="A123")
    platform.broker.pins["A123"] = ("4711", "246810")
    body = {"broker_name": "ANGEL_ONE", "api_key": "key", "clientcode": "A123", "pin": "4711", "totp": "246810"}
    assert (await user.post("/broker/connect", body, expect=201))["status"] == "connected"


async def test_unsigned_messages_about_orders_are_taken_so_often_from_one_address_and_signed_ones_always(
    platform: Platform,
) -> None:
    stranger = platform.anonymous()
    guess = b'{"dhanClientId":"1000000001"}'
    for _ in range(HINTS_PER_MINUTE):
        await stranger.refused("POST", "/postback/dhan", 403, "BAD_SIGNATURE", content=guess)
    await eventually_refused(stranger, guess)
    await stranger.refused("POST", "/postback/angel_one", 429, "RATE_LIMITED", content=b'{"clientcode":"A123"}')
    await stranger.refused("POST", "/postback/zerodha", 400, "MALFORMED_JSON", content=b"{}")


async def eventually_refused(client: Client, content: bytes) -> None:
    """The minute may have turned on the way; a second one will not."""
    for _ in range(HINTS_PER_MINUTE + 1):
        if (await client.call("POST", "/postback/dhan", content=content)).status_code == 429:
            return
    raise AssertionError("never refused")
