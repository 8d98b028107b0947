"""Users in the hands of an Admin."""

import asyncio

from sqlalchemy import select

from storage.models import BrokerAccount, Strategy, User
from tests.api.conftest import PASSWORD, Platform
from tests.api.rows import add_run, ended_run
from tests.api.test_admin import as_admin

NEW = {"email": "Broker.Staff@Example.com", "password": PASSWORD, "name": "Ravi", "role": "Broker", "broker": "zerodha"}


async def test_a_user_is_made_found_and_can_log_in(platform: Platform) -> None:
    admin = await as_admin(platform)
    made = await admin.post("/admin/users", NEW, expect=201)
    assert (made["email"], made["role"], made["broker"]) == ("broker.staff@example.com", "Broker", "zerodha")
    assert await admin.get(f"/admin/users/{made['user_id']}") == made
    assert (await admin.get("/admin/users", params={"query": "STAFF@"}))["items"] == [made]
    assert (await admin.get("/admin/users", params={"query": "%"}))["items"] == []
    assert (await admin.get("/admin/users", params={"role": "Broker"}))["items"] == [made]
    assert (await admin.get("/admin/users", params={"state": "suspended"}))["items"] == []
    await admin.refused("POST", "/admin/users", 409, "EMAIL_TAKEN", json=NEW)
    client = platform.anonymous()
    client.tokens = await client.post("/auth/login", {"email": NEW["email"], "password": PASSWORD})
    assert (await client.get("/broker/stats"))["items"] == []


async def test_an_address_and_a_name_are_changed_and_an_address_in_use_is_not_taken(platform: Platform) -> None:
    admin, user, other = await as_admin(platform), await platform.user(), await platform.user("asha@example.com")
    path = f"/admin/users/{user.user_id}"
    changed = (await admin.call("PATCH", path, json={"email": "New@Example.com", "name": "Neu"}, expect=200)).json()
    assert (changed["email"], changed["name"]) == ("new@example.com", "Neu")
    await admin.refused("PATCH", path, 409, "EMAIL_TAKEN", json={"email": "asha@example.com"})
    await other.get("/auth/me")
    noted = (await admin.get("/admin/audit", params={"action": "user.change"}))["items"]
    assert [entry["data"] for entry in noted] == [{"email": "new@example.com", "name": "Neu"}]


async def test_a_deleted_user_is_gone_with_everything_that_could_trade(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user("asha@example.com")
    broker_id = await platform.connect(user)
    run = await ended_run(platform, user, broker_id, pnl="10")
    await admin.call("DELETE", f"/admin/users/{user.user_id}", expect=200)
    await user.call("GET", "/auth/me", expect=401)
    await platform.anonymous().refused(
        "POST", "/auth/login", 401, "INVALID_CREDENTIALS", json={"email": "asha@example.com", "password": PASSWORD}
    )
    await admin.refused("GET", f"/admin/users/{user.user_id}", 404, "USER_NOT_FOUND")
    await admin.refused("DELETE", f"/admin/users/{user.user_id}", 404, "USER_NOT_FOUND")
    async with platform.services.database.transaction() as session:
        strategy = await session.get_one(Strategy, run.strategy_id)
        account = await session.get_one(BrokerAccount, broker_id)
    assert strategy.deleted_at is not None
    assert (account.sealed_api_secret, account.sealed_access_token) == ("", None)
    again = await platform.user("asha@example.com")
    assert again.user_id != user.user_id


async def test_a_user_with_something_that_runs_is_not_deleted(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    await add_run(platform, user, await platform.connect(user))
    await admin.refused("DELETE", f"/admin/users/{user.user_id}", 409, "USER_HAS_OPEN_RUNS")
    await user.get("/auth/me")
    assert len((await user.get("/strategy/list"))["items"]) == 1


async def test_the_last_admin_is_not_deleted(platform: Platform) -> None:
    admin = await as_admin(platform)
    await admin.refused("DELETE", f"/admin/users/{admin.user_id}", 409, "LAST_ADMIN")
    await admin.get("/admin/users")


async def test_a_start_and_a_deletion_at_once_never_leave_a_run_of_a_deleted_user(trading: Platform) -> None:
    admin, user = await as_admin(trading), await trading.user()
    await trading.connect(user)
    strategy_id = await user.create()
    started, deleted = await asyncio.gather(
        user.call("POST", f"/strategy/start/{strategy_id}"), admin.call("DELETE", f"/admin/users/{user.user_id}")
    )
    outcomes = (started.status_code == 200, deleted.status_code == 200)
    assert outcomes in {(True, False), (False, True)}, (started.text, deleted.text)
    async with trading.services.database.transaction() as session:
        gone = (await session.scalars(select(User.deleted_at).where(User.id == user.user_id))).one()
    assert (gone is not None) is outcomes[1]
