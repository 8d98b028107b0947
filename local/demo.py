"""The demo: one trade from buy to stop-loss before the reader's eyes, through the same API an app uses."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import aiohttp
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from local.errors import StackError
from trading.sessions import INDIA

DEMO_EMAIL = "demo@example.com"
DEMO_PASSWORD = "demo-password"  # noqa: S105 - an account on this machine with simulated money, printed on the screen
API_KEY = "sim-demo"
SYMBOL = "TCS"
QUANTITY = 10
# The stop sits this far below the price of the moment, and the price is then walked down to it.
STOP_DISTANCE = Decimal("0.006")
FALL_SECONDS = 6
# A trade of the demo takes some ten seconds; one that takes this long is stuck.
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.25

_COLOURS = {"bought": "green", "sold": "green", "stop_hit": "red", "order_sent": "cyan", "stop_armed": "yellow", "ended": "bold"}


async def run(*, api_url: str, simulator_control_url: str, console: Console) -> None:
    """Creates the demo user if missing, connects the simulated broker and runs one strategy through the API.

    Raises StackError with one sentence when a step is refused or takes too long.
    """
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        demo = Demo(Caller(http, f"{api_url}/api/v1"), Caller(http, f"{simulator_control_url}/control"), console)
        await demo.wait_until_ready()
        await demo.log_in()
        await demo.connect_account()
        await demo.trade()


@dataclass(slots=True)
class Caller:
    """JSON over HTTP at one base URL."""

    http: aiohttp.ClientSession
    base: str
    token: str = ""

    async def __call__(self, method: str, path: str, body: object = None, *, accept: tuple[int, ...] = ()) -> Any:
        """The answer's JSON. A status of 400 or more that is not in `accept` raises StackError with the answer's own words."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(method, self.base + path, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            if response.status >= 400 and response.status not in accept:
                words = answer.get("message") or answer.get("error") if isinstance(answer, dict) else answer
                raise StackError(f"{method} {path} answered {response.status}: {words}")
            return answer


class Demo:
    def __init__(self, api: Caller, simulator: Caller, console: Console) -> None:
        self._api = api
        self._simulator = simulator
        self._console = console
        self._broker_id = ""

    async def wait_until_ready(self) -> None:
        """The processes answer before they are ready: instruments have to be loaded, the worker has to show itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (ready := await self._api("GET", "/ready", accept=(503,)))["status"] == "not_ready":
            if time.monotonic() > deadline:
                waiting = ", ".join(part["name"] for part in ready["parts"] if part["needed"] and part["state"] != "ok")
                raise StackError(f"the platform is not ready after {PATIENCE_SECONDS:.0f} s: {waiting}")
            await asyncio.sleep(POLL_SECONDS)

    async def log_in(self) -> None:
        who = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        answer = await self._api("POST", "/auth/register", {**who, "name": "Demo"}, accept=(409,))
        if "token" not in answer:
            answer = await self._api("POST", "/auth/login", who)
        self._api.token = answer["token"]

    async def connect_account(self) -> None:
        """Connect `sim-demo`; on a later day, when its token is dead, log it in again."""
        accounts = (await self._api("GET", "/broker/list"))["items"]
        if not accounts:
            token = await self._simulated_login()
            body = {"broker": "zerodha", "api_key": API_KEY, "api_secret": f"{API_KEY}-secret", "access_token": token}
            self._broker_id = (await self._api("POST", "/broker/connect", body))["broker_id"]
            return
        self._broker_id = accounts[0]["broker_id"]
        margins = await self._api("GET", f"/broker/{self._broker_id}/margins", accept=(400, 401, 403, 409, 502, 503))
        if "error" in margins:
            body = {"access_token": await self._simulated_login()}
            await self._api("POST", f"/broker/{self._broker_id}/session", body)

    async def _simulated_login(self) -> str:
        return str((await self._simulator("POST", f"/accounts/{API_KEY}/access-token"))["access_token"])

    async def trade(self) -> None:
        """Buy now, wait for the cover, let the price fall, and watch until the position is proven flat."""
        price = Decimal(str((await self._simulator("GET", "/prices"))[SYMBOL]["last_price"]))
        stop = (price * (1 - STOP_DISTANCE)).quantize(Decimal(1), ROUND_FLOOR)
        plan = {"symbol": SYMBOL, "quantity": QUANTITY, "buy_time": "00:00:00", "sell_time": "23:59:59", "stop_loss": str(stop)}
        strategy_id = (await self._api("POST", "/strategy/create", {**plan, "broker_id": self._broker_id, "name": "Demo"}))[
            "strategy_id"
        ]
        await self._api("POST", f"/strategy/start/{strategy_id}", {"start": "now"})
        self._console.print(f"\n[bold]One trade:[/] buy {QUANTITY} {SYMBOL} at about ₹{price:,.2f}, stop-loss at ₹{stop:,.2f}.\n")
        try:
            await self._watch(strategy_id, fall_to=stop - 2)
        finally:
            await self._simulator("POST", "/prices/source", {"symbols": [SYMBOL], "source": {"kind": "walk"}})
        await self._prove_flat()

    async def _watch(self, strategy_id: str, *, fall_to: Decimal) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        falling = False
        with Live(console=self._console, refresh_per_second=8, transient=False) as live:
            while True:
                status = await self._api("GET", f"/strategy/status/{strategy_id}")
                events = (await self._api("GET", f"/strategy/{strategy_id}/timeline"))["items"]
                live.update(_picture(status, events, falling=falling))
                if status["status"] != "running":
                    break
                if not falling and any(event["kind"] == "stop_armed" for event in events):
                    falling = True
                    await self._let_it_fall(fall_to)
                if time.monotonic() > deadline:
                    raise StackError(f"the demo trade did not end within {PATIENCE_SECONDS:.0f} s; `make status` shows the parts")
                await asyncio.sleep(POLL_SECONDS)
        if status["position"] != "EXITED_BY_SL":
            raise StackError(f"the demo trade ended {status['end_reason']}: {status['end_detail']}")

    async def _let_it_fall(self, to: Decimal) -> None:
        ramp = {"kind": "ramp", "to": str(to), "seconds": FALL_SECONDS, "interval_seconds": 0.25}
        await self._simulator("POST", "/prices/source", {"symbols": [SYMBOL], "source": ramp})

    async def _prove_flat(self) -> None:
        """Not our word: the broker's."""
        positions = (await self._api("GET", f"/broker/{self._broker_id}/positions"))["items"]
        net = sum(row["net_quantity"] for row in positions if row["symbol"] == SYMBOL)
        if net != 0:
            raise StackError(f"the broker still shows {net} {SYMBOL}")
        self._console.print(f"[green]Proven flat:[/] the broker's own position in {SYMBOL} is 0.\n")


def _picture(status: dict[str, Any], events: list[dict[str, Any]], *, falling: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("time")
    table.add_column("what happened", min_width=30)
    table.add_column("price", justify="right")
    table.add_column("late", justify="right")
    for event in events:
        at = datetime.fromisoformat(event["at"]).astimezone(INDIA)
        price = "" if event["price"] is None else f"₹{event['price']:,.2f}"
        late = "" if event["late_ms"] is None else f"{event['late_ms']} ms"
        style = _COLOURS.get(event["kind"], "")
        table.add_row(f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}", Text(event["message"], style=style), price, late)
    if status["status"] != "running":
        return table
    return Group(table, Spinner("dots", text=_now_line(status, falling=falling)))


def _now_line(status: dict[str, Any], *, falling: bool) -> Text:
    price = status["last_price"]
    seen = "waiting for a price" if price is None else f"{SYMBOL} ₹{price:,.2f}"
    profit = "" if status["pnl"] is None else f", profit and loss ₹{status['pnl']:,.2f}"
    what = "the price falls; the stop is watched on every tick" if falling else status["run_state"] or "starting"
    return Text(f"{datetime.now(UTC).astimezone(INDIA):%H:%M:%S}  {seen}{profit}  ({what})", style="dim")
