"""Every route, asked by somebody it does not belong to. A route that is not in these tables fails the first test."""

import json
from typing import Any

import pytest

from tests.api.conftest import Client, Platform, openapi_document
from tests.api.rows import add_alert, add_event, add_prices, add_result, add_run

Route = tuple[str, str]
TELEGRAM = "tgram://123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/987654321"

# Routes with an id of something that has an owner, and a body that is acceptable otherwise.
OWNED: dict[Route, Any] = {
    ("GET", "/broker/{broker_id}"): None,
    ("DELETE", "/broker/{broker_id}"): None,
    ("GET", "/broker/{broker_id}/login-url"): None,
    ("POST", "/broker/{broker_id}/session"): {"access_token": "token"},
    ("GET", "/broker/{broker_id}/positions"): None,
    ("GET", "/broker/{broker_id}/orders"): None,
    ("GET", "/broker/{broker_id}/margins"): None,
    ("GET", "/strategy/{strategy_id}"): None,
    ("PUT", "/strategy/{strategy_id}"): {"quantity": 5},
    ("DELETE", "/strategy/{strategy_id}"): None,
    ("POST", "/strategy/start/{strategy_id}"): {},
    ("POST", "/strategy/stop/{strategy_id}"): {},
    ("GET", "/strategy/status/{strategy_id}"): None,
    ("PATCH", "/strategy/{strategy_id}/running"): {"stop_loss": 3400},
    ("GET", "/strategy/{strategy_id}/runs"): None,
    ("GET", "/strategy/{strategy_id}/timeline"): None,
    ("GET", "/strategy/{strategy_id}/stream"): None,
    ("GET", "/orders/{order_id}"): None,
    ("POST", "/alerts/{alert_id}/acknowledge"): None,
    ("GET", "/playground/results/{result_id}"): None,
    ("GET", "/playground/results/{result_id}/days"): None,
    ("GET", "/playground/results/{result_id}/days.csv"): None,
    ("POST", "/playground/results/{result_id}/cancel"): None,
    ("DELETE", "/playground/results/{result_id}"): None,
    ("DELETE", "/playground/data/{data_id}"): None,
    ("PATCH", "/notifications/targets/{target_id}"): {"label": "mine now"},
    ("DELETE", "/notifications/targets/{target_id}"): None,
    ("POST", "/notifications/targets/{target_id}/test"): {},
    ("PATCH", "/notifications/devices/{device_id}"): {"label": "mine now"},
    ("POST", "/notifications/devices/{device_id}/test"): {},
    ("DELETE", "/notifications/devices/{device_id}"): None,
}
# Routes that name somebody's thing in their body or query.
NAMED: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "/strategy/start", {"strategy_id": "strategy_id"}),
    ("POST", "/strategy/stop", {"strategy_id": "strategy_id"}),
    ("PUT", "/risk-limits", {"broker_id": "broker_id"}),
    ("POST", "/playground/data/from-broker", {"broker_id": "broker_id"}),
]
# What else such a body must hold.
BESIDE = {
    "/playground/data/from-broker": {"exchange": "NSE", "symbol": "TCS", "from_day": "2026-11-16", "to_day": "2026-11-17"},
}
# Lists and sums: they answer, and hold nothing of anybody else.
OWN_ONLY: set[Route] = {
    ("GET", "/broker/list"),
    ("GET", "/strategy/list"),
    ("GET", "/orders"),
    ("GET", "/alerts"),
    ("GET", "/playground/results"),
    ("GET", "/playground/data"),
    ("GET", "/kill-switch"),
    ("GET", "/risk-limits"),
    ("GET", "/analytics/summary"),
    ("GET", "/analytics/pnl"),
    ("GET", "/analytics/report"),
    ("GET", "/analytics/equity"),
    ("GET", "/readiness"),
    ("GET", "/notifications/targets"),
    ("GET", "/notifications/devices"),
    ("GET", "/auth/me"),
}
# Tested in files of their own, with two users where it matters.
ELSEWHERE: set[Route] = {
    ("GET", "/broker/{broker_id}/paper"),
    ("POST", "/broker/{broker_id}/paper/reset"),
    ("GET", "/stream"),
    ("POST", "/kill-switch"),
    ("DELETE", "/kill-switch"),
    ("POST", "/broker/connect"),
    ("POST", "/strategy/create"),
    ("POST", "/playground/simulate"),
    ("POST", "/playground/backtest"),
    ("POST", "/playground/data"),
    ("GET", "/instruments"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/{session_id}"),
    ("POST", "/auth/totp"),
    ("POST", "/auth/totp/confirm"),
    ("POST", "/auth/totp/disable"),
    ("POST", "/auth/totp/recovery-codes"),
    ("GET", "/auth/api-keys"),
    ("POST", "/auth/api-keys"),
    ("DELETE", "/auth/api-keys/{key_id}"),
    ("GET", "/analytics/report.csv"),
    ("POST", "/notifications/targets"),
    ("POST", "/notifications/devices"),
    ("GET", "/analytics/runs.csv"),
}
FOR_ADMINS: set[Route] = {
    ("GET", "/admin/users"),
    ("POST", "/admin/users"),
    ("GET", "/admin/users/{user_id}"),
    ("PATCH", "/admin/users/{user_id}"),
    ("DELETE", "/admin/users/{user_id}"),
    ("GET", "/admin/strategies"),
    ("POST", "/admin/strategies/{strategy_id}/force-stop"),
    ("GET", "/admin/system"),
    ("GET", "/admin/system/metrics"),
    ("GET", "/admin/logs"),
    ("GET", "/admin/config"),
    ("PUT", "/admin/config/maintenance"),
    ("PUT", "/admin/config/brokers/{broker}"),
    ("PUT", "/admin/config/flags/{flag}"),
    ("GET", "/admin/audit"),
    ("GET", "/admin/audit/check"),
    ("GET", "/broker/stats"),
    ("GET", "/broker/stats/health"),
}
PUBLIC: set[Route] = {
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("GET", "/broker/{broker}/callback"),
    ("POST", "/postback/{broker}"),
    ("GET", "/readiness/login/{ticket}"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
}


def all_routes() -> set[Route]:
    paths = openapi_document()["paths"]
    return {(method.upper(), path.removeprefix("/api/v1")) for path, methods in paths.items() for method in methods}


def test_every_route_is_in_one_of_the_tables() -> None:
    tables = [set(OWNED), {(method, path) for method, path, _ in NAMED}, OWN_ONLY, ELSEWHERE, FOR_ADMINS, PUBLIC]
    listed = [route for table in tables for route in table]
    assert set(listed) == all_routes()
    assert len(listed) == len(set(listed))


async def everything_of(platform: Platform, owner: Client) -> dict[str, str]:
    """One of each thing a user can own."""
    broker_id = await platform.connect(owner, f"key-{owner.user_id}")
    run = await add_run(platform, owner, broker_id, order_tag="t1")
    await add_event(platform, run, "bought")
    alert = await add_alert(platform, owner.user_id, key=f"k-{owner.user_id}")
    await owner.post("/kill-switch", {"scope": "account", "scope_id": broker_id, "square_off": False})
    await owner.call("PUT", "/risk-limits", json={"max_orders_per_day": 5}, expect=200)
    order_id = (await owner.get("/orders"))["items"][0]["order_id"]
    target = await owner.post("/notifications/targets", {"address": TELEGRAM}, expect=201)
    device = await owner.post("/notifications/devices", {"platform": "web", "token": f"push-{owner.user_id}"}, expect=201)
    return {
        "broker_id": broker_id,
        "strategy_id": run.strategy_id,
        "order_id": order_id,
        "alert_id": alert.id,
        "run_id": run.id,
        "data_id": (await add_prices(platform, owner)).id,
        "result_id": (await add_result(platform, owner)).id,
        "target_id": target["target_id"],
        "device_id": device["device_id"],
    }


async def test_another_users_things_are_404_on_every_route(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    owned = await everything_of(platform, owner)
    await platform.connect(stranger, "stranger")
    before = await snapshot(owner, owned)
    for (method, path), body in OWNED.items():
        response = await stranger.call(method, path.format(**owned), json=body)
        assert (method, path, response.status_code) == (method, path, 404), response.text
    for method, path, names in NAMED:
        body = {field: owned[name] for field, name in names.items()} | BESIDE.get(path, {})
        response = await stranger.call(method, path, json=body)
        assert (method, path, response.status_code) == (method, path, 404), response.text
    assert await snapshot(owner, owned) == before


async def snapshot(owner: Client, owned: dict[str, str]) -> dict[str, Any]:
    """All the owner can see of it, without the instants at which it was looked at."""
    shown = {
        "plan": await owner.get(f"/strategy/{owned['strategy_id']}"),
        "status": await owner.get(f"/strategy/status/{owned['strategy_id']}"),
        "account": await owner.get(f"/broker/{owned['broker_id']}"),
        "limits": await owner.get("/risk-limits"),
        "alerts": await owner.get("/alerts"),
        "prices": await owner.get("/playground/data"),
        "result": await owner.get(f"/playground/results/{owned['result_id']}"),
        "switches": await owner.get("/kill-switch"),
        "lines": await owner.get(f"/strategy/{owned['strategy_id']}/timeline"),
    }
    shown["status"].pop("as_of")
    return shown


async def test_the_owner_gets_none_of_these_404s(platform: Platform) -> None:
    owner = await platform.user()
    owned = await everything_of(platform, owner)
    for method, path in OWNED:
        # Streams never end, and what is deleted is gone for the routes after it.
        if method == "GET" and not path.endswith("/stream"):
            response = await owner.call(method, path.format(**owned))
            assert (path, response.status_code) == (path, 200), response.text


async def test_an_id_that_exists_nowhere_is_answered_like_a_strangers(platform: Platform) -> None:
    user = await platform.user()
    nowhere = {name: f"{name[:3]}_{'0' * 26}" for name in ("strategy_id", "broker_id", "order_id", "alert_id")}
    nowhere |= {"broker_id": "brk_" + "0" * 26, "alert_id": "alt_" + "0" * 26}
    nowhere |= {"result_id": "pgj_" + "0" * 26, "data_id": "dat_" + "0" * 26}
    nowhere |= {"target_id": "ntf_" + "0" * 26, "device_id": "dev_" + "0" * 26}
    for (method, path), body in OWNED.items():
        for ids in (
            nowhere,
            dict.fromkeys(nowhere, "nonsense"),
            dict.fromkeys(nowhere, "a%00b"),
            dict.fromkeys(nowhere, "x" * 300),
        ):
            response = await user.call(method, path.format(**ids), json=body)
            assert (method, path, response.status_code) == (method, path, 404), response.text


async def test_lists_and_sums_hold_nothing_of_anybody_else(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    owned = await everything_of(platform, owner)
    for _, path in sorted(OWN_ONLY):
        answer = json.dumps(await stranger.get(path))
        assert not [name for name, value in owned.items() if value in answer], path
        assert owner.user_id not in answer
    assert (await stranger.get("/analytics/summary"))["open_runs"] == 0
    filtered = await stranger.get("/orders", params={"run_id": owned["run_id"], "strategy_id": owned["strategy_id"]})
    assert filtered["items"] == []


async def test_without_a_token_every_route_but_the_public_ones_is_401(platform: Platform) -> None:
    ids = {"strategy_id": "str_x", "broker_id": "brk_x", "order_id": "ord_x", "alert_id": "alt_x", "user_id": "usr_x"}
    ids |= {"session_id": "fam_x", "key_id": "key_x"}
    ids |= {"broker": "zerodha", "flag": "registration"}
    ids |= {"result_id": "pgj_x", "data_id": "dat_x"}
    ids |= {"broker": "zerodha", "flag": "registration", "target_id": "ntf_x", "device_id": "dev_x"}
    for method, path in sorted(all_routes() - PUBLIC):
        response = await platform.anonymous().call(method, path.format(**ids))
        assert (method, path, response.status_code, response.json()["error"]) == (method, path, 401, "UNAUTHENTICATED")


async def test_what_is_for_admins_is_403_for_users(platform: Platform) -> None:
    user = await platform.user()
    ids = {"user_id": user.user_id, "strategy_id": await user.create(), "broker": "zerodha", "flag": "registration"}
    for method, path in sorted(FOR_ADMINS):
        response = await user.call(method, path.format(**ids), json={"role": "Admin"} if method == "PATCH" else None)
        assert (path, response.status_code, response.json()["error"]) == (path, 403, "FORBIDDEN")
    assert (await user.get("/auth/me"))["role"] == "User"


@pytest.mark.parametrize("scope", ["account", "strategy", "user"])
async def test_a_kill_switch_over_somebody_elses_things_is_refused(platform: Platform, scope: str) -> None:
    owner, stranger = await platform.user(), await platform.user()
    owned = await everything_of(platform, owner)
    target = {"account": owned["broker_id"], "strategy": owned["strategy_id"], "user": owner.user_id}[scope]
    body = {"scope": scope, "scope_id": target}
    assert (await stranger.call("POST", "/kill-switch", json=body)).status_code in (403, 404)
    assert (await stranger.call("DELETE", "/kill-switch", params={**body, "reason": "over"})).status_code in (403, 404)
    assert [switch["scope"] for switch in (await owner.get("/kill-switch"))["items"]] == ["account"]


async def test_a_strategy_cannot_be_made_for_somebody_elses_account(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    broker_id = await platform.connect(owner)
    strategy_id = await stranger.create()
    plan = {"symbol": "TCS", "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss": 3500, "quantity": 1}
    await stranger.refused("POST", "/strategy/create", 404, "BROKER_NOT_FOUND", json={**plan, "broker_id": broker_id})
    await stranger.refused("PUT", f"/strategy/{strategy_id}", 404, "BROKER_NOT_FOUND", json={"broker_id": broker_id})


async def test_the_same_broker_user_connected_by_two_users_is_two_accounts(platform: Platform) -> None:
    first, second = await platform.user(), await platform.user()
    one = await platform.connect(first, "one", user_id="AB1234")
    two = await platform.connect(second, "two", user_id="AB1234")
    assert one != two
    assert [account["broker_id"] for account in (await first.get("/broker/list"))["items"]] == [one]
