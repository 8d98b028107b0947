"""Idempotency-Key: done once, answered twice."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from storage.models import IdempotencyKey, Strategy
from storage.repositories import idempotency
from tests.api.conftest import PLAN, Platform

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def strategies_stored(platform: Platform) -> int:
    async with platform.services.database.transaction() as session:
        return (await session.scalar(select(func.count()).select_from(Strategy))) or 0


async def test_the_same_request_twice_is_done_once_and_answered_alike(platform: Platform) -> None:
    user = await platform.user()
    first = await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    second = await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await strategies_stored(platform) == 1


async def test_the_key_with_another_request_is_refused(platform: Platform) -> None:
    user = await platform.user()
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    other = {**PLAN, "quantity": 20}
    await user.refused("POST", "/strategy/create", 409, "IDEMPOTENCY_KEY_REUSED", json=other, headers=KEY)
    await user.refused("POST", "/kill-switch", 409, "IDEMPOTENCY_KEY_REUSED", headers=KEY)
    assert await strategies_stored(platform) == 1


async def test_two_users_may_use_the_same_key(platform: Platform) -> None:
    for user in (await platform.user(), await platform.user()):
        await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    assert await strategies_stored(platform) == 2


async def test_many_at_once_are_done_once(platform: Platform) -> None:
    user = await platform.user()
    answers = await asyncio.gather(*(user.call("POST", "/strategy/create", json=PLAN, headers=KEY) for _ in range(8)))
    assert await strategies_stored(platform) == 1
    for answer in answers:
        assert answer.status_code == 201 or (answer.status_code, answer.json()["error"]) == (409, "REQUEST_IN_PROGRESS")
        assert answer.status_code == 201 or answer.headers["retry-after"] == "1"


async def test_a_request_that_is_still_being_worked_on_says_so(platform: Platform) -> None:
    user = await platform.user()
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    async with platform.services.database.transaction() as session:
        (await session.scalars(select(IdempotencyKey))).one().answer_status = None
    answer = await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=409)
    assert (answer.json()["error"], answer.headers["retry-after"]) == ("REQUEST_IN_PROGRESS", "1")


async def test_a_request_whose_process_died_may_be_repeated(platform: Platform) -> None:
    user = await platform.user()
    async with platform.services.database.transaction() as session:
        now = platform.clock.now() - idempotency.WORK_LIMIT - timedelta(seconds=1)
        await idempotency.claim(session, user_id=user.user_id, key=KEY["Idempotency-Key"], request_hash="x", now=now)
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)


async def test_what_was_refused_may_be_tried_again_with_the_same_key(platform: Platform) -> None:
    user = await platform.user()
    bad = {**PLAN, "quantity": 0}
    await user.refused("POST", "/strategy/create", 400, "INVALID_QUANTITY", json=bad, headers=KEY)
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)


async def test_after_a_day_the_key_is_free(platform: Platform) -> None:
    user = await platform.user()
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    platform.clock.advance(days=1)
    user.tokens = await platform.anonymous().post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]})
    await user.call("POST", "/strategy/create", json=PLAN, headers=KEY, expect=201)
    assert await strategies_stored(platform) == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "with space", "with\ttab"])
async def test_a_key_out_of_bounds_is_refused(platform: Platform, key: str) -> None:
    user = await platform.user()
    await user.refused("POST", "/strategy/create", 400, "INVALID_VALUE", json=PLAN, headers={"Idempotency-Key": key})
    assert await strategies_stored(platform) == 0


async def test_no_secret_is_kept_with_an_answer(platform: Platform) -> None:
    user = await platform.user()
    token = platform.broker.register("key")
    body = {"api_key": "key", "api_secret": "secret", "access_token": token}
    await user.call("POST", "/broker/connect", json=body, headers=KEY, expect=201)
    async with platform.services.database.transaction() as session:
        row = (await session.scalars(select(IdempotencyKey))).one()
    assert token not in f"{row.answer_body}{row.request_hash}"
