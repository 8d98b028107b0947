"""The simulator as a process: start, stop, busy ports, and state that outlives kill -9."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.testing import SimulatedAccount
from tests.simulator.kite_client import KiteClient

ROOT = Path(__file__).parents[2]
NO_PORTS = [word for name in ("kite", "dhan", "angel-one", "fyers", "control") for word in (f"--{name}-port", "0")]


async def start(*arguments: str, **environment: str) -> Process:
    command = [sys.executable, "-m", "simulator", *NO_PORTS, "--prices", "hand", *arguments]
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | environment, stdout=PIPE, stderr=PIPE)


async def addresses(process: Process) -> tuple[str, str]:
    """The Kite and control addresses, once it says that it has started."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            if "simulator_started" in plain:
                found = dict(re.findall(r"(\w+)=(http\S+)", plain))
                return found["zerodha"], found["page"]
    raise AssertionError(f"it ended without starting: {await process.communicate()}")


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[Process, str, str]]:
    process = await start(*arguments)
    try:
        yield process, *(await addresses(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def log_in(session: aiohttp.ClientSession, control_url: str, api_key: str = "sim-alice") -> SimulatedAccount:
    async with session.post(f"{control_url}/control/accounts/{api_key}/access-token") as answer:
        body = await answer.json()
    return SimulatedAccount(api_key, api_key, f"{api_key}-secret", body["access_token"], body["user_id"])


async def state_of(kite: KiteClient) -> list[Any]:
    paths = ("/orders", "/trades", "/portfolio/positions", "/portfolio/holdings", "/user/margins", "/gtt/triggers")
    return [(await kite.get(path)).data for path in paths]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_even_with_clients_connected(number: signal.Signals) -> None:
    async with running() as (process, kite_url, control_url), aiohttp.ClientSession() as session:
        account = await log_in(session, control_url)
        websocket = await session.ws_connect(
            kite_url.replace("http", "ws"), params={"api_key": account.api_key, "access_token": account.access_token}
        )
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
            while (await websocket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass


async def test_a_busy_port_is_one_sentence_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option in ("--kite-port", "--control-port"):
            process = await start(option, port)
            _, errors = await process.communicate()
            assert process.returncode == 2
            assert errors.decode() == f"Port {port} on 127.0.0.1 is in use; choose another one.\n"


async def test_a_data_folder_serves_one_simulator_at_a_time(tmp_path: Path) -> None:
    async with running("--data", str(tmp_path)):
        process = await start("--data", str(tmp_path))
        _, errors = await process.communicate()
        assert (process.returncode, b"in use by another simulator" in errors) == (2, True)


async def test_options_can_come_from_the_environment() -> None:
    process = await start(SIMULATOR_EXTRA_INSTRUMENTS="2", SIMULATOR_OPEN_ACCOUNTS="false")
    try:
        _, control_url = await addresses(process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{control_url}/control/instruments?query=SYM000") as answer:
                assert len(await answer.json()) == 2
            async with session.post(f"{control_url}/control/accounts/sim-x/access-token") as answer:
                assert answer.status == 404
    finally:
        process.kill()
        await process.communicate()


async def test_kill_dash_nine_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    data, log = str(tmp_path / "data"), tmp_path / "log.jsonl"
    async with aiohttp.ClientSession() as session:
        async with running("--data", data, "--rate-limits", "off", "--log", str(log)) as (process, kite_url, control_url):
            kite = KiteClient(session, kite_url, await log_in(session, control_url))
            async with session.post(f"{control_url}/control/instruments/depth", json={"symbol": "TCS", "quantity": 15}) as answer:
                assert answer.status == 200
            await kite.placed(tag="filled", quantity="10")
            await kite.placed(tag="partly", quantity="10")
            resting = await kite.placed(tag="rests", price="3500")
            await kite.modify(resting, price="3510")
            await kite.placed(
                tag="stop", order_type="SL", transaction_type="SELL", trigger_price="3550", price="3540", quantity="15"
            )
            await kite.cancel(await kite.placed(tag="gone", price="3400"))
            holding = {"symbol": "INFY", "quantity": 7, "average_price": 1400}
            async with session.post(f"{control_url}/control/accounts/sim-alice/holdings", json=holding) as answer:
                assert answer.status == 200
            condition = {"exchange": "NSE", "tradingsymbol": "TCS", "trigger_values": [3000], "last_price": 3600}
            leg = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "MIS", "price": 3000}
            gtt = {"type": "single", "condition": json.dumps(condition), "orders": json.dumps([leg])}
            assert (await kite.request("POST", "/gtt/triggers", data=gtt)).status == 200
            before = await state_of(kite)
            process.kill()
            await process.wait()
        with (tmp_path / "data" / "journal.jsonl").open("ab") as journal:
            journal.write(b'[["state","torn')
        async with running("--data", data, "--rate-limits", "off", "--log", str(log)) as (_, kite_url, control_url):
            kite = KiteClient(session, kite_url, kite.account)
            assert await state_of(kite) == before, "and the session lives on"
            async with session.post(f"{control_url}/control/prices", json={"TCS": 3545}) as answer:
                assert answer.status == 200
            rows = {row["tag"]: row for row in await kite.book()}
            assert {tag: (row["status"], row["filled_quantity"]) for tag, row in rows.items()} == {
                "filled": ("COMPLETE", 10), "partly": ("COMPLETE", 10), "rests": ("OPEN", 0), "stop": ("COMPLETE", 15),
                "gone": ("CANCELLED", 0),
            }  # fmt: skip
            newest = await kite.placed(tag="new", price="3400")
            assert newest > max(row["order_id"] for row in rows.values())
    sequences = [json.loads(line)["sequence"] for line in log.read_text().splitlines()]
    assert sequences == list(range(1, len(sequences) + 1)), "the log is one log across both lives"


async def test_orders_answered_while_the_process_is_killed_are_all_there_afterwards(tmp_path: Path) -> None:
    answered: set[str] = set()
    async with aiohttp.ClientSession() as session:
        async with running("--data", str(tmp_path), "--rate-limits", "off") as (process, kite_url, control_url):
            kite = KiteClient(session, kite_url, await log_in(session, control_url))

            async def trade() -> None:
                try:
                    while True:
                        answered.add(await kite.placed(price="3500", quantity="1"))
                except (aiohttp.ClientError, OSError):
                    return

            traders = [asyncio.create_task(trade()) for _ in range(8)]
            async with asyncio.timeout(30):
                while len(answered) < 100:
                    await asyncio.sleep(0.001)
            process.kill()
            await asyncio.gather(*traders)
        async with running("--data", str(tmp_path)) as (_, kite_url, _control):
            kite = KiteClient(session, kite_url, kite.account)
            assert answered <= {row["order_id"] for row in await kite.book()}
