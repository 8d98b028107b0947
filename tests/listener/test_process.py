"""`python -m listener` as a process: it starts whatever is away, and ends when asked to."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.listener.world import KEY, World
from tests.stack import ROOT
from tests.waiting import eventually, eventually_blocking

NOWHERE = {
    "DATABASE_URL": "postgresql+asyncpg://postgres@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "ZERODHA_API_URL": "http://127.0.0.1:1",
    "ZERODHA_WS_URL": "ws://127.0.0.1:1",
    "AES_MASTER_KEYS": f"k1:{KEY}",
}


@contextmanager
def process(tmp_path: Path, **environment: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A listener process and the file its log goes to."""
    log = tmp_path / "listener.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "listener"],
            cwd=tmp_path,
            env={**os.environ, **NOWHERE, "PYTHONPATH": str(ROOT), **environment},
            stdout=output,
            stderr=output,
        )
        try:
            yield started, log
        finally:
            started.kill()
            started.wait()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_with_everything_away_it_stays_says_so_and_ends_cleanly(tmp_path: Path, ending: signal.Signals) -> None:
    with process(tmp_path) as (listener, log):
        eventually_blocking(lambda: "listener_lock_unreachable" in log.read_text(), "a word about the missing database")
        assert listener.poll() is None
        listener.send_signal(ending)
        assert listener.wait(timeout=30) == 0
        assert "listener_stopped" in log.read_text()
        assert "Traceback" not in log.read_text()


def test_without_keys_it_says_what_is_missing(tmp_path: Path) -> None:
    with process(tmp_path, AES_MASTER_KEYS="") as (listener, log):
        assert listener.wait(timeout=30) == 2
        assert "AES_MASTER_KEYS is empty" in log.read_text()


async def test_a_whole_process_sees_a_crossing_and_survives_kill_9(
    tmp_path: Path, world: World, database_url: str, redis_url: str
) -> None:
    account = await world.log_in("alice")
    await world.hold(account)
    await world.hold(account, symbol="INFY", stop="1000")
    world.sim.set_prices({"TCS": "3600", "INFY": "1500"})
    around = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ZERODHA_API_URL": world.sim.kite_url,
        "ZERODHA_WS_URL": world.sim.kite_ws_url,
    }
    async with world.desk() as heard:
        with process(tmp_path, **around) as (listener, _):
            await world.subscribed_to("TCS", "INFY")
            world.sim.set_price("TCS", "3490")
            await eventually(lambda: heard, "the crossing")
            listener.kill()
            listener.wait()
        world.sim.set_price("INFY", "990")
        with process(tmp_path, **around):
            await eventually(lambda: {stop.price for stop in heard} == {3490, 990}, "the crossing of the downtime")
