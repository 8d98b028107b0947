"""What clients of Fyers' dialect meet beside the ordinary day: pages, blocked paths, restarts, odd bodies and odd frames."""

import asyncio
import struct
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
import pytest

from simulator.dialects.fyers import packets
from simulator.dialects.fyers.packets import BadFrame
from simulator.dialects.fyers.tokens import app_id_hash, hsm_key
from simulator.testing import RunningSimulator, running_simulator

Row = dict[str, object]


def headers(sim: RunningSimulator, name: str = "alice") -> dict[str, str]:
    account = sim.account(name, dialect="fyers")
    return {"Authorization": f"{account.api_key}:{account.access_token}"}


async def test_the_page_sends_its_user_back_with_a_code_that_buys_a_token() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        urls = sim.urls("fyers")
        asked = {"client_id": "sim-bob", "redirect_uri": "https://back.example/x?a=1", "response_type": "code", "state": "s&1"}
        async with client.get(urls["login_url"], params=asked) as page:
            assert "Log in" in await page.text()
        async with client.post(urls["login_url"], data=asked, allow_redirects=False) as answer:
            target = urlsplit(answer.headers["Location"])
        back = {name: values[0] for name, values in parse_qs(target.query).items()}
        assert (target.hostname, back["a"], back["s"], back["state"]) == ("back.example", "1", "ok", "s&1")
        account = sim.simulator.registry.find("sim-bob")
        assert account is not None
        body = {"grant_type": "authorization_code", "appIdHash": app_id_hash(account), "code": back["auth_code"]}
        async with client.post(f"{urls['api_url']}/validate-authcode", json=body) as answer:
            opened = await answer.json()
        async with client.get(
            f"{urls['api_url']}/profile", headers={"Authorization": f"sim-bob:{opened['access_token']}"}
        ) as answer:
            assert (await answer.json())["data"]["fy_id"] == account.user_id
        async with client.post(
            f"{urls['api_url']}/validate-refresh-token", json={"refresh_token": opened["refresh_token"]}
        ) as answer:
            assert answer.status == 400


async def test_paths_the_brokers_edge_stops_answer_with_a_page() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        urls = sim.urls("fyers")
        for url in (f"{urls['api_url']}/orders", f"{urls['data_url']}/quotes"):
            async with client.post(url, json={}, headers=headers(sim)) as answer:
                assert (answer.status, answer.content_type) == (403, "text/html")
        async with client.get(f"{urls['api_url']}/nowhere") as answer:
            assert (answer.status, (await answer.json())["s"]) == (404, "error")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b"5", b'"x"', b"{}", b'{"symbol":5}', b'{"symbol":"NSE:TCS-EQ","type":true}', b"\xff"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders/sync"),
        ("PATCH", "/orders/sync"),
        ("DELETE", "/orders/sync"),
        ("POST", "/multi-order/sync"),
        ("POST", "/positions"),
        ("POST", "/validate-authcode"),
    ],
)
async def test_odd_bodies_are_refused_in_the_brokers_form(method: str, path: str, body: bytes) -> None:
    async with running_simulator(rate_limits="off") as sim, aiohttp.ClientSession() as client:
        url = sim.urls("fyers")["api_url"] + path
        async with client.request(method, url, data=body, headers=headers(sim) | {"Content-Type": "application/json"}) as answer:
            found = await answer.json()
        assert (answer.status, found["s"], found["code"] < 0) == (400, "error", True)
        assert sim.orders("alice") == []


async def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
    async with running_simulator(data=tmp_path) as sim:
        before = sim.account("alice", dialect="fyers")
    async with running_simulator(data=tmp_path) as sim, aiohttp.ClientSession() as client:
        urls = sim.urls("fyers")
        async with client.get(
            f"{urls['api_url']}/profile", headers={"Authorization": f"sim-alice:{before.access_token}"}
        ) as answer:
            assert answer.status == 200
        async with client.ws_connect(urls["ws_url"]) as socket:
            await socket.send_bytes(request(packets.AUTH, (1, hsm_key(before.access_token).encode())))
            assert fields(await socket.receive_bytes(timeout=10))[1] == b"K"


def request(kind: int, *given: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack(">BH", number, len(value)) + value for number, value in given)
    return struct.pack(">HBB", 0, kind, len(given)) + body


def fields(frame: bytes) -> dict[int, bytes]:
    return packets.read_request(frame).fields


async def test_a_key_nobody_has_is_not_taken_and_nothing_else_is_before_it() -> None:
    async with (
        running_simulator() as sim,
        aiohttp.ClientSession() as client,
        client.ws_connect(sim.urls("fyers")["ws_url"]) as socket,
    ):
        await socket.send_bytes(bytes([0, 1, packets.PING]))
        await socket.send_bytes(request(packets.SUBSCRIBE, (1, b"\x00\x01\x04sf|x"), (2, b"\x0b")))
        assert fields(await socket.receive_bytes(timeout=10))[1] != b"K"
        await socket.send_bytes(request(packets.AUTH, (1, b"nobody")))
        assert fields(await socket.receive_bytes(timeout=10))[1] != b"K"


async def test_a_newer_connection_of_an_account_ends_the_older() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        key = hsm_key(sim.account("alice", dialect="fyers").access_token).encode()
        async with client.ws_connect(sim.urls("fyers")["ws_url"]) as old, client.ws_connect(sim.urls("fyers")["ws_url"]) as new:
            for socket in (old, new):
                await socket.send_bytes(request(packets.AUTH, (1, key)))
                assert fields(await socket.receive_bytes(timeout=10))[1] == b"K"
            assert (await old.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
            assert sim.simulator.dialects["fyers"].connections("sim-alice") == 1


async def test_a_paused_channel_gets_the_change_after_it_is_resumed() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        key = hsm_key(sim.account("alice", dialect="fyers").access_token).encode()
        async with client.ws_connect(sim.urls("fyers")["ws_url"]) as socket:
            topic = b"sf|nse_cm|11536"
            asked = [
                request(packets.AUTH, (1, key)),
                request(packets.SUBSCRIBE, (1, b"\x00\x01" + bytes([len(topic)]) + topic), (2, b"\x0b")),
                request(packets.PAUSE, (1, bytes(8))),
            ]
            for one in asked:
                await socket.send_bytes(one)
            kinds = [(await socket.receive_bytes(timeout=10))[2] for _ in range(4)]
            assert kinds == [packets.AUTH, packets.SUBSCRIBE, packets.DATA, packets.PAUSE]
            sim.set_price("TCS", "3400")
            await socket.send_bytes(request(packets.RESUME, (1, bytes(8))))
            assert (await socket.receive_bytes(timeout=10))[2] == packets.RESUME
            sim.set_price("TCS", "3401")
            frame = await socket.receive_bytes(timeout=10)
            assert struct.unpack_from(">i", frame, 9 + 4) == (340_100,)


@pytest.mark.parametrize("name", ["orders", "nothing"])
async def test_the_order_socket_takes_known_names_only(name: str) -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        url = sim.urls("fyers")["orders_ws_url"]
        async with client.ws_connect(url, headers=headers(sim)) as socket:
            await socket.send_str("ping")
            assert await socket.receive_str(timeout=10) == "pong"
            await socket.send_json({"T": "SUB_ORD", "SLIST": [name], "SUB_T": 1})
            answer = orjson.loads(await socket.receive_str(timeout=10))
            assert (answer["s"] == "ok") == (name == "orders")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(url, headers={"Authorization": "sim-alice:a.b.c"})
        assert refused.value.status == 403


@pytest.mark.parametrize("frame", [b"", b"\x00\x01", b"\x00\x00\x04\x01\x01\x00\x64", b"\x00\x00\x04\x02\x01\x00\x01K"])
def test_a_damaged_frame_is_not_understood(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        packets.read_request(frame)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x02\x01a", b"\x00\x01\x09abc"])
def test_topics_have_to_be_as_many_as_they_say(raw: bytes) -> None:
    with pytest.raises(BadFrame):
        packets.read_request(request(packets.SUBSCRIBE, (1, raw))).topics()


async def test_odd_frames_do_not_end_a_connection() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as client:
        key = hsm_key(sim.account("alice", dialect="fyers").access_token).encode()
        async with client.ws_connect(sim.urls("fyers")["ws_url"]) as socket:
            for odd in (b"", b"\x00", b"\x00\x00\x04\x02\x01", request(99), request(packets.ACKNOWLEDGE)):
                await socket.send_bytes(odd)
            await socket.send_str("text")
            await socket.send_bytes(request(packets.AUTH, (1, key)))
            async with asyncio.timeout(10):
                while (frame := await socket.receive_bytes())[2] != packets.AUTH:
                    continue
            assert fields(frame)[1] == b"K"
