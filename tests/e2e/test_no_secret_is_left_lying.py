"""A day with every secret a user can have, and then a search for each of them wherever the platform leaves something."""

import asyncio
import base64
import urllib.error
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from api.one_time_codes import code_of, step_at
from tests.conftest import NAMESPACE
from tests.e2e.conftest import Platform
from tests.e2e.secrets import found_in, histories, logs, redis_values, tables
from tests.waiting import eventually_blocking

PASSWORD = "correct-horse-battery-staple-9071"
MISTYPED = "correct-horse-battery-stapel-9071"
API_KEY = "broker's API key"
ADDRESS_TOKEN = "AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ7"
# Refused by their brokers, and sent to them all the same: in bodies, headers and addresses. Real PINs are too short to look for.
OTHER_BROKERS = (
    {"broker": "dhan", "client_id": "1000000077", "pin": "pin-of-d-74119", "one_time_code": "otp-d-74120"},
    {
        "broker": "dhan",
        "client_id": "1000000077",
        "app_id": "dhan-key-74121",
        "app_secret": "dhan-secret-74122",
        "token_id": "dhan-consent-74123",
    },
    {
        "broker": "angel_one",
        "api_key": "angel-key-74124",
        "client_code": "A74100",
        "pin": "pin-of-a-74125",
        "one_time_code": "otp-a-74126",
    },
    {"broker": "fyers", "app_id": "FYERS74127-200", "secret_id": "fyers-secret-74128", "auth_code": "fyers-code-74129"},
)


def live_through_a_day(platform: Platform) -> dict[str, str]:
    """Every secret that was used, by what it is."""
    email, login = "secretive@example.com", {"email": "secretive@example.com", "password": PASSWORD}
    first = platform.api("POST", "/auth/register", login)
    platform.token = first["token"]
    begun = platform.api("POST", "/auth/totp", {"password": PASSWORD})
    recovery = platform.api("POST", "/auth/totp/confirm", {"code": code_of(begun["secret"], step_at(datetime.now(UTC)))})
    with pytest.raises(urllib.error.HTTPError):
        platform.api("POST", "/auth/login", {"email": email, "password": MISTYPED})
    second = platform.api("POST", "/auth/login", {**login, "code": recovery["recovery_codes"][0]})
    platform.token = second["token"]
    third = platform.api("POST", "/auth/refresh", {"refresh_token": second["refresh_token"]})
    platform.token = third["token"]
    proof = {"password": PASSWORD, "code": recovery["recovery_codes"][1]}
    key = platform.api("POST", "/auth/api-keys", {**proof, "name": "script", "scopes": ["read"]})
    platform.api("POST", "/notifications/targets", {"address": f"tgram://123456789:{ADDRESS_TOKEN}/987654321"})
    platform.api("POST", "/notifications/devices", {"platform": "web", "token": "push-token-of-a-phone-4711"})
    broker_token = platform.control("POST", "/accounts/sim-secretive/access-token")["access_token"]
    credentials = {"api_key": "sim-secretive", "api_secret": "sim-secretive-secret", "access_token": broker_token}
    with pytest.raises(urllib.error.HTTPError):
        platform.api("POST", "/broker/connect", {**credentials, "access_token": "an-access-token-of-nobody-5150"})
    platform.api("POST", "/broker/connect", {"broker": "zerodha", **credentials})
    for body in OTHER_BROKERS:
        with pytest.raises(urllib.error.HTTPError):
            platform.api("POST", "/broker/connect", body)
    platform.control("POST", "/prices", {"INFY": 1500})
    strategy = platform.start_now(symbol="INFY", stop_loss=1450)
    platform.until(strategy, lambda status: status["position"] == "BOUGHT", "bought")
    platform.control("POST", "/prices", {"INFY": 1440})
    platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    return {
        "password": PASSWORD,
        "mistyped password": MISTYPED,
        **{f"{number}. access token": answer["token"] for number, answer in enumerate((first, second, third), start=1)},
        **{f"{number}. refresh token": answer["refresh_token"] for number, answer in enumerate((first, second, third), start=1)},
        "authenticator secret": begun["secret"],
        **{f"recovery code {number}": code for number, code in enumerate(recovery["recovery_codes"], start=1)},
        "API key": key["api_key"],
        "address of a target": ADDRESS_TOKEN,
        "push token": "push-token-of-a-phone-4711",
        API_KEY: "sim-secretive",
        "broker's secret": "sim-secretive-secret",
        "broker's token": broker_token,
        "somebody else's broker token": "an-access-token-of-nobody-5150",
        **{
            f"{body['broker']}'s {name}": body[name]
            for body in OTHER_BROKERS
            for name in body.keys() - {"broker", "client_id", "client_code"}
        },
    }


def keys_of(platform: Platform) -> dict[str, str]:
    """The platform's own, from the file that is meant to hold them."""
    lines = (platform.state / "secrets.env").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    return {name: value.partition(":")[2] for name, _, value in pairs}


async def everything(platform: Platform, temporal_address: str) -> AsyncIterator[tuple[str, bytes]]:
    for name, content in logs(platform.state):
        yield f"file {name}", content
    async for name, content in tables(platform.state):
        yield f"table {name}", content
    async for name, content in redis_values(platform.state):
        yield f"Redis {name}", content
    client = await Client.connect(temporal_address, namespace=NAMESPACE)
    async for name, content in histories(client, task_queue=platform.task_queue):
        yield f"history {name}", content


@pytest.mark.timeout(400)
def test_no_secret_of_a_day_is_found_anywhere(platform: Platform, temporal_address: str) -> None:
    secrets = live_through_a_day(platform) | keys_of(platform)
    assert len(secrets) > 20

    async def look() -> tuple[dict[str, int], list[str]]:
        read: dict[str, int] = {}
        found = []
        async for place, content in everything(platform, temporal_address):
            kind = place.partition(" ")[0]
            read[kind] = read.get(kind, 0) + len(content)
            # The stand-in exchange names its accounts by their keys in its own log.
            exempt = API_KEY if place == "file logs/exchange.jsonl" else None
            sought = {what: secret for what, secret in secrets.items() if what != exempt}
            found += [f"{place}: {what}" for what in found_in(content, sought)]
        return read, found

    # The last request is logged, and the last history visible, a moment later.
    eventually_blocking(lambda: asyncio.run(look())[0].get("history", 0) > 1000, "the histories can be listed")
    read, found = asyncio.run(look())
    assert found == []
    assert all(read.get(kind, 0) > 1000 for kind in ("file", "table", "Redis", "history")), read


def test_the_search_finds_a_secret_in_whatever_form() -> None:
    raw = PASSWORD.encode()
    encoded = [base64.b64encode(b"x" * before + raw + b"y") for before in range(5)]
    for written in (raw, raw.hex().encode(), *encoded):
        assert found_in(b'{"a": "' + written + b'"}', {"password": PASSWORD}), written
    assert not found_in(b"nothing of it", {"password": PASSWORD})
