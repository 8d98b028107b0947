"""The steps of a user's day, call by call, as the mobile and the web app make them."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.conftest import Platform
from tests.e2e.document import Document
from tests.waiting import eventually_asked

PASSWORD = "correct horse battery staple"
SYMBOL, QUANTITY = "TCS", 10
LIMIT_SECONDS = 60.0
PLAN = {"symbol": SYMBOL, "quantity": QUANTITY, "buy_time": "00:00:00", "sell_time": "23:59:59"}


@dataclass
class App:
    """One device of the user's: what it sends with each call, and what its live stream has brought."""

    http: httpx.AsyncClient
    document: Document
    token: str = ""
    api_key: str = ""
    refresh_token: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        expect: int = 200,
        key: str = "",
        content: str = "",
        accept: str = "",
    ) -> Any:
        sent = {"Authorization": f"Bearer {self.token}" if self.token else "", "X-API-Key": self.api_key, "Idempotency-Key": key}
        sent |= {"Content-Type": "text/csv" if content else "", "Accept": accept}
        headers = {name: value for name, value in sent.items() if value}
        answer = await self.http.request(method, path, json=body, content=content or None, headers=headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        self.document.note(method, path, answer.status_code)
        return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text

    async def get(self, path: str) -> Any:
        return await self.call("GET", path)

    def another(self, *, api_key: str = "") -> "App":
        """Somebody who has not signed in."""
        return App(self.http, self.document, api_key=api_key)

    def sign_in(self, answer: dict[str, Any]) -> None:
        self.token, self.refresh_token = answer["token"], answer["refresh_token"]

    def brought(self, kind: str) -> list[dict[str, Any]]:
        return [data for found, data in self.events if found == kind]

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[None]:
        reading = asyncio.create_task(self._read(path))
        try:
            await self.until(lambda: bool(self.brought("snapshot")), "a snapshot")
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, path: str) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.stream("GET", path, headers=headers, timeout=None) as answer:
            self.document.note("GET", path, answer.status_code)
            kind = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.events.append((kind, json.loads(value)))

    async def until(self, check: Callable[[], bool], what: str) -> None:
        async def look() -> bool:
            return check()

        await eventually_asked(look, lambda seen: seen, what)

    async def until_status(self, strategy_id: str, check: Callable[[dict[str, Any]], bool], what: str) -> None:
        await self.until_found(f"/strategy/status/{strategy_id}", check, what)

    async def until_found(self, path: str, check: Callable[[Any], object], what: str) -> Any:
        """Asks slower than the limit of requests per user, which a minute of asking would reach."""

        async def look() -> Any:
            await asyncio.sleep(0.2)
            return await self.get(path)

        return await eventually_asked(look, check, what, deadline_seconds=LIMIT_SECONDS)


async def comes_in(web: App, mobile: App) -> None:
    """Registered in the browser, logged in on the phone, a token renewed."""
    who = {"email": "walker@example.com", "password": PASSWORD}
    web.sign_in(await web.call("POST", "/auth/register", {**who, "name": "Walker"}, expect=201))
    await web.call("POST", "/auth/register", who, expect=409)
    mobile.sign_in(await mobile.call("POST", "/auth/login", who))
    mobile.sign_in(await mobile.call("POST", "/auth/refresh", {"refresh_token": mobile.refresh_token}))
    assert (await mobile.get("/auth/me"))["email"] == who["email"]
    assert len((await web.get("/auth/sessions"))["items"]) == 2


async def connects(web: App, platform: Platform) -> str:
    """An account is connected, logged in to at the broker, listed and read."""
    secrets = {"api_key": "sim-walker", "api_secret": "sim-walker-secret"}
    connected = await web.call("POST", "/broker/connect", {"broker": "zerodha", **secrets}, expect=201)
    broker_id = str(connected["broker_id"])
    assert (await web.get(f"/broker/{broker_id}/login-url"))["login_url"]
    login = platform.control("POST", "/accounts/sim-walker/access-token")
    session = await web.call("POST", f"/broker/{broker_id}/session", {"access_token": login["access_token"]})
    assert session["status"] == "connected"
    assert [account["broker_id"] for account in (await web.get("/broker/list"))["items"]] == [broker_id]
    assert (await web.get(f"/broker/{broker_id}"))["environment"] == "simulated"
    assert (await web.get(f"/broker/{broker_id}/margins"))["available"] > 0
    assert (await web.get(f"/broker/{broker_id}/positions"))["items"] == []
    return broker_id


async def is_ready(mobile: App, broker_id: str) -> None:
    found = await mobile.get("/readiness")
    assert [account["broker_id"] for account in found["accounts"]] == [broker_id]
    assert found["ready"] is True
    listed = (await mobile.get(f"/instruments?query={SYMBOL}"))["items"]
    assert listed[0]["symbol"] == SYMBOL


async def trades(web: App, mobile: App) -> str:
    """Written down once although it was sent twice, started, changed, watched on the phone, stopped and proven flat."""
    plan = {**PLAN, "stop_loss": 1000}
    made = await web.call("POST", "/strategy/create", plan, expect=201, key="the-first-plan")
    again = await web.call("POST", "/strategy/create", plan, expect=201, key="the-first-plan")
    strategy_id = str(made["strategy_id"])
    assert again["strategy_id"] == strategy_id
    await web.call("PUT", f"/strategy/{strategy_id}", {"name": "Morning"})
    assert [one["name"] for one in (await mobile.get("/strategy/list"))["items"]] == ["Morning"]
    started = await mobile.call("POST", f"/strategy/start/{strategy_id}", {"start": "now"})
    assert (started["status"], started["environment"]) == ("running", "simulated")
    await mobile.until_status(strategy_id, lambda status: status["quantity"] == QUANTITY, "it has bought")
    changed = await mobile.call("PATCH", f"/strategy/{strategy_id}/running", {"stop_loss": 1010})
    assert changed["stop_loss"] == 1010
    await mobile.until(lambda: bool(mobile.brought("price")), "a price on the stream")
    stopped = await mobile.call("POST", f"/strategy/stop/{strategy_id}", {"square_off": True})
    assert stopped["square_off"] is True
    await web.until_status(strategy_id, lambda status: status["run_state"] == "ended", "it is flat and over")
    await mobile.until(lambda: any(one["run_state"] == "ended" for one in mobile.brought("state")), "its end on the stream")
    assert {one["leg"] for one in mobile.brought("order") if one["state"] == "filled"} == {"entry", "exit"}
    sold = sum(fill["quantity"] for fill in mobile.brought("fill") if fill["side"] == "SELL")
    assert sold == QUANTITY
    timeline = [line["sequence"] for line in (await web.get(f"/strategy/{strategy_id}/timeline"))["items"]]
    await mobile.until(lambda: len(mobile.brought("run_event")) >= len(timeline), "every line on the stream")
    assert [line["sequence"] for line in mobile.brought("run_event")][: len(timeline)] == timeline, "each line once, in order"
    return strategy_id


async def looks_back(web: App, strategy_id: str, broker_id: str) -> None:
    """What came of it: runs, orders with their fills, sums, the curve, and the same as files for spreadsheets."""
    (run,) = (await web.get(f"/strategy/{strategy_id}/runs"))["items"]
    assert run["end_reason"] == "stopped_by_user"
    orders = (await web.get("/orders"))["items"]
    assert {order["leg"] for order in orders} == {"entry", "exit"}
    fills = (await web.get(f"/orders/{orders[0]['order_id']}"))["fills"]
    assert sum(fill["quantity"] for fill in fills) == QUANTITY
    ours = (await web.get(f"/broker/{broker_id}/orders"))["items"]
    assert [order["ours"] for order in ours] == [True, True]
    await web.get("/analytics/summary")
    await web.get("/analytics/pnl")
    report = await web.get("/analytics/report?by=strategy")
    assert report["total"]["realised_pnl"] == run["realised_pnl"]
    await web.get("/analytics/equity")
    rows = list(csv.DictReader(io.StringIO(await web.get("/analytics/runs.csv"))))
    assert [row["run_id"] for row in rows] == [run["run_id"]]
    assert await web.get("/analytics/report.csv?by=day")


async def looks_after_itself(web: App, mobile: App, broker_id: str) -> None:
    """Limits, the kill switch, whom it wants told, and a backtest for tomorrow."""
    limits = await web.call("PUT", "/risk-limits", {"max_orders_per_day": 50})
    assert limits["max_orders_per_day"] == 50
    assert [one["broker_id"] for one in (await web.get("/risk-limits"))["items"]] == [broker_id]
    await mobile.call("POST", "/kill-switch", {"reason": "trying it"})
    assert [one["status"] for one in (await web.get("/kill-switch"))["items"]] == ["engaged"]
    blocked = str((await web.call("POST", "/strategy/create", {**PLAN, "stop_loss": 1000}, expect=201))["strategy_id"])
    assert (await web.call("POST", f"/strategy/start/{blocked}", expect=409))["error"] == "KILL_SWITCH_ENGAGED"
    await web.call("DELETE", "/kill-switch?reason=it+works")
    await web.call("DELETE", f"/strategy/{blocked}")
    await web.get("/alerts")
    await mobile.call("POST", "/notifications/devices", {"platform": "android", "token": "a-device-token"}, expect=201)
    assert len((await web.get("/notifications/devices"))["items"]) == 1
    wanted = {**PLAN, "symbol": "SAMPLE", "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss_percent": 1}
    result = await web.call("POST", "/playground/backtest", {"plans": [wanted]}, expect=202)
    path = f"/playground/results/{result['result_id']}"
    await web.until_found(path, lambda found: found["status"] == "completed", "the backtest is over")


async def goes(web: App, mobile: App) -> None:
    """Logged out on the phone; the browser goes on, and leaves as well."""
    await mobile.call("POST", "/auth/logout")
    assert (await mobile.call("GET", "/auth/me", expect=401))["error"] == "TOKEN_INVALID"
    assert len((await web.get("/auth/sessions"))["items"]) == 1
    await web.call("POST", "/auth/logout")
    await web.call("GET", "/strategy/list", expect=401)
