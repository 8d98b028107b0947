"""Passwords, sessions and the second factor: what a person does about their own access."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from api.one_time_codes import code_of, step_at
from storage.models import AuditEntry, RecoveryCode, User, UserState
from tests.api.conftest import PASSWORD, Client, Platform, make_settings, running
from tests.api.fakes import FakeAdapters

NEW = "a longer horse battery staple"


async def email_of(client: Client) -> str:
    return str((await client.get("/auth/me"))["email"])


async def log_in(platform: Platform, email: str, password: str = PASSWORD, **more: Any) -> Client:
    client = platform.anonymous()
    client.tokens = await client.post("/auth/login", {"email": email, "password": password, **more})
    return client


async def actions(platform: Platform, user_id: str) -> list[str]:
    async with platform.services.database.transaction() as session:
        found = await session.scalars(select(AuditEntry.action).where(AuditEntry.actor_id == user_id).order_by(AuditEntry.id))
        return list(found)


# --- password ----------------------------------------------------------------------------------------------------------


async def test_a_new_password_ends_every_other_session_and_is_the_only_one_that_works(platform: Platform) -> None:
    here = await platform.user()
    email = await email_of(here)
    other, stranger = await log_in(platform, email), await platform.user()
    await here.post("/auth/password", {"current_password": PASSWORD, "new_password": NEW})
    await here.get("/auth/me")
    await stranger.get("/auth/me")
    await other.refused("GET", "/auth/me", 401, "TOKEN_INVALID")
    body = {"refresh_token": other.tokens["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_INVALID", json=body)
    old = {"email": email, "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json=old)
    await log_in(platform, email, NEW)
    assert "user.password_change" in await actions(platform, here.user_id)


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("wrong", NEW, 401, "INVALID_CREDENTIALS"),
        (PASSWORD, "short", 400, "WEAK_PASSWORD"),
        (PASSWORD, "asha@example.com", 400, "WEAK_PASSWORD"),
    ],
)
async def test_a_password_is_not_changed_without_the_old_one_or_for_a_weak_one(
    platform: Platform, current: str, new: str, status: int, code: str
) -> None:
    user = await platform.user("asha@example.com")
    body = {"current_password": current, "new_password": new}
    await user.refused("POST", "/auth/password", status, code, json=body)
    await log_in(platform, "asha@example.com")


async def test_guessing_the_old_password_with_a_stolen_token_is_throttled(database_url: str, redis_url: str) -> None:
    async with running(make_settings(database_url, redis_url, login_attempts_per_minute=3), FakeAdapters()) as platform:
        user = await platform.user()
        guess = {"current_password": "wrong", "new_password": NEW}
        for _ in range(3):
            await user.refused("POST", "/auth/password", 401, "INVALID_CREDENTIALS", json=guess)
        await user.refused("POST", "/auth/password", 429, "TOO_MANY_LOGINS", json=guess)


class SlowPasswords:
    """The check of a password takes until somebody opens the door."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.is_checking, self.door = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        matched: bool = await self._real.matches(password, password_hash)
        self.is_checking.set()
        await self.door.wait()
        return matched


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [({"password_hash": "$changed"}, 401, "INVALID_CREDENTIALS"), ({"state": UserState.SUSPENDED}, 403, "USER_SUSPENDED")],
    ids=["password changed", "suspended"],
)
async def test_a_login_that_was_checked_before_a_change_opens_no_session_after_it(
    platform: Platform, change: dict[str, Any], status: int, code: str
) -> None:
    user = await platform.user()
    email = await email_of(user)
    slow = SlowPasswords(platform.services.passwords)
    object.__setattr__(platform.services, "passwords", slow)
    login = asyncio.create_task(
        platform.anonymous().refused("POST", "/auth/login", status, code, json={"email": email, "password": PASSWORD})
    )
    await slow.is_checking.wait()
    async with platform.services.database.transaction() as session:
        row = await session.get_one(User, user.user_id)
        for name, value in change.items():
            setattr(row, name, value)
    slow.door.set()
    await login


# --- sessions ----------------------------------------------------------------------------------------------------------


async def test_sessions_are_listed_with_their_devices_and_one_can_be_ended(platform: Platform) -> None:
    here = await platform.user()
    body = {"email": await email_of(here), "password": PASSWORD}
    there = platform.anonymous()
    there.tokens = (await there.call("POST", "/auth/login", json=body, headers={"User-Agent": "A phone"}, expect=200)).json()
    platform.clock.advance(minutes=5)
    phone = {"User-Agent": "A phone, updated"}
    refresh = {"refresh_token": there.tokens["refresh_token"]}
    there.tokens = (await there.call("POST", "/auth/refresh", json=refresh, headers=phone, expect=200)).json()
    listed = (await here.get("/auth/sessions"))["items"]
    assert [(one["is_current"], one["user_agent"][:7]) for one in listed] == [(False, "A phone"), (True, "python-")]
    assert listed[0]["user_agent"] == "A phone, updated"
    assert listed[0]["began_at"] < listed[0]["refreshed_at"]
    assert listed[0]["address"] == "127.0.0.1"
    path = f"/auth/sessions/{listed[0]['session_id']}"
    await here.call("DELETE", path, expect=200)
    await there.refused("GET", "/auth/me", 401, "TOKEN_INVALID")
    refresh = {"refresh_token": there.tokens["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_INVALID", json=refresh)
    await here.refused("DELETE", path, 404, "SESSION_NOT_FOUND")
    assert [one["is_current"] for one in (await here.get("/auth/sessions"))["items"]] == [True]
    assert "user.session_end" in await actions(platform, here.user_id)


async def test_somebody_elses_session_is_neither_shown_nor_ended(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    (session,) = (await owner.get("/auth/sessions"))["items"]
    assert session["session_id"] not in str(await stranger.get("/auth/sessions"))
    await stranger.refused("DELETE", f"/auth/sessions/{session['session_id']}", 404, "SESSION_NOT_FOUND")
    await owner.get("/auth/me")


# --- second factor -----------------------------------------------------------------------------------------------------


def code_now(platform: Platform, secret: str, *, steps: int = 0) -> str:
    return code_of(secret, step_at(platform.clock.now()) + steps)


async def switch_on(platform: Platform, user: Client) -> tuple[str, list[str]]:
    """The secret and the recovery codes. The clock goes on, so that the next code is a new one."""
    begun = await user.post("/auth/totp", {"password": PASSWORD})
    confirmed = await user.post("/auth/totp/confirm", {"code": code_now(platform, begun["secret"])})
    platform.clock.advance(seconds=90)
    return begun["secret"], confirmed["recovery_codes"]


async def test_with_the_second_factor_a_login_needs_a_code_and_each_code_works_once(platform: Platform) -> None:
    user = await platform.user()
    email = await email_of(user)
    secret, codes = await switch_on(platform, user)
    assert len(set(codes)) == 10
    assert (await user.get("/auth/me"))["second_factor"] is True
    body = {"email": email, "password": PASSWORD}
    anonymous = platform.anonymous()
    await anonymous.refused("POST", "/auth/login", 401, "SECOND_FACTOR_REQUIRED", json=body)
    await anonymous.refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json={**body, "code": "000000"})
    await anonymous.refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json={**body, "password": "wrong"})
    code = code_now(platform, secret)
    await log_in(platform, email, code=code)
    await anonymous.refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json={**body, "code": code})
    platform.clock.advance(seconds=30)
    await log_in(platform, email, code=code_now(platform, secret))
    assert [action for action in await actions(platform, user.user_id) if "factor" in action] == [
        "user.second_factor_begin",
        "user.second_factor_on",
    ]


async def test_the_same_code_sent_twice_at_once_opens_one_session(platform: Platform) -> None:
    user = await platform.user()
    email = await email_of(user)
    secret, _ = await switch_on(platform, user)
    body = {"email": email, "password": PASSWORD, "code": code_now(platform, secret)}
    answers = await asyncio.gather(*(platform.anonymous().call("POST", "/auth/login", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_a_recovery_code_works_once_and_only_for_its_owner(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    email, others = await email_of(user), await email_of(other)
    _, codes = await switch_on(platform, user)
    await switch_on(platform, other)
    body = {"email": email, "password": PASSWORD, "code": codes[0]}
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json={**body, "email": others})
    await log_in(platform, email, code=codes[0].upper())
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json=body)
    back = await log_in(platform, email, code=codes[1])
    assert (await back.get("/auth/me"))["recovery_codes_left"] == 8
    assert "user.recovery_code_used" in await actions(platform, user.user_id)


async def test_nothing_of_it_is_stored_in_the_open(platform: Platform) -> None:
    user = await platform.user()
    secret, codes = await switch_on(platform, user)
    async with platform.services.database.transaction() as session:
        row = await session.get_one(User, user.user_id)
        hashes = list(await session.scalars(select(RecoveryCode.code_hash)))
        told = str([entry.data for entry in await session.scalars(select(AuditEntry))])
    assert row.sealed_totp_secret is not None
    assert secret not in row.sealed_totp_secret
    assert len(hashes) == 10
    assert not set(codes) & set(hashes)
    assert secret not in told


async def test_it_is_not_on_before_it_is_confirmed_and_not_begun_without_the_password(platform: Platform) -> None:
    user = await platform.user()
    email = await email_of(user)
    await user.refused("POST", "/auth/totp/confirm", 409, "SECOND_FACTOR_OFF", json={"code": "000000"})
    await user.refused("POST", "/auth/totp", 401, "INVALID_CREDENTIALS", json={"password": "wrong"})
    begun = await user.post("/auth/totp", {"password": PASSWORD})
    await user.refused("POST", "/auth/totp/confirm", 401, "SECOND_FACTOR_INVALID", json={"code": "000000"})
    await log_in(platform, email)
    await user.post("/auth/totp/confirm", {"code": code_now(platform, begun["secret"])})
    platform.clock.advance(seconds=90)
    again = {"password": PASSWORD, "code": code_now(platform, begun["secret"])}
    await user.refused("POST", "/auth/totp", 409, "SECOND_FACTOR_ON", json=again)
    await user.refused("POST", "/auth/totp/confirm", 409, "SECOND_FACTOR_ON", json={"code": again["code"]})


@pytest.mark.parametrize("path", ["/auth/totp/disable", "/auth/totp/recovery-codes", "/auth/api-keys", "/auth/password"])
async def test_what_outlives_the_session_needs_password_and_code(platform: Platform, path: str) -> None:
    user = await platform.user()
    secret, _ = await switch_on(platform, user)
    more = {"name": "x", "scopes": ["read"], "current_password": PASSWORD, "new_password": NEW}
    body = {**more, "password": PASSWORD}
    await user.refused("POST", path, 401, "SECOND_FACTOR_REQUIRED", json=body)
    await user.refused("POST", path, 401, "SECOND_FACTOR_INVALID", json={**body, "code": "000000"})
    wrong = {**body, "password": "wrong", "current_password": "wrong", "code": code_now(platform, secret)}
    await user.refused("POST", path, 401, "INVALID_CREDENTIALS", json=wrong)
    answer = await user.call("POST", path, json={**body, "code": code_now(platform, secret)})
    assert answer.status_code in (200, 201), answer.text


async def test_switched_off_a_login_needs_no_code_and_the_recovery_codes_are_gone(platform: Platform) -> None:
    user = await platform.user()
    email = await email_of(user)
    await user.refused("POST", "/auth/totp/disable", 409, "SECOND_FACTOR_OFF", json={"password": PASSWORD})
    await user.refused("POST", "/auth/totp/recovery-codes", 409, "SECOND_FACTOR_OFF", json={"password": PASSWORD})
    _, codes = await switch_on(platform, user)
    await user.post("/auth/totp/disable", {"password": PASSWORD, "code": codes[3]})
    back = await log_in(platform, email)
    assert (await back.get("/auth/me"))["recovery_codes_left"] == 0
    secret, fresh = await switch_on(platform, user)
    body = {"email": email, "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json={**body, "code": codes[4]})
    renewed = await user.post("/auth/totp/recovery-codes", {"password": PASSWORD, "code": code_now(platform, secret)})
    await platform.anonymous().refused("POST", "/auth/login", 401, "SECOND_FACTOR_INVALID", json={**body, "code": fresh[0]})
    await log_in(platform, email, code=renewed["recovery_codes"][0])


async def test_guessing_codes_ends_after_a_while_also_for_who_knows_the_password(platform: Platform) -> None:
    user = await platform.user()
    email = await email_of(user)
    secret, _ = await switch_on(platform, user)
    body = {"email": email, "password": PASSWORD, "code": "000000"}
    answers = [await platform.anonymous().call("POST", "/auth/login", json=body) for _ in range(20)]
    assert {answer.json()["error"] for answer in answers} == {"SECOND_FACTOR_INVALID", "TOO_MANY_LOGINS"}
    right = {**body, "code": code_now(platform, secret)}
    await platform.anonymous().refused("POST", "/auth/login", 429, "TOO_MANY_LOGINS", json=right)
