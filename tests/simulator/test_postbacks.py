"""Postbacks: signed order updates to the account's own address."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import KiteClient


@pytest.fixture
async def received() -> AsyncIterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        found.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/postback", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.append({"url": f"http://127.0.0.1:{runner.addresses[0][1]}/postback"})
    yield found
    await runner.cleanup()


async def set_postback(control: aiohttp.ClientSession, api_key: str, url: str) -> None:
    async with control.patch(f"/control/accounts/{api_key}", json={"postback_url": url}) as answer:
        assert answer.status == 200


async def test_a_postback_is_signed_and_tells_the_end_of_the_order(
    kite: KiteClient, sim: RunningSimulator, control: aiohttp.ClientSession, received: list[dict[str, Any]]
) -> None:
    await set_postback(control, kite.account.api_key, received.pop()["url"])
    order_id = await kite.placed(tag="t1")
    await sim.wait_for(lambda: len(received) == 1)
    (row,) = received
    assert (row["order_id"], row["status"], row["tag"], row["user_id"]) == (order_id, "COMPLETE", "t1", kite.account.user_id)
    signed = f"{order_id}{row['order_timestamp']}{kite.account.api_secret}".encode()
    assert row["checksum"] == hashlib.sha256(signed).hexdigest()


async def test_orders_of_the_brokers_own_app_send_no_postbacks(
    kite: KiteClient, sim: RunningSimulator, control: aiohttp.ClientSession, received: list[dict[str, Any]]
) -> None:
    await set_postback(control, kite.account.api_key, received.pop()["url"])
    sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=1)
    last = await kite.placed()
    await sim.wait_for(lambda: len(received) == 1)
    assert [row["order_id"] for row in received] == [last]


async def test_only_loopback_addresses_are_called(
    kite: KiteClient, sim: RunningSimulator, control: aiohttp.ClientSession
) -> None:
    await set_postback(control, kite.account.api_key, "http://192.0.2.1/postback")
    await kite.placed()
    assert sim.simulator.kite._updates._postbacks._tasks == set()
