"""The whole platform as a newcomer starts it: every process, on free ports, judged by the exchange's own log."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.ports import LOOPBACK
from tests.chaos.traders import FIELDS
from tests.ports import stack_ports
from tests.waiting import eventually_blocking
from trading.accounts import BrokerName

ROOT = Path(__file__).parents[2]
# Starting eight processes on a busy machine; only a failure takes this long.
START_SECONDS = 150.0


@dataclass
class Platform:
    """A running stack, and what a person would do with it."""

    process: subprocess.Popen[str]
    output: Path
    state: Path
    api_url: str
    control_url: str
    task_queue: str
    token: str = ""

    def api(self, method: str, path: str, body: object = None) -> Any:
        return self._call(method, f"{self.api_url}/api/v1{path}", body)

    def control(self, method: str, path: str, body: object = None) -> Any:
        return self._call(method, f"{self.control_url}/control{path}", body)

    def _call(self, method: str, url: str, body: object) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token and url.startswith(self.api_url):
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 (loopback)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (loopback)
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.add_note(f"{method} {url}: {error.read().decode(errors='replace')[:500]}")
            raise

    def part_pid(self, name: str) -> int:
        """Process id of one part, as the stack's own record has it."""
        record = json.loads((self.state / "stack.json").read_text())
        return next(int(part["process"]["pid"]) for part in record["parts"] if part["name"] == name)

    def kill(self, name: str) -> None:
        os.kill(self.part_pid(name), signal.SIGKILL)

    def sign_up(self, name: str, *, broker: BrokerName = BrokerName.ZERODHA) -> str:
        """A user with a connected, logged-in simulated account; returns the account's id."""
        answer = self.api("POST", "/auth/register", {"email": f"{name}@example.com", "password": "a long password", "name": name})
        self.token = answer["token"]
        return str(self.api("POST", "/broker/connect", {"broker": broker.value, **self._secrets(name, broker)})["broker_id"])

    def _secrets(self, name: str, broker: BrokerName) -> dict[str, Any]:
        """What connecting takes there, from a login at the exchange."""
        if broker is BrokerName.PAPER:
            return {"cash": 1_000_000}
        login = self.control("POST", f"/accounts/sim-{name}/access-token", {"dialect": broker.value})
        return {theirs: login[ours] for ours, theirs in FIELDS[broker].items() if login[ours]}

    def start_now(self, *, symbol: str, stop_loss: float, quantity: int = 10) -> str:
        plan = {"symbol": symbol, "quantity": quantity, "buy_time": "00:00:00", "sell_time": "23:59:59", "stop_loss": stop_loss}
        strategy_id = str(self._patiently("POST", "/strategy/create", plan)["strategy_id"])
        self._patiently("POST", f"/strategy/start/{strategy_id}", {"start": "now"})
        return strategy_id

    def _patiently(self, method: str, path: str, body: object) -> Any:
        """A platform that has just started answers 503 until it has its lists and prices."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.api(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def status(self, strategy_id: str) -> Any:
        return self.api("GET", f"/strategy/status/{strategy_id}")

    def until(self, strategy_id: str, check: Any, what: str) -> None:
        """Asks slower than the limit of requests per user, which a minute of asking would reach."""

        def is_so() -> bool:
            time.sleep(0.1)
            return bool(check(self.status(strategy_id)))

        eventually_blocking(is_so, what, deadline_seconds=60)

    def placed(self, name: str) -> list[dict[str, Any]]:
        return list(self.control("GET", f"/log?action=place&account=sim-{name}&limit=1000")["entries"])

    def net_position(self, name: str, symbol: str) -> int:
        rows = self.control("GET", f"/accounts/sim-{name}/positions")["net"]
        return sum(int(row["quantity"]) for row in rows if row["tradingsymbol"] == symbol)


@pytest.fixture(scope="module")
def platform(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    state = tmp_path_factory.mktemp("platform")
    ports = stack_ports()
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "REDIS_URL", "JWT_KEYS", "AES_MASTER_KEYS")
        },
        "LOCAL_STATE": str(state),
        "TEMPORAL_ADDRESS": temporal_address,
        "TASK_QUEUE": f"e2e-{uuid4().hex}",
        "NOTIFICATION_HOSTS": LOOPBACK,
        **ports,
        "PYTHONUNBUFFERED": "1",
    }
    output = state / "terminal.txt"
    with output.open("w") as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "up"], cwd=ROOT, env=environment, stdout=terminal, stderr=subprocess.STDOUT, text=True
        )
    made = Platform(
        process,
        output,
        state,
        f"http://{LOOPBACK}:{ports['API_PORT']}",
        f"http://{LOOPBACK}:{ports['SIMULATOR_CONTROL_PORT']}",
        environment["TASK_QUEUE"],
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C" not in output.read_text():
            alive = process.poll() is None and time.monotonic() < deadline
            assert alive, f"the platform did not start:\n{output.read_text()}"
            time.sleep(0.2)
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=40)
        finally:
            process.kill()
