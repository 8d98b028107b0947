"""The rest of what the document offers, once each on the running platform: by its owner, and where it matters by those it is not
for: a second user, a broker's staff, an administrator, and nobody."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from temporalio.client import Client

from api.one_time_codes import code_of, step_at
from local.parts.postgres import database_url
from local.sockets import socket_folder
from tests.conftest import NAMESPACE
from tests.e2e.conftest import ROOT, Platform
from tests.e2e.mailbox import Mailbox
from tests.e2e.walk import LIMIT_SECONDS, PASSWORD, PLAN, App
from tests.waiting import eventually_asked
from trading.sessions import trading_date
from workflows.names import READINESS_WORKFLOW

NEW_PASSWORD = "a longer horse battery staple"
SAMPLE = {"symbol": "SAMPLE", "quantity": 10, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss_percent": 1}
LINK = "/readiness/login/"
BARS = "time,price\n" + "".join(f"2026-11-19 09:{minute:02d}:00,{100 + minute % 3}\n" for minute in range(15, 60))


async def makes_an_admin(app: App, platform: Platform) -> None:
    """On the machine itself, as docs/how-to.md says."""
    email = "boss@example.com"
    url = database_url(socket_folder(platform.state))
    environment = {"DATABASE_URL": url, "ADMIN_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "api.admin_cli", "create-admin", email]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=60)
    app.sign_in(await app.call("POST", "/auth/login", {"email": email, "password": PASSWORD}))


async def secures(owner: App, other: App) -> None:
    """A new password, which ends the session of the `other` device; its next one ended by hand; a second factor, and
    a key for a script."""
    who = {"email": (await owner.get("/auth/me"))["email"], "password": NEW_PASSWORD}
    await owner.call("POST", "/auth/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    assert (await other.call("GET", "/auth/me", expect=401))["error"] == "TOKEN_INVALID"
    await other.call("POST", "/auth/login", {**who, "password": PASSWORD}, expect=401)
    other.sign_in(await other.call("POST", "/auth/login", who))
    (elsewhere,) = [one for one in (await owner.get("/auth/sessions"))["items"] if not one["is_current"]]
    await owner.call("DELETE", f"/auth/sessions/{elsewhere['session_id']}")
    assert (await other.call("GET", "/auth/me", expect=401))["error"] == "TOKEN_INVALID"
    proof = {"password": NEW_PASSWORD}
    secret = (await owner.call("POST", "/auth/totp", proof))["secret"]
    codes = (await owner.call("POST", "/auth/totp/confirm", {"code": code_of(secret, step_at(datetime.now(UTC)))}))[
        "recovery_codes"
    ]
    assert (await other.call("POST", "/auth/login", who, expect=401))["error"] == "SECOND_FACTOR_REQUIRED"
    codes = (await owner.call("POST", "/auth/totp/recovery-codes", {**proof, "code": codes[0]}))["recovery_codes"]
    made = await owner.call(
        "POST", "/auth/api-keys", {**proof, "code": codes[0], "name": "script", "scopes": ["read"]}, expect=201
    )
    script = owner.another(api_key=made["api_key"])
    assert (await script.get("/broker/list"))["items"]
    assert (await script.call("POST", "/kill-switch", {}, expect=403))["error"] == "API_KEY_SCOPE"
    assert [one["key_id"] for one in (await owner.get("/auth/api-keys"))["items"]] == [made["key_id"]]
    await owner.call("DELETE", f"/auth/api-keys/{made['key_id']}")
    await script.call("GET", "/broker/list", expect=401)
    await owner.call("POST", "/auth/totp/disable", {**proof, "code": codes[1]})
    other.sign_in(await other.call("POST", "/auth/login", who))


async def logs_in_at_the_broker(owner: App, platform: Platform, broker_id: str) -> None:
    """As a browser does: to the broker's page and back; and the broker's own message about an order."""
    asked = (await owner.get(f"/broker/{broker_id}/login-url"))["login_url"]
    nobody = owner.another()
    login = platform.control("POST", "/accounts/sim-walker/request-token")
    query = f"request_token={login['request_token']}&state={_state(asked)}"
    assert "Logged in" in await nobody.call("GET", f"/broker/zerodha/callback?{query}")
    assert "begin the login there once more" in await nobody.call(
        "GET", "/broker/zerodha/callback?request_token=x&state=stale", expect=400, accept="text/html"
    )
    user_id = (await owner.get(f"/broker/{broker_id}"))["broker_user_id"]
    (bought, *_) = platform.control("GET", "/accounts/sim-walker/orders")
    order = {**bought, "user_id": user_id, "unfilled_quantity": 0}
    signed = hashlib.sha256(f"{order['order_id']}{order['order_timestamp']}sim-walker-secret".encode()).hexdigest()
    await nobody.call("POST", "/postback/zerodha", {**order, "checksum": "0" * 64}, expect=403)
    await nobody.call("POST", "/postback/zerodha", {**order, "checksum": signed})


def _state(login_url: str) -> str:
    query = parse_qs(urlsplit(login_url).query)
    return query["state"][0] if "state" in query else parse_qs(query["redirect_params"][0])["state"][0]


async def keeps_strangers_out(owner: App, stranger: App, strategy_id: str, result_id: str) -> None:
    """A second user with an account of their own, and the first one's ids."""
    who = {"email": "stranger@example.com", "password": PASSWORD}
    stranger.sign_in(await stranger.call("POST", "/auth/register", who, expect=201))
    for path in (f"/strategy/{strategy_id}/stream", f"/playground/results/{result_id}", f"/playground/results/{result_id}/days"):
        await stranger.call("GET", path, expect=404)
        await owner.another().call("GET", path, expect=401)
    await stranger.call("DELETE", f"/playground/results/{result_id}", expect=404)
    async with stranger.listening("/stream"), owner.listening(f"/strategy/{strategy_id}/stream"):
        assert owner.brought("snapshot")[0]["strategies"], "the owner sees the strategy that runs"
        assert stranger.brought("snapshot")[0]["strategies"] == []


async def runs_once_more(owner: App, stranger: App, result_id: str) -> str:
    """A paper account with a run of its own: it cannot be deleted before that is over. Returns the strategy."""
    paper = (await owner.call("POST", "/broker/connect", {"broker": "paper", "cash": 100_000}, expect=201))["broker_id"]
    assert (await owner.get(f"/broker/{paper}/paper"))["cash"] == 100_000
    assert (await owner.call("POST", f"/broker/{paper}/paper/reset", {"cash": 500_000}))["cash"] == 500_000
    plan = {**PLAN, "stop_loss": 1000, "broker_id": paper}
    strategy_id = str((await owner.call("POST", "/strategy/create", plan, expect=201))["strategy_id"])
    await owner.call("POST", "/strategy/start", {"strategy_id": strategy_id, "start": "now"})
    assert (await owner.get(f"/strategy/{strategy_id}"))["broker_id"] == paper
    assert (await owner.call("DELETE", f"/broker/{paper}", expect=409))["error"] == "BROKER_IN_USE"
    assert (await owner.call("DELETE", f"/strategy/{strategy_id}", expect=409))["error"] == "STRATEGY_RUNNING"
    await owner.until_status(strategy_id, lambda status: status["quantity"] == 10, "it has bought on paper")
    await keeps_strangers_out(owner, stranger, strategy_id, result_id)
    await owner.call("POST", "/strategy/stop", {"strategy_id": strategy_id})
    await owner.until_status(strategy_id, lambda status: status["run_state"] == "ended", "it is over")
    await owner.call("DELETE", f"/broker/{paper}")
    return strategy_id


async def plays(owner: App, broker_id: str) -> str:
    """Prices of one's own and of the broker, a day order by order, and one that is called off. Returns a result."""
    data = await owner.call("POST", "/playground/data?symbol=TCS", expect=201, content=BARS)
    day = trading_date(datetime.now(UTC)).isoformat()
    fetched = await owner.call(
        "POST",
        "/playground/data/from-broker",
        {"broker_id": broker_id, "symbol": "TCS", "from_day": day, "to_day": day},
        expect=201,
    )
    assert {one["data_id"] for one in (await owner.get("/playground/data"))["items"]} == {data["data_id"], fetched["data_id"]}
    slow = await owner.call("POST", "/playground/simulate", {"plan": {**SAMPLE, "stop_loss_percent": 50}, "speed": 1}, expect=202)
    path = f"/playground/results/{slow['result_id']}"
    await owner.until_found(path, lambda found: found["status"] == "playing", "the day is being shown")
    assert (await owner.call("DELETE", path, expect=409))["error"] == "RESULT_NOT_OVER"
    assert (await owner.call("POST", f"{path}/cancel"))["status"] == "cancelled"
    await owner.call("DELETE", path)
    quick = {"plan": {**SAMPLE, "symbol": "TCS"}, "data_id": data["data_id"], "day": "2026-11-19"}
    result_id = str((await owner.call("POST", "/playground/simulate", quick, expect=202))["result_id"])
    path = f"/playground/results/{result_id}"
    await owner.until_found(path, lambda found: found["status"] == "completed", "the day is over")
    assert "bought" in [event["kind"] for event in (await owner.get(path))["simulation"]["events"]]
    results = (await owner.get("/playground/results"))["items"]
    backtest = next(one["result_id"] for one in results if one["kind"] == "backtest")
    assert (await owner.get(f"/playground/results/{backtest}/days"))["items"]
    assert await owner.get(f"/playground/results/{backtest}/days.csv")
    await owner.call("DELETE", f"/playground/data/{data['data_id']}")
    return result_id


async def is_told(owner: App, box: Mailbox) -> None:
    """Targets and devices, tried and taken away."""
    target = (await owner.call("POST", "/notifications/targets", {"address": box.address}, expect=201))["target_id"]
    assert [one["target_id"] for one in (await owner.get("/notifications/targets"))["items"]] == [target]
    assert (await owner.call("POST", f"/notifications/targets/{target}/test"))["delivered"] is True
    assert len(box.messages) == 1
    await owner.call("PATCH", f"/notifications/targets/{target}", {"label": "webhook"})
    (device,) = (await owner.get("/notifications/devices"))["items"]
    path = f"/notifications/devices/{device['device_id']}"
    await owner.call("PATCH", path, {"label": "phone"})
    assert (await owner.call("POST", f"{path}/test", expect=409))["error"] == "PUSH_NOT_SET_UP"
    await owner.call("DELETE", path)


async def is_woken(owner: App, box: Mailbox, platform: Platform, temporal_address: str) -> None:
    """The morning's look, before its time: an account without a login, what to do about it, and quiet hours that hold it back
    until they are over."""
    (target,) = (await owner.get("/notifications/targets"))["items"]
    now = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    quiet = {"quiet_from": f"{now - timedelta(hours=1):%H:%M}:00", "quiet_to": f"{now + timedelta(hours=1):%H:%M}:00"}
    await owner.call("PATCH", f"/notifications/targets/{target['target_id']}", quiet)
    login = platform.control("POST", "/accounts/sim-sleeper/access-token")
    body = {"api_key": "sim-sleeper", "api_secret": "sim-sleeper-secret", "access_token": login["access_token"]}
    sleeper = (await owner.call("POST", "/broker/connect", {"broker": "zerodha", **body}, expect=201))["broker_id"]
    plan = {**PLAN, "buy_time": "23:58:00", "stop_loss": 1000, "broker_id": sleeper}
    strategy_id = (await owner.call("POST", "/strategy/create", plan, expect=201))["strategy_id"]
    await owner.call("POST", f"/strategy/start/{strategy_id}")
    platform.control("POST", "/accounts/sim-sleeper/expire-token")
    client = await Client.connect(temporal_address, namespace=NAMESPACE)
    # Not by its schedule: that one belongs to whichever platform came first to this server.
    await client.start_workflow(READINESS_WORKFLOW, "08:45", id=f"readiness-{uuid4().hex}", task_queue=platform.task_queue)

    def of_sleeper(found: dict[str, Any]) -> list[dict[str, str]]:
        return [alert for alert in found["items"] if alert["broker_id"] == sleeper]

    (alert,) = of_sleeper(await owner.until_found("/alerts?kind=not_ready", of_sleeper, "the morning's look is told"))
    link = next(word for word in alert["message"].split() if LINK in word)
    assert await owner.another().call("GET", urlsplit(link).path.removeprefix("/api/v1"), expect=303) == ""
    assert not [message for message in box.messages if LINK in message["message"]], "it is quiet, and this is not about an exit"
    await owner.call("PATCH", f"/notifications/targets/{target['target_id']}", {"quiet_from": None, "quiet_to": None})

    async def heard() -> bool:
        return any(link in message["message"] for message in box.messages)

    await eventually_asked(heard, bool, "what was held back is told", deadline_seconds=LIMIT_SECONDS)
    await owner.call("POST", f"/alerts/{alert['alert_id']}/acknowledge")
    await owner.call("POST", f"/strategy/stop/{strategy_id}")
    await owner.until_status(strategy_id, lambda status: status["run_state"] == "ended", "it is called off")
    await owner.call("DELETE", f"/broker/{sleeper}")
    await owner.call("DELETE", f"/notifications/targets/{target['target_id']}")


async def is_administered(boss: App, staff: App, owner: App, broker_id: str) -> None:
    """What Admins see and switch, a stop by force, and people who come and go."""
    who = {"email": "staff@example.com", "password": PASSWORD}
    made = await boss.call("POST", "/admin/users", {**who, "role": "Broker", "broker": "zerodha"}, expect=201)
    staff.sign_in(await staff.call("POST", "/auth/login", who))
    assert (await staff.get("/broker/stats"))["items"][0]["broker"] == "zerodha"
    assert "walker@example.com" not in json.dumps(await staff.get("/broker/stats"))
    await staff.get("/broker/stats/health")
    for path in ("/orders", "/stream", "/admin/users", "/playground/results"):
        assert (await staff.call("GET", path, expect=403))["error"] == "FORBIDDEN"
    await owner.call("GET", "/admin/users", expect=403)
    plan = {**PLAN, "stop_loss": 1000, "broker_id": broker_id}
    strategy_id = str((await owner.call("POST", "/strategy/create", plan, expect=201))["strategy_id"])
    await boss.call("PUT", "/admin/config/maintenance", {"on": True, "reason": "a new disk"})
    assert (await owner.call("POST", f"/strategy/start/{strategy_id}", {"start": "now"}, expect=409))["error"] == "MAINTENANCE"
    await boss.call("PUT", "/admin/config/maintenance", {"on": False})
    for path in ("brokers/dhan", "flags/registration"):
        await boss.call("PUT", f"/admin/config/{path}", {"on": False, "reason": "for a moment"})
        await boss.call("PUT", f"/admin/config/{path}", {"on": True})
    await owner.call("POST", f"/strategy/start/{strategy_id}", {"start": "now"})
    await owner.until_status(strategy_id, lambda status: status["quantity"] == 10, "it has bought")
    running = (await boss.get("/admin/strategies?status=running"))["items"]
    (walker,) = [one["owner_id"] for one in running if one["strategy"]["strategy_id"] == strategy_id]
    assert (await boss.call("DELETE", f"/admin/users/{walker}", expect=409))["error"] == "USER_HAS_OPEN_RUNS"
    await boss.call("POST", f"/admin/strategies/{strategy_id}/force-stop", {"reason": "Your broker asked us to"})
    await owner.until_status(strategy_id, lambda status: status["run_state"] == "ended", "it was stopped by force")
    assert "Your broker asked us to" in json.dumps(await owner.get(f"/strategy/{strategy_id}/timeline"))
    assert (await boss.get(f"/admin/users/{walker}"))["email"] == "walker@example.com"
    await boss.call("PATCH", f"/admin/users/{made['user_id']}", {"name": "Staff"})
    await boss.call("DELETE", f"/admin/users/{made['user_id']}")
    await staff.call("GET", "/broker/stats", expect=401)
    for path in ("users", "system", "system/metrics", "logs", "config", "audit", "audit/check"):
        assert await boss.get(f"/admin/{path}")
    nobody = boss.another()
    for path in ("/health", "/ready"):
        assert (await nobody.get(path))["version"]
    assert "algo_" in await nobody.get("/metrics")
