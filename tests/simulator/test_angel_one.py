"""The SmartAPI dialect, seen by a bare client: what the broker's own client and our adapter do not ask for."""

import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from simulator.dialects.angel_one.session import next_midnight
from simulator.dialects.common.dialect import SimulatedAccount
from simulator.testing import RunningSimulator, running_simulator
from tests.simulator.market import NOON

HOUR_NS = 3_600_000_000_000
SECURE = "/rest/secure/angelbroking"
BUY = {
    "variety": "NORMAL",
    "tradingsymbol": "TCS-EQ",
    "symboltoken": "11536",
    "transactiontype": "BUY",
    "exchange": "NSE",
    "ordertype": "LIMIT",
    "producttype": "INTRADAY",
    "duration": "DAY",
    "price": 3610,
    "quantity": 10,
}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Smart:
    """A bare client. Answers are (status, JSON or text)."""

    session: aiohttp.ClientSession
    urls: dict[str, str]
    account: SimulatedAccount

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.account.access_token}", "X-PrivateKey": self.account.api_key}

    async def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **also: Any) -> tuple[int, Any]:
        given = self.headers if headers is None else headers
        async with self.session.request(method, self.urls["api_url"] + path, headers=given, **also) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    async def place(self, **changes: Any) -> Any:
        return (await self.ask("POST", f"{SECURE}/order/v1/placeOrder", json=BUY | changes))[1]

    async def book(self) -> list[Row]:
        return (await self.ask("GET", f"{SECURE}/order/v1/getOrderBook"))[1]["data"]

    def feed(self, **query: str) -> Any:
        if query:
            return self.session.ws_connect(self.urls["ws_url"], params=query, autoping=False)
        return self.session.ws_connect(self.urls["ws_url"], headers=self.socket_headers, autoping=False)

    @property
    def socket_headers(self) -> dict[str, str]:
        return {
            "Authorization": self.account.access_token,
            "x-api-key": self.account.api_key,
            "x-client-code": self.account.user_id,
            "x-feed-token": self.account.feed_token,
        }


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        running.set_price("TCS", 3600)
        yield running


@pytest.fixture
async def smart(sim: RunningSimulator) -> AsyncIterator[Smart]:
    async with aiohttp.ClientSession() as session:
        yield Smart(session, sim.urls("angel_one"), sim.account("alice", dialect="angel_one"))


def subscription(*tokens: str, mode: int = 1, action: int = 1, exchange: int = 1) -> Row:
    listed = [{"exchangeType": exchange, "tokens": list(tokens)}]
    return {"correlationID": "abcde12345", "action": action, "params": {"mode": mode, "tokenList": listed}}


async def test_a_session_ends_at_midnight_in_india(sim: RunningSimulator, smart: Smart) -> None:
    start = sim.exchange.clock()
    midnight = next_midnight(start)
    sim.exchange.clock = lambda: midnight - 1
    assert (await smart.ask("GET", f"{SECURE}/user/v1/getProfile"))[1]["status"] is True
    sim.exchange.clock = lambda: midnight
    assert (await smart.ask("GET", f"{SECURE}/user/v1/getProfile"))[1]["errorCode"] == "AG8001"


def test_the_next_midnight_is_within_a_day() -> None:
    assert next_midnight(NOON) - NOON == 12 * HOUR_NS
    assert next_midnight(NOON + 12 * HOUR_NS) - NOON == 36 * HOUR_NS


async def test_a_token_of_another_dialect_or_another_app_opens_nothing(sim: RunningSimulator, smart: Smart) -> None:
    bob = sim.account("bob")
    for headers in (
        {},
        {"Authorization": f"Bearer {bob.access_token}"},
        smart.headers | {"X-PrivateKey": bob.api_key},
        {"Authorization": f"token {smart.account.api_key}:{smart.account.access_token}"},
    ):
        status, answer = await smart.ask("GET", f"{SECURE}/user/v1/getProfile", headers=headers)
        assert (status, answer["success"], answer["errorCode"], answer["data"]) == (200, False, "AG8001", "")


async def test_a_made_up_account_logs_in_by_its_key_and_its_refresh_token_dies_with_the_session(smart: Smart) -> None:
    body = {"clientcode": "sim-dave", "password": "1234", "totp": "123456"}
    login = "/rest/auth/angelbroking/user/v1/loginByPassword"
    _, answer = await smart.ask("POST", login, headers={"X-PrivateKey": "sim-dave"}, json=body)
    headers = {"Authorization": f"Bearer {answer['data']['jwtToken']}", "X-PrivateKey": "sim-dave"}
    renewal = {"refreshToken": answer["data"]["refreshToken"]}
    path = "/rest/auth/angelbroking/jwt/v1/generateTokens"
    _, renewed = await smart.ask("POST", path, headers=headers, json=renewal)
    assert renewed["data"]["jwtToken"] != answer["data"]["jwtToken"]
    assert (await smart.ask("POST", path, headers=headers, json=renewal))[1]["errorCode"] == "AG8001"
    headers["Authorization"] = f"Bearer {renewed['data']['jwtToken']}"
    assert (await smart.ask("POST", path, headers=headers, json=renewal))[1]["errorcode"] == "AB8050"


async def test_the_publishers_page_goes_back_with_the_tokens(smart: Smart) -> None:
    query = {"api_key": "sim-carol", "state": "a&b", "redirect_url": "http://127.0.0.1:1/back?x=1"}
    async with smart.session.get(smart.urls["login_url"], params=query, allow_redirects=False) as answer:
        assert answer.status == 302
        found = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert (found["x"], found["state"]) == (["1"], ["a&b"])
    headers = {"Authorization": f"Bearer {found['auth_token'][0]}", "X-PrivateKey": "sim-carol"}
    assert (await smart.ask("GET", f"{SECURE}/user/v1/getProfile", headers=headers))[1]["status"] is True
    async with smart.session.get(smart.urls["login_url"], params={"api_key": "nobody"}) as answer:
        assert answer.status == 400


async def test_a_market_order_becomes_a_limit_order_in_the_brokers_band(smart: Smart) -> None:
    placed = await smart.place(ordertype="MARKET", price="0")
    (row,) = await smart.book()
    assert placed["data"]["orderid"] == row["orderid"]
    assert (row["ordertype"], row["orderstatus"], row["price"], row["averageprice"]) == ("LIMIT", "complete", 3618, 3600)


async def test_a_stop_waits_for_its_trigger_under_a_variety_of_its_own(sim: RunningSimulator, smart: Smart) -> None:
    stop = {"variety": "STOPLOSS", "ordertype": "STOPLOSS_LIMIT", "triggerprice": "3650", "price": "3660"}
    order_id = (await smart.place(**stop))["data"]["orderid"]
    (waiting,) = await smart.book()
    assert (waiting["orderstatus"], waiting["variety"]) == ("trigger pending", "STOPLOSS")
    cancel = {"variety": "NORMAL", "orderid": order_id}
    assert (await smart.ask("POST", f"{SECURE}/order/v1/cancelOrder", json=cancel))[1]["errorcode"] == "AB1008"
    sim.set_price("TCS", 3655)
    assert [row["orderstatus"] for row in await smart.book()] == ["complete"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"price": "3600.03"}, "16283"),
        ({"price": "5000"}, "17070"),
        ({"price": "1"}, "17070"),
        ({"producttype": "DELIVERY", "transactiontype": "SELL"}, "holdings"),
        ({"producttype": "DELIVERY", "quantity": "27750"}, "Insufficient Funds"),
    ],
    ids=str,
)
async def test_what_risk_desk_and_exchange_reject_is_taken_first(smart: Smart, changes: Row, text: str) -> None:
    assert (await smart.place(**changes))["status"] is True
    (row,) = await smart.book()
    assert (row["orderstatus"], row["filledshares"]) == ("rejected", "0")
    assert text in row["text"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ordertag": "a" * 21}, "AB4008"),
        ({"symboltoken": ""}, "AB4018"),
        ({"symboltoken": None}, "AB4018"),
        ({"symboltoken": "1"}, "AB1009"),
        ({"tradingsymbol": "TCS"}, "AB1009"),
        ({"exchange": "NYSE"}, "AB1009"),
        ({"variety": "ROBO"}, "AB2002"),
        ({"variety": "NEW"}, "AB1008"),
        ({"producttype": "CNC"}, "AB1012"),
        ({"producttype": "CARRYFORWARD"}, "AB1012"),
        ({"quantity": 0}, "AB1004"),
        ({"quantity": "x"}, "AB1004"),
        ({"quantity": "1.5"}, "AB1004"),
        ({"price": "1e400"}, "AB1004"),
        ({"duration": "GTC"}, "AB1004"),
        ({"transactiontype": "SHORT"}, "AB1004"),
    ],
    ids=str,
)
async def test_what_is_malformed_is_refused_at_once_and_leaves_no_trace(smart: Smart, changes: Row, code: str) -> None:
    answer = await smart.place(**changes)
    assert (answer["status"], answer["errorcode"], answer["data"]) == (False, code, None)
    assert await smart.book() is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(smart: Smart, body: bytes) -> None:
    status, answer = await smart.ask("POST", f"{SECURE}/order/v1/placeOrder", data=body)
    assert (status, answer["status"]) == (200, False)


async def test_over_the_limit_the_answer_is_403_in_plain_text(sim: RunningSimulator, smart: Smart) -> None:
    sim.account("alice", rate_limits="on", dialect="angel_one")
    answers = [await smart.ask("GET", f"{SECURE}/order/v1/getOrderBook") for _ in range(2)]
    assert answers[0][0] == 200
    assert answers[1] == (403, "Access denied because of exceeding access rate")


async def test_an_unknown_route_answers_in_the_envelope(smart: Smart) -> None:
    assert (await smart.ask("GET", "/rest/nowhere"))[1]["status"] is False
    assert (await smart.ask("GET", f"{SECURE}/order/v1/placeOrder"))[0] == 405


async def test_subscriptions_are_told_apart_by_mode_and_doubles_ignored(sim: RunningSimulator, smart: Smart) -> None:
    async with smart.feed() as socket:
        await socket.send_json(subscription("11536", "11536", mode=1))
        await socket.send_json(subscription("11536", mode=3))
        await socket.send_json(subscription("11536", mode=1))
        await socket.send_str("ping")
        sizes = [len(await socket.receive_bytes(timeout=10)) for _ in range(2)]
        assert (sizes, await socket.receive_str(timeout=10)) == ([51, 379], "pong")
        sim.set_price("TCS", 3601)
        moved = [await socket.receive_bytes(timeout=10) for _ in range(2)]
        assert sorted(len(message) for message in moved) == [51, 379]
        sequences = [struct.unpack_from("<q", message, 27)[0] for message in moved]
        assert len(set(sequences)) == 2
        await socket.send_json(subscription("11536", mode=3, action=0))
        await socket.ping(b"are you there")
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.PONG
        sim.set_price("TCS", 3602)
        assert len(await socket.receive_bytes(timeout=10)) == 51


async def test_the_depth_of_twenty_is_of_its_own_size(smart: Smart) -> None:
    async with smart.feed() as socket:
        await socket.send_json(subscription("11536", mode=4))
        message = await socket.receive_bytes(timeout=10)
    assert len(message) == 443
    assert struct.unpack_from("<iih", message, 43) == (500, 359_990, 1)
    assert struct.unpack_from("<iih", message, 243) == (500, 360_010, 1)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "E1001"),
        ("[]", "E1001"),
        (json.dumps({"action": 2, "params": {"mode": 1, "tokenList": []}}), "E1001"),
        (json.dumps(subscription("11536", mode=9)), "E1001"),
        (json.dumps(subscription("11536", exchange=99)), "E1001"),
        (json.dumps(subscription(*map(str, range(1_001)))), "E1002"),
        (json.dumps(subscription(*map(str, range(51)), mode=4)), "E1002"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_request_that_cannot_be_used_is_answered_with_an_error(smart: Smart, message: str, code: str) -> None:
    async with smart.feed() as socket:
        await socket.send_str(message)
        assert (await socket.receive_json(timeout=10))["errorCode"] == code


async def test_a_browser_connects_by_its_query_and_strangers_do_not(smart: Smart) -> None:
    query = {"clientCode": smart.account.user_id, "feedToken": smart.account.feed_token, "apiKey": smart.account.api_key}
    async with smart.feed(**query) as socket:
        await socket.send_str("ping")
        assert await socket.receive_str(timeout=10) == "pong"
    for wrong in ({"feedToken": "x"}, {"clientCode": "ZZ1"}, {"apiKey": "nobody"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with smart.feed(**(query | wrong)):
                pass
        assert refused.value.status == 401
        assert refused.value.headers is not None
        assert refused.value.headers["x-error-message"] == "Invalid Feed Token"


async def test_a_fourth_connection_is_one_too_many(smart: Smart) -> None:
    async with smart.feed(), smart.feed(), smart.feed():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with smart.feed():
                pass
        assert refused.value.status == 429
        # The order updates are counted apart.
        async with smart.session.ws_connect(smart.urls["orders_ws_url"], headers=smart.socket_headers) as updates:
            assert (await updates.receive_json(timeout=10))["order-status"] == "AB00"


async def test_the_list_is_text_throughout(smart: Smart) -> None:
    async with smart.session.get(smart.urls["master_url"]) as answer:
        entries = await answer.json()
    by_symbol = {(entry["exch_seg"], entry["symbol"]): entry for entry in entries}
    assert len(by_symbol) == len(entries)
    assert by_symbol["NSE", "TCS-EQ"] == {
        "token": "11536",
        "symbol": "TCS-EQ",
        "name": "TCS",
        "expiry": "",
        "strike": "-1.000000",
        "lotsize": "1",
        "instrumenttype": "",
        "exch_seg": "NSE",
        "tick_size": "10.000000",
    }
    assert by_symbol["NSE", "Nifty 50"]["token"] == "99926000"
    assert {entry["instrumenttype"] for entry in entries} == {"", "AMXIDX", "FUTIDX", "FUTSTK", "OPTIDX"}
