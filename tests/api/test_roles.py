"""Every path and method of the document, asked by every role, by nobody, and with a token that has expired."""

from collections.abc import Sequence
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.access import PREFIX
from api.main import create_app
from api.roles import PUBLIC, RULES, Rule
from storage.models import Role, User
from tests.api.conftest import Client, Platform, make_settings, openapi_document

NOWHERE = "0" * 26
IDS = {
    "strategy_id": f"str_{NOWHERE}",
    "broker_id": f"brk_{NOWHERE}",
    "order_id": f"ord_{NOWHERE}",
    "alert_id": f"alt_{NOWHERE}",
    "user_id": f"usr_{NOWHERE}",
    "flag": "registration",
    "result_id": f"pgj_{NOWHERE}",
    "data_id": f"dat_{NOWHERE}",
    "broker": "nowhere",
    "ticket": "nonsense",
    "target_id": f"ntf_{NOWHERE}",
    "device_id": f"dev_{NOWHERE}",
    "session_id": f"fam_{NOWHERE}",
    "key_id": f"key_{NOWHERE}",
}
# A stream never ends when it is allowed; this place to resume from is refused after the role was looked at.
QUERIES = {"GET /stream": {"headers": {"Last-Event-ID": "nonsense"}}}


def routes_of_the_document() -> list[str]:
    paths = openapi_document()["paths"]
    return sorted(f"{method.upper()} {path.removeprefix(PREFIX)}" for path, methods in paths.items() for method in methods)


def test_every_route_of_the_document_has_a_rule_and_every_rule_a_route() -> None:
    assert sorted(RULES) == routes_of_the_document(), "each route needs a line in api/roles.py, and each line a route"


async def ask(client: Client, route: str) -> tuple[int, str]:
    """Status and error code. Ids that exist nowhere, empty bodies: only the role decides between 401, 403 and the rest."""
    method, _, path = route.partition(" ")
    for name, value in IDS.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"{route}: give its id a value in IDS"
    response = await client.call(method, path, **QUERIES.get(route, {}), **({} if method == "GET" else {"json": {}}))
    try:
        found = response.json()
    except ValueError:
        return response.status_code, ""
    return response.status_code, found.get("error", "") if isinstance(found, dict) else ""


async def staff(platform: Platform, role: Role) -> Client:
    client = await platform.user()
    async with platform.services.database.transaction() as session:
        user = await session.get_one(User, client.user_id)
        user.role = role
        user.broker = "zerodha" if role is Role.BROKER else None
    return client


def judged(rule: Rule, role: Role, answer: tuple[int, str]) -> bool:
    is_let_in = answer[0] != 401 and answer[1] != "FORBIDDEN"
    return is_let_in if rule.is_public or role in rule.roles else answer == (403, "FORBIDDEN")


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_may_call_exactly_what_its_table_says(platform: Platform, role: Role) -> None:
    wrong = []
    client = await staff(platform, role)
    for route, rule in RULES.items():
        answer = await ask(client, route)
        if not judged(rule, role, answer):
            wrong.append((route, answer))
        if rule == RULES["POST /auth/logout"]:
            client = await staff(platform, role)
    assert wrong == []


async def asked_by(client: Client, routes: Sequence[str]) -> dict[str, tuple[int, str]]:
    return {route: await ask(client, route) for route in routes}


async def test_without_a_token_with_an_expired_one_and_with_nonsense_only_public_routes_answer(platform: Platform) -> None:
    late = await platform.user()
    platform.clock.advance(minutes=16)
    garbled = Client(platform.http, {"token": "nonsense"})
    closed = [route for route, rule in RULES.items() if not rule.is_public]
    assert set((await asked_by(platform.anonymous(), closed)).values()) == {(401, "UNAUTHENTICATED")}
    assert set((await asked_by(late, closed)).values()) == {(401, "TOKEN_EXPIRED")}
    assert set((await asked_by(garbled, closed)).values()) == {(401, "TOKEN_INVALID")}
    for route in [route for route, rule in RULES.items() if rule.is_public]:
        assert (await ask(platform.anonymous(), route))[1] not in ("UNAUTHENTICATED", "FORBIDDEN"), route


def test_the_roles_that_the_product_promises() -> None:
    """The table's own test would follow a mistake in the table; these lines are written out by hand."""
    everybody, traders, admins = set(Role), {Role.ADMIN, Role.USER}, {Role.ADMIN}
    promised: dict[str, set[Role]] = {
        "POST /strategy/create": traders,
        "GET /strategy/list": traders,
        "GET /broker/stats": {Role.ADMIN, Role.BROKER},
        "GET /auth/me": everybody,
    }
    for route, roles in promised.items():
        assert RULES[route].roles == roles, route
    for route, rule in RULES.items():
        path = route.partition(" ")[2]
        if path.startswith("/admin/"):
            assert rule.roles == admins, route
            assert rule.scope is None, route
        elif path.startswith("/playground/"):
            assert rule.roles == traders, route
    public = {route.partition(" ")[2] for route, rule in RULES.items() if rule == PUBLIC}
    outside = {"/broker/{broker}/callback", "/postback/{broker}", "/readiness/login/{ticket}", "/health", "/ready", "/metrics"}
    assert public == {"/auth/register", "/auth/login", "/auth/refresh"} | outside
    only_statistics = [route for route, rule in RULES.items() if Role.BROKER in rule.roles and "/auth/" not in route]
    assert only_statistics == ["GET /broker/stats", "GET /broker/stats/health"]


async def test_a_route_nobody_has_made_a_rule_for_is_refused_even_to_an_admin(platform: Platform) -> None:
    async def forgotten() -> dict[str, str]:
        return {"secret": "of everybody"}

    platform.app.add_api_route(f"{PREFIX}/forgotten", forgotten)
    admin = await staff(platform, Role.ADMIN)
    for client in (admin, platform.anonymous()):
        await client.refused("GET", "/forgotten", 403, "FORBIDDEN")


def test_no_route_of_the_application_goes_around_the_check() -> None:
    """What is not an `APIRoute` has no dependencies, so nobody would be asked who they are."""
    around = {route.path for route in leaves(create_app(make_settings("", "")).routes) if not isinstance(route, APIRoute)}
    assert around == {"/api/v1/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def leaves(routes: Sequence[Any]) -> list[Any]:
    """The routes themselves, without the routers they are included by."""
    inner = [leaves(route.original_router.routes) if hasattr(route, "original_router") else [route] for route in routes]
    return [leaf for group in inner for leaf in group]


async def test_a_kept_answer_is_not_given_to_who_may_no_longer_call(platform: Platform) -> None:
    admin = await staff(platform, Role.ADMIN)
    other = await platform.user()
    key = {"Idempotency-Key": "promote"}
    path = f"/admin/users/{other.user_id}"
    await admin.call("PATCH", path, json={"role": "Admin"}, headers=key, expect=200)
    async with platform.services.database.transaction() as session:
        (await session.get_one(User, admin.user_id)).role = Role.USER
    await admin.refused("PATCH", path, 403, "FORBIDDEN", json={"role": "Admin"}, headers=key)


async def test_an_admins_list_shows_everybodys_strategies_and_a_users_only_their_own(platform: Platform) -> None:
    first, second, admin = await platform.user(), await platform.user(), await staff(platform, Role.ADMIN)
    one, two = await first.create(), await second.create()
    listed = (await admin.get("/strategy/list"))["items"]
    assert {(item["strategy_id"], item["user_id"]) for item in listed} == {(one, first.user_id), (two, second.user_id)}
    assert [item["strategy_id"] for item in (await first.get("/strategy/list"))["items"]] == [one]
    await admin.refused("GET", f"/strategy/{one}", 404, "STRATEGY_NOT_FOUND")


async def test_staff_see_the_numbers_of_their_own_broker_only(platform: Platform) -> None:
    owner, clerk = await platform.user(), await staff(platform, Role.BROKER)
    await platform.connect(owner)
    assert [row["broker"] for row in (await clerk.get("/broker/stats"))["items"]] == ["zerodha"]
    async with platform.services.database.transaction() as session:
        (await session.get_one(User, clerk.user_id)).broker = "dhan"
    assert "zerodha" not in [row["broker"] for row in (await clerk.get("/broker/stats"))["items"]]
