"""API keys: for a user's own programs, only as far as their scopes reach."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from api.live.doorkeeper import Doorkeeper
from api.live.hub import Admission
from api.roles import RULES, Scope
from storage.models import ApiKey, AuditEntry, Role, User, UserState
from tests.api.conftest import PASSWORD, PLAN, Client, Platform
from tests.api.test_roles import ask, staff


class KeyClient(Client):
    """Calls with an API key instead of a token."""

    async def call(self, method: str, path: str, **options: Any) -> Any:
        options["headers"] = {"X-API-Key": self.key} | options.get("headers", {})
        return await super().call(method, path, **options)

    key: str = ""


async def make_key(platform: Platform, owner: Client, *scopes: Scope, **more: Any) -> tuple[KeyClient, dict[str, Any]]:
    body = {"name": "My server", "scopes": [scope.value for scope in scopes], "password": PASSWORD, **more}
    made = await owner.post("/auth/api-keys", body, expect=201)
    client = KeyClient(platform.http)
    client.key = made["api_key"]
    return client, made


@pytest.mark.parametrize(
    ("role", "scope"),
    [(Role.ADMIN, Scope.TRADE), (Role.BROKER, Scope.READ), *((Role.USER, scope) for scope in Scope)],
)
async def test_a_key_may_call_exactly_what_its_scope_and_its_owners_role_allow(
    platform: Platform, role: Role, scope: Scope
) -> None:
    owner = await staff(platform, role)
    client, _ = await make_key(platform, owner, scope)
    acts_as = Role.USER if role is Role.ADMIN else role
    for route, rule in RULES.items():
        if rule.is_public:
            continue
        answer = await ask(client, route)
        if acts_as not in rule.roles:
            assert answer == (403, "FORBIDDEN"), route
        elif rule.scope is not scope:
            assert answer == (403, "API_KEY_SCOPE"), route
        else:
            assert answer[0] != 401, (route, answer)
            assert answer[1] not in ("FORBIDDEN", "API_KEY_SCOPE"), route


async def test_with_its_scopes_a_program_trades_for_its_owner_and_nobody_else(platform: Platform) -> None:
    owner, other = await platform.user(), await platform.user()
    program, _ = await make_key(platform, owner, Scope.READ, Scope.TRADE)
    strategy_id, theirs = await program.create(), await other.create()
    assert [item["strategy_id"] for item in (await owner.get("/strategy/list"))["items"]] == [strategy_id]
    assert [item["strategy_id"] for item in (await program.get("/strategy/list"))["items"]] == [strategy_id]
    await program.refused("GET", f"/strategy/{theirs}", 404, "STRATEGY_NOT_FOUND")


async def test_an_admins_key_does_not_administer_and_lists_their_own_only(platform: Platform) -> None:
    admin, other = await staff(platform, Role.ADMIN), await platform.user()
    program, _ = await make_key(platform, admin, *Scope)
    await other.create()
    assert (await program.get("/strategy/list"))["items"] == []
    await program.refused("GET", "/admin/users", 403, "FORBIDDEN")
    await program.refused("POST", "/kill-switch", 403, "FORBIDDEN", json={"scope": "platform"})


async def test_a_key_is_shown_once_and_stored_as_a_hash(platform: Platform) -> None:
    owner = await platform.user()
    _, made = await make_key(platform, owner, Scope.READ)
    (listed,) = (await owner.get("/auth/api-keys"))["items"]
    assert listed == {name: value for name, value in made.items() if name != "api_key"} | {"last_used_at": None}
    assert made["api_key"].startswith(listed["beginning"])
    assert len(listed["beginning"]) < 12
    async with platform.services.database.transaction() as session:
        row = (await session.scalars(select(ApiKey))).one()
        told = [(entry.action, str(entry.data)) for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert made["api_key"] not in str({column.name: getattr(row, column.name) for column in ApiKey.__table__.columns})
    assert made["api_key"] not in str(told)
    assert told[-1][0] == "api_key.create"


async def test_a_revoked_key_an_expired_one_and_one_nobody_made_are_refused(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    revoked, made = await make_key(platform, owner, Scope.READ)
    lasting, _ = await make_key(platform, owner, Scope.READ)
    expiring, _ = await make_key(platform, owner, Scope.READ, expires_in_days=1)
    for client in (revoked, lasting, expiring):
        await client.get("/strategy/list")
    await stranger.refused("DELETE", f"/auth/api-keys/{made['key_id']}", 404, "API_KEY_NOT_FOUND")
    await revoked.get("/strategy/list")
    await owner.call("DELETE", f"/auth/api-keys/{made['key_id']}", expect=200)
    await owner.refused("DELETE", f"/auth/api-keys/{made['key_id']}", 404, "API_KEY_NOT_FOUND")
    await revoked.refused("GET", "/strategy/list", 401, "API_KEY_INVALID")
    assert made["key_id"] not in str(await owner.get("/auth/api-keys"))
    platform.clock.advance(days=1)
    await expiring.refused("GET", "/strategy/list", 401, "API_KEY_INVALID")
    await lasting.get("/strategy/list")
    nobody = KeyClient(platform.http)
    for nobody.key in ("", "nonsense", "ak_" + "x" * 43, made["key_id"], lasting.key[:-1], lasting.key + "x"):
        await nobody.refused("GET", "/strategy/list", 401, "API_KEY_INVALID")


async def test_it_says_when_it_was_last_used(platform: Platform) -> None:
    owner = await platform.user()
    client, _ = await make_key(platform, owner, Scope.READ)
    first = platform.clock.now()
    await client.get("/strategy/list")
    platform.clock.advance(seconds=59)
    await client.get("/strategy/list")
    (listed,) = (await owner.get("/auth/api-keys"))["items"]
    assert listed["last_used_at"] == first.isoformat().replace("+00:00", "Z")
    platform.clock.advance(seconds=1)
    await client.get("/strategy/list")
    (listed,) = (await owner.get("/auth/api-keys"))["items"]
    assert listed["last_used_at"] == platform.clock.now().isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("gone", ["suspended", "deleted"])
async def test_the_keys_of_a_user_who_is_gone_do_not_work(platform: Platform, gone: str) -> None:
    owner = await platform.user()
    client, _ = await make_key(platform, owner, Scope.READ)
    async with platform.services.database.transaction() as session:
        user = await session.get_one(User, owner.user_id)
        if gone == "suspended":
            user.state = UserState.SUSPENDED
        else:
            user.deleted_at = platform.clock.now()
    expected = (403, "USER_SUSPENDED") if gone == "suspended" else (401, "API_KEY_INVALID")
    await client.refused("GET", "/strategy/list", *expected)


async def test_a_request_sent_twice_with_a_key_is_done_once(platform: Platform) -> None:
    owner = await platform.user()
    client, _ = await make_key(platform, owner, Scope.TRADE)
    key = {"Idempotency-Key": "once"}
    first = await client.call("POST", "/strategy/create", json=PLAN, headers=key, expect=201)
    second = await client.call("POST", "/strategy/create", json=PLAN, headers=key, expect=201)
    assert first.json()["strategy_id"] == second.json()["strategy_id"]


async def test_a_key_is_not_made_without_the_password_and_not_without_end(platform: Platform) -> None:
    owner = await platform.user()
    body = {"name": "x", "scopes": ["read"], "password": "wrong"}
    await owner.refused("POST", "/auth/api-keys", 401, "INVALID_CREDENTIALS", json=body)
    right = {**body, "password": PASSWORD}
    await owner.refused("POST", "/auth/api-keys", 400, "INVALID_VALUE", json={**right, "scopes": ["admin"]})
    await owner.refused("POST", "/auth/api-keys", 400, "INVALID_VALUE", json={**right, "scopes": []})
    answers = await asyncio.gather(*(owner.call("POST", "/auth/api-keys", json=right) for _ in range(24)))
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert len((await owner.get("/auth/api-keys"))["items"]) == 20


async def test_a_stream_ends_when_its_key_is_revoked(platform: Platform) -> None:
    owner = await platform.user()
    _, made = await make_key(platform, owner, Scope.READ)
    services = platform.services
    admission = Admission(owner.user_id, platform.clock.now().replace(year=2030), "", made["key_id"])
    door = Doorkeeper(services.hub, services.database, services.clock)
    with services.hub.reading(admission, about=None) as reader:
        await door.look()
        assert not reader.is_over
        await owner.call("DELETE", f"/auth/api-keys/{made['key_id']}", expect=200)
        await door.look()
        assert reader.is_over
