"""Users and sessions."""

import base64
import json
from datetime import timedelta

import jwt
import pytest
from sqlalchemy import select, update

from storage.models import Session, User, UserState
from tests.api.conftest import JWT_KEY, PASSWORD, Platform

KEY = JWT_KEY.partition(":")[2]


async def test_registering_logs_in_and_answers_the_shape_clients_rely_on(platform: Platform) -> None:
    client = platform.anonymous()
    answer = await client.post("/auth/register", {"email": " Asha@Example.com ", "password": PASSWORD}, expect=201)
    assert {"user_id", "token", "refresh_token"} <= set(answer)
    assert answer["access_token"] == answer["token"]
    assert answer["token_type"] == "bearer"
    client.tokens = answer
    me = await client.get("/auth/me")
    assert (me["user_id"], me["email"], me["role"]) == (answer["user_id"], "asha@example.com", "User")


async def test_a_second_user_with_the_same_address_is_refused_whatever_the_case(platform: Platform) -> None:
    await platform.user("asha@example.com")
    body = {"email": "ASHA@example.com", "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/register", 409, "EMAIL_TAKEN", json=body)


async def test_the_password_is_stored_as_argon2id_only(platform: Platform) -> None:
    client = await platform.user()
    async with platform.services.database.transaction() as session:
        user = await session.get_one(User, client.user_id)
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in user.password_hash


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "not-an-address", "password": PASSWORD}, 400, "INVALID_EMAIL"),
        ({"email": "", "password": PASSWORD}, 400, "INVALID_EMAIL"),
        ({"email": "a@example.com", "password": "short"}, 400, "WEAK_PASSWORD"),
        ({"email": "a@example.com", "password": "x" * 129}, 400, "WEAK_PASSWORD"),
        ({"email": "asha@example.com", "password": "ASHA@example.com"}, 400, "WEAK_PASSWORD"),
        ({"email": "a@example.com"}, 422, "INVALID_INPUT"),
        ({"email": 5, "password": PASSWORD}, 422, "INVALID_INPUT"),
        ({"email": "a@example.com", "password": ["x"]}, 422, "INVALID_INPUT"),
    ],
)
async def test_a_bad_registration_is_refused_and_makes_no_user(platform: Platform, body: object, status: int, code: str) -> None:
    await platform.anonymous().refused("POST", "/auth/register", status, code, json=body)
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(User))).all() == []


async def test_login_with_the_right_password(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    body = {"email": "Asha@example.com", "password": PASSWORD}
    assert (await platform.anonymous().post("/auth/login", body))["user_id"] == user.user_id


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(platform: Platform) -> None:
    await platform.user("asha@example.com")
    wrong = {"email": "asha@example.com", "password": "not the password"}
    unknown = {"email": "nobody@example.com", "password": PASSWORD}
    first = await platform.anonymous().refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json=wrong)
    second = await platform.anonymous().refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json=unknown)
    assert first["message"] == second["message"]


async def test_a_refresh_token_works_once_and_brings_the_next(platform: Platform) -> None:
    user = await platform.user()
    renewed = await platform.anonymous().post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]})
    assert renewed["refresh_token"] != user.tokens["refresh_token"]
    again = await platform.anonymous().post("/auth/refresh", {"refresh_token": renewed["refresh_token"]})
    assert again["user_id"] == user.user_id


async def test_a_refresh_token_used_twice_ends_the_whole_session_for_thief_and_owner(platform: Platform) -> None:
    user = await platform.user()
    stolen = {"refresh_token": user.tokens["refresh_token"]}
    renewed = await platform.anonymous().post("/auth/refresh", stolen)
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_REUSED", json=stolen)
    newest = {"refresh_token": renewed["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_INVALID", json=newest)
    user.tokens = renewed
    await user.refused("GET", "/auth/me", 401, "TOKEN_INVALID")


async def test_another_session_of_the_user_survives_the_end_of_a_stolen_one(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    other = platform.anonymous()
    other.tokens = await other.post("/auth/login", {"email": "asha@example.com", "password": PASSWORD})
    stolen = {"refresh_token": user.tokens["refresh_token"]}
    await platform.anonymous().post("/auth/refresh", stolen)
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_REUSED", json=stolen)
    await other.get("/auth/me")


async def test_refresh_tokens_are_stored_as_hashes(platform: Platform) -> None:
    user = await platform.user()
    async with platform.services.database.transaction() as session:
        stored = (await session.scalars(select(Session.token_hash))).one()
    assert user.tokens["refresh_token"] not in stored
    assert len(stored) == 64


async def test_an_old_refresh_token_is_refused(platform: Platform) -> None:
    user = await platform.user()
    platform.clock.advance(days=31)
    body = {"refresh_token": user.tokens["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_INVALID", json=body)


async def test_logging_out_ends_access_and_refresh_at_once(platform: Platform) -> None:
    user = await platform.user()
    await user.post("/auth/logout")
    await user.refused("GET", "/auth/me", 401, "TOKEN_INVALID")
    body = {"refresh_token": user.tokens["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 401, "REFRESH_TOKEN_INVALID", json=body)


async def test_logging_out_everywhere_ends_the_other_devices_too(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    phone = platform.anonymous()
    phone.tokens = await phone.post("/auth/login", {"email": "asha@example.com", "password": PASSWORD})
    await user.post("/auth/logout", {"everywhere": True})
    await phone.refused("GET", "/auth/me", 401, "TOKEN_INVALID")


async def test_a_suspended_user_can_neither_act_nor_log_in_nor_refresh(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    async with platform.services.database.transaction() as session:
        await session.execute(update(User).values(state=UserState.SUSPENDED))
    await user.refused("GET", "/auth/me", 403, "USER_SUSPENDED")
    login = {"email": "asha@example.com", "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/login", 403, "USER_SUSPENDED", json=login)
    body = {"refresh_token": user.tokens["refresh_token"]}
    await platform.anonymous().refused("POST", "/auth/refresh", 403, "USER_SUSPENDED", json=body)


async def test_an_expired_access_token_is_refused_as_expired(platform: Platform) -> None:
    user = await platform.user()
    platform.clock.advance(minutes=15)
    await user.refused("GET", "/auth/me", 401, "TOKEN_EXPIRED")


async def test_no_token_is_answered_with_the_scheme_to_use(platform: Platform) -> None:
    response = await platform.anonymous().call("GET", "/auth/me", expect=401)
    assert response.json()["error"] == "UNAUTHENTICATED"
    assert response.headers["www-authenticate"] == "Bearer"


def forged(claims: dict[str, object], *, key: str = KEY, kid: str = "k1", algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def unsigned(claims: dict[str, object]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims)}."


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(unsigned, id="without a signature"),
        pytest.param(lambda claims: forged(claims, kid="k9"), id="unknown key id"),
        pytest.param(lambda claims: forged(claims, key="b" * 40), id="another key"),
        pytest.param(lambda claims: forged(claims, algorithm="HS384"), id="another algorithm"),
        pytest.param(lambda claims: forged({**claims, "aud": "broker-login"}), id="made for another purpose"),
        pytest.param(lambda claims: forged({**claims, "iss": "somebody"}), id="another issuer"),
        pytest.param(lambda claims: forged({k: v for k, v in claims.items() if k != "exp"}), id="without an end"),
        pytest.param(lambda claims: forged({**claims, "exp": "soon"}), id="an end that is no number"),
        pytest.param(lambda claims: forged({**claims, "exp": 10**40}), id="an end beyond all time"),
        pytest.param(lambda claims: forged({**claims, "sid": "fam_other"}), id="a session that does not exist"),
        pytest.param(lambda claims: "not.a.token", id="no token at all"),
        pytest.param(lambda claims: "", id="empty"),
    ],
)
async def test_a_forged_token_is_refused(platform: Platform, forge: object) -> None:
    user = await platform.user()
    genuine = jwt.decode(user.tokens["token"], options={"verify_signature": False})
    user.tokens["token"] = forge(genuine)  # type: ignore[operator]
    response = await user.call("GET", "/auth/me", expect=401)
    assert response.json()["error"] in ("TOKEN_INVALID", "UNAUTHENTICATED")


async def test_a_token_for_one_user_does_not_pass_with_another_users_session(platform: Platform) -> None:
    asha, ravi = await platform.user(), await platform.user()
    claims = jwt.decode(asha.tokens["token"], options={"verify_signature": False})
    asha.tokens["token"] = forged({**claims, "sub": ravi.user_id})
    await asha.refused("GET", "/auth/me", 401, "TOKEN_INVALID")


async def test_a_genuine_token_passes_the_check_that_refuses_the_forged_ones(platform: Platform) -> None:
    user = await platform.user()
    claims = jwt.decode(user.tokens["token"], options={"verify_signature": False})
    user.tokens["token"] = forged(claims)
    assert (await user.get("/auth/me"))["user_id"] == user.user_id
    assert timedelta(seconds=claims["exp"] - claims["iat"]) == timedelta(minutes=15)
