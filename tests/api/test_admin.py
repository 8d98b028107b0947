"""What Admins may see and do, and the command line of the machine itself."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from api.admin_cli import app
from storage.models import BrokerAccount, Order, Role, Run, RunEvent, User
from tests.api.conftest import AES_KEY, JWT_KEY, PASSWORD, Client, Platform
from tests.api.rows import add_run, order_of
from trading.orders import OrderState, SupersededFor
from trading.runs import Position, RunState


async def as_admin(platform: Platform) -> Client:
    user = await platform.user()
    async with platform.services.database.transaction() as session:
        await session.execute(update(User).where(User.id == user.user_id).values(role=Role.ADMIN))
    return user


async def test_users_are_listed_without_their_passwords(platform: Platform) -> None:
    admin = await as_admin(platform)
    others = [await platform.user() for _ in range(2)]
    page = await admin.get("/admin/users?limit=2")
    following = await admin.get("/admin/users", params={"cursor": page["next_cursor"]})
    listed = [*page["items"], *following["items"]]
    assert [user["user_id"] for user in listed] == [admin.user_id, *(other.user_id for other in others)]
    assert "argon2" not in str(listed)


async def test_a_suspended_user_is_out_at_once_and_may_be_let_back_in(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user("asha@example.com")
    path = f"/admin/users/{user.user_id}"
    changed = (await admin.call("PATCH", path, json={"state": "suspended"}, expect=200)).json()
    assert changed["state"] == "suspended"
    await user.call("GET", "/auth/me", expect=401)
    await admin.call("PATCH", path, json={"state": "active"}, expect=200)
    await platform.anonymous().post("/auth/login", {"email": "asha@example.com", "password": PASSWORD})
    await user.call("GET", "/auth/me", expect=401)


async def test_suspending_a_user_withdraws_what_is_armed_to_buy_and_leaves_positions_their_stops(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    held = await add_run(platform, user, broker_id)
    waiting = await add_run(platform, user, broker_id, bought=0, position=Position.NONE)
    entry = order_of(waiting, "t1", now=None, state=OrderState.ARMED, filled_quantity=0)
    async with platform.services.database.transaction() as session:
        session.add(entry)
    await admin.call("PATCH", f"/admin/users/{user.user_id}", json={"state": "suspended"}, expect=200)
    async with platform.services.database.transaction() as session:
        armed = await session.get_one(Order, entry.id)
        kept = await session.get_one(Run, held.id)
        told = (await session.scalars(select(RunEvent.message).where(RunEvent.run_id == held.id))).all()
    assert (armed.state, armed.superseded_for) == (OrderState.SUPERSEDED, SupersededFor.SUSPENDED)
    assert (kept.state, kept.exit_wanted_at) == (RunState.HOLDING, None)
    assert any("keep stop-loss and sell time" in line for line in told)


async def test_a_role_counts_from_the_next_request_on(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    await user.refused("GET", "/admin/users", 403, "FORBIDDEN")
    await admin.call("PATCH", f"/admin/users/{user.user_id}", json={"role": "Admin"}, expect=200)
    await user.get("/admin/users")


@pytest.mark.parametrize("change", [{"role": "User"}, {"state": "suspended"}])
async def test_the_last_admin_can_neither_step_down_nor_suspend_themselves(platform: Platform, change: Any) -> None:
    admin = await as_admin(platform)
    await admin.refused("PATCH", f"/admin/users/{admin.user_id}", 409, "LAST_ADMIN", json=change)
    await admin.get("/admin/users")


async def test_two_admins_who_demote_each_other_at_once_leave_one(platform: Platform) -> None:
    one, two = await as_admin(platform), await as_admin(platform)
    await asyncio.gather(
        one.call("PATCH", f"/admin/users/{two.user_id}", json={"role": "User"}),
        two.call("PATCH", f"/admin/users/{one.user_id}", json={"role": "User"}),
    )
    async with platform.services.database.transaction() as session:
        assert len((await session.scalars(select(User).where(User.role == Role.ADMIN))).all()) == 1


async def test_a_user_who_does_not_exist_is_404(platform: Platform) -> None:
    admin = await as_admin(platform)
    await admin.refused("PATCH", f"/admin/users/usr_{'0' * 26}", 404, "USER_NOT_FOUND", json={"role": "User"})


async def test_the_system_at_a_glance(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with platform.services.database.transaction() as session:
        session.add(order_of(run, "t1", now=None, state=OrderState.UNKNOWN, filled_quantity=0))
    answer = await admin.get("/admin/system")
    assert (answer["users"], answer["strategies"], answer["open_runs"], answer["orders_in_doubt"]) == (2, 1, 1, 1)
    assert answer["readiness"]["status"] == "not_ready"


async def test_broker_statistics_are_of_its_own_broker_only_and_name_nobody(platform: Platform) -> None:
    admin, staff, user = await as_admin(platform), await platform.user(), await platform.user("asha@example.com")
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id)
    sent = platform.clock.now()
    async with platform.services.database.transaction() as session:
        for number, milliseconds in enumerate((10, 20, 30)):
            answered = sent + timedelta(milliseconds=milliseconds)
            placed = {"attempt": number + 1, "acknowledged_at": answered}
            session.add(order_of(run, f"t{number}", now=sent, **placed))
        refused = {"state": OrderState.REJECTED, "refusal": "funds", "filled_quantity": 0, "message": "asha has no money"}
        session.add(order_of(run, "t9", now=sent, attempt=9, **refused))
        session.add(order_of(run, "t8", now=sent, attempt=8, trading_day=run.trading_day - timedelta(days=3)))
        session.add(order_of(run, "t10", now=None, attempt=10, state=OrderState.SUPERSEDED, filled_quantity=0))
    (shown,) = (await admin.get("/broker/stats"))["items"]
    assert (shown["accounts"], shown["connected"], shown["users"], shown["open_runs"]) == (1, 1, 1, 1)
    assert shown["strategies"] == {"running": 1}
    figures = {"sent": 4, "refused": 1, "in_doubt": 0, "success_rate": 0.75, "filled_quantity": 30, "filled_value": 105375.0}
    latency = {"p50_ms": 20.0, "p95_ms": 29.0, "p99_ms": 29.8}
    assert shown["orders"] == {**figures, **latency}
    assert (shown["errors"], shown["orders_rejected_today"]) == ({"funds": 1}, 1)
    assert [refusal["kind"] for refusal in shown["recent_refusals"]] == ["funds"]
    assert not [secret for secret in (user.user_id, broker_id, "asha", run.id) if secret in str(shown)]
    path = f"/admin/users/{staff.user_id}"
    await admin.call("PATCH", path, json={"role": "Broker"}, expect=200)
    await staff.refused("GET", "/broker/stats", 403, "FORBIDDEN")
    await admin.call("PATCH", path, json={"broker": "dhan"}, expect=200)
    assert (await staff.get("/broker/stats"))["items"] == []
    await admin.call("PATCH", path, json={"broker": "zerodha"}, expect=200)
    assert (await staff.get("/broker/stats"))["items"] == [shown]
    assert (await admin.get("/broker/stats", params={"days": 3}))["items"][0]["orders"]["sent"] == 4
    assert (await admin.get("/broker/stats", params={"days": 4}))["items"][0]["orders"]["sent"] == 5


# --- the command line --------------------------------------------------------------------------------------------------


def run_cli(platform: Platform, *arguments: str, **more: str) -> Any:
    settings = platform.services.settings
    environment = {
        "DATABASE_URL": settings.database_url,
        "AES_MASTER_KEYS": AES_KEY,
        "JWT_KEYS": JWT_KEY,
        "ADMIN_PASSWORD": PASSWORD,
        **more,
    }
    return CliRunner(env=environment).invoke(app, list(arguments))


async def test_the_first_admin_is_made_on_the_machine_itself(platform: Platform) -> None:
    result = await asyncio.to_thread(run_cli, platform, "create-admin", "Root@Example.com")
    assert result.exit_code == 0, result.output
    client = platform.anonymous()
    client.tokens = await client.post("/auth/login", {"email": "root@example.com", "password": PASSWORD})
    assert (await client.get("/auth/me"))["role"] == "Admin"


async def test_an_existing_user_becomes_admin_and_keeps_the_password(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    result = await asyncio.to_thread(run_cli, platform, "create-admin", "asha@example.com", ADMIN_PASSWORD="another password")
    assert result.exit_code == 0, result.output
    assert (await user.get("/auth/me"))["role"] == "Admin"
    await platform.anonymous().post("/auth/login", {"email": "asha@example.com", "password": PASSWORD})


async def test_a_lost_second_factor_is_reset_on_the_machine_and_the_sessions_end(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    nothing = await asyncio.to_thread(run_cli, platform, "reset-second-factor", "asha@example.com")
    assert nothing.exit_code == 1
    async with platform.services.database.transaction() as session:
        row = await session.get_one(User, user.user_id)
        row.sealed_totp_secret, row.totp_confirmed_at = "lost", platform.clock.now()
    body = {"email": "asha@example.com", "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_REQUIRED", json=body)
    unreadable = {**body, "code": "000000"}
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json=unreadable)
    done = await asyncio.to_thread(run_cli, platform, "reset-second-factor", "Asha@example.com")
    assert done.exit_code == 0, done.output
    await user.refused("GET", "/auth/me", 401, "TOKEN_INVALID")
    await platform.anonymous().post("/auth/login", body)


async def test_keys_are_rotated_and_the_old_one_may_be_dropped(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await user.post("/auth/totp", {"password": PASSWORD})
    new_key = "a2:" + "bmV3IGtleSBvZiAzMiBieXRlcywgZXhhY3RseSE9PT0="
    result = await asyncio.to_thread(run_cli, platform, "rotate-keys", AES_MASTER_KEYS=f"{new_key},{AES_KEY}")
    assert result.exit_code == 0, result.output
    async with platform.services.database.transaction() as session:
        account = await session.get_one(BrokerAccount, broker_id)
        second_factor = (await session.get_one(User, user.user_id)).sealed_totp_secret
    assert account.sealed_api_secret.startswith("v1.a2.")
    assert second_factor is not None
    assert second_factor.startswith("v1.a2.")
    again = await asyncio.to_thread(run_cli, platform, "rotate-keys", AES_MASTER_KEYS=new_key)
    assert "2 secrets sealed anew" in again.output
    lost = await asyncio.to_thread(run_cli, platform, "rotate-keys")
    assert (lost.exit_code, "could not be opened" in lost.output) == (1, True)
