"""Health, readiness, metrics, and what every answer carries."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, update

from api.readiness import PartState, judge_horizon
from cache.heartbeats import beat
from storage.models import AlertDelivery, AlertEvent, Run
from storage.repositories.alerts import MOST_ATTEMPTS
from tests.api.conftest import Platform, make_settings, openapi_document, running
from tests.api.fakes import FakeAdapters
from tests.api.rows import add_alert, add_run


def part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in answer["parts"] if part["name"] == name)


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_health_at_both_places(platform: Platform, prefix: str) -> None:
    response = await platform.http.get(f"{prefix}/health")
    assert response.json() == {"status": "healthy", "version": "0.1.0", "timestamp": "2026-11-20T03:50:00Z"}


async def test_everything_up_is_ready(trading: Platform) -> None:
    await beat(trading.services.redis, "worker:one", {"desks": 1})
    await beat(trading.services.redis, "listener", {"connected": True, "healthy": True, "feed_age_ms": 40})
    answer = (await trading.http.get("/ready")).json()
    states = {found["name"]: found["state"] for found in answer["parts"] if found["name"] != "postgres"}
    assert states == dict.fromkeys(
        ["redis", "temporal", "worker", "listener", "feed", "clock", "alarms", "instruments", "calendar"], "ok"
    )
    assert part(answer, "feed")["lag_ms"] == 40
    # The test's clock is held in the past, and that is noticed.
    assert (part(answer, "postgres")["state"], answer["status"]) == ("degraded", "degraded")
    assert "apart" in part(answer, "postgres")["detail"]


async def test_without_temporal_and_worker_it_is_not_ready_and_says_which(platform: Platform) -> None:
    response = await platform.http.get("/api/v1/ready")
    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert [part(response.json(), name)["state"] for name in ("temporal", "worker", "feed")] == ["down", "down", "down"]


async def test_an_account_without_a_desk_is_told_though_a_worker_lives(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await beat(platform.services.redis, "worker:one", {"desks": 0})
    assert part((await platform.http.get("/ready")).json(), "worker")["state"] == "ok", "a new account has a moment"
    async with platform.services.database.transaction() as session:
        await session.execute(update(Run).where(Run.id == run.id).values(created_at=func.now() - timedelta(minutes=1)))
    worker = part((await platform.http.get("/ready")).json(), "worker")
    assert (worker["state"], worker["detail"]) == ("degraded", "1 accounts with open runs have no desk")
    await platform.services.redis.flushall()
    assert part((await platform.http.get("/ready")).json(), "worker")["state"] == "down"


async def test_a_clock_that_is_shown_to_be_wrong_is_told_whosever_it_is(platform: Platform) -> None:
    await beat(platform.services.redis, "worker:one", {"clock": "at least 250 ms behind the database"})
    clock = part((await platform.http.get("/ready")).json(), "clock")
    assert (clock["state"], clock["detail"]) == ("degraded", "worker:one: at least 250 ms behind the database")
    # The test's own clock is held in the past.
    await platform.services.redis.flushall()
    await platform.services.clock_watch.look()
    clock = part((await platform.http.get("/ready")).json(), "clock")
    assert (clock["state"], "behind the database" in clock["detail"]) == ("degraded", True)


async def test_a_standby_listener_is_no_active_one(platform: Platform) -> None:
    await beat(platform.services.redis, "listener-standby", {})
    listener = part((await platform.http.get("/ready")).json(), "listener")
    assert (listener["state"], listener["detail"]) == ("down", "no listener is active")
    await beat(platform.services.redis, "listener", {})
    listener = part((await platform.http.get("/ready")).json(), "listener")
    assert (listener["state"], listener["detail"]) == ("ok", "with a standby")


async def test_an_alarm_nobody_could_be_told_of_makes_readiness_yellow(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, alert_targets="json://127.0.0.1:9/")
    async with running(settings, FakeAdapters()) as platform:
        assert "0 open; 0 messages wait" in part((await platform.http.get("/ready")).json(), "alarms")["detail"]
        alert = await add_alert(platform, None, key="a")
        target = platform.services.targets[0].name
        async with platform.services.database.transaction() as session:
            session.add(AlertDelivery(alert_id=alert.id, event=AlertEvent.RAISED, target=target, attempts=MOST_ATTEMPTS))
        found = part((await platform.http.get("/ready")).json(), "alarms")
        assert (found["state"], found["detail"]) == ("degraded", "1 open; 0 messages wait, 1 were given up")


async def test_a_silent_feed_is_told_with_its_trouble(platform: Platform) -> None:
    facts = {"connected": True, "healthy": False, "feed_age_ms": 7_000, "trouble": "silent for 7 s"}
    await beat(platform.services.redis, "listener", facts)
    feed = part((await platform.http.get("/ready")).json(), "feed")
    assert (feed["state"], feed["lag_ms"], feed["detail"]) == ("degraded", 7_000, "silent for 7 s")


async def test_a_list_that_could_not_be_loaded_is_told_with_the_reason(database_url: str, redis_url: str) -> None:
    adapters = FakeAdapters()
    adapters.instrument_master.is_down = True
    async with running(make_settings(database_url, redis_url), adapters, wait=False) as platform:
        await platform.services.instrument_job.step()
        instruments = part((await platform.http.get("/ready")).json(), "instruments")
        assert (instruments["state"], instruments["detail"]) == ("down", "zerodha: connection refused")


@pytest.mark.parametrize(
    ("until", "state"),
    [(date(2026, 11, 19), PartState.DOWN), (date(2026, 11, 26), PartState.DEGRADED), (date(2026, 12, 31), PartState.OK)],
)
def test_a_calendar_that_ends_soon_is_told(until: date, state: PartState) -> None:
    assert judge_horizon(until, today=date(2026, 11, 20)).state is state


async def test_without_the_database_requests_are_503_with_a_time_to_come_back(redis_url: str) -> None:
    settings = make_settings("postgresql+asyncpg://nobody@127.0.0.1:9/none", redis_url)
    async with running(settings, FakeAdapters(), wait=False) as platform:
        client = platform.anonymous()
        body = {"email": "asha@example.com", "password": "correct horse battery staple"}
        for path in ("/auth/register", "/auth/login"):
            response = await client.call("POST", path, json=body, expect=503)
            assert response.json()["error"] == "DATABASE_UNAVAILABLE"
            assert response.headers["retry-after"] == "2"
        ready = await platform.http.get("/ready")
        assert (ready.status_code, part(ready.json(), "postgres")["state"]) == (503, "down")
        assert (await platform.http.get("/health")).status_code == 200


async def test_metrics_count_requests_by_route_and_never_by_id(platform: Platform) -> None:
    user = await platform.user()
    strategy_id = await user.create()
    await user.get(f"/strategy/{strategy_id}")
    text = (await platform.http.get("/metrics")).text
    assert 'algo_http_requests_total{method="POST",route="/auth/register",status="201"} 1.0' in text
    assert strategy_id not in text
    assert "algo_instruments 6.0" in text


async def test_every_answer_carries_its_request_id_and_security_headers(platform: Platform) -> None:
    given = await platform.http.get("/api/v1/nowhere", headers={"X-Request-ID": "my-id_1.2"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "my-id_1.2"
    made = await platform.http.get("/health", headers={"X-Request-ID": "bad id\u00e9".encode()})
    assert made.headers["x-request-id"].startswith("req_")
    for response in (given, made):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in response.headers


async def test_behind_https_browsers_are_told_to_stay_there(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, public_url="https://trade.example.com")
    async with running(settings, FakeAdapters()) as platform:
        assert "max-age" in (await platform.http.get("/health")).headers["strict-transport-security"]


async def test_only_listed_origins_may_call_from_a_browser(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, cors_origins="https://app.example.com")
    async with running(settings, FakeAdapters()) as platform:
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Idempotency-Key"}
        good = await platform.http.options("/api/v1/auth/login", headers={"Origin": "https://app.example.com", **wanted})
        bad = await platform.http.options("/api/v1/auth/login", headers={"Origin": "https://evil.example.com", **wanted})
        assert good.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "access-control-allow-origin" not in bad.headers


async def test_without_listed_origins_no_browser_may(platform: Platform) -> None:
    response = await platform.http.get("/health", headers={"Origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in response.headers


async def test_too_many_requests_of_one_user_are_429_and_others_go_on(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, rate_limit_per_minute=5)
    async with running(settings, FakeAdapters()) as platform:
        busy, calm = await platform.user(), await platform.user()
        answers = [(await busy.call("GET", "/auth/me")).status_code for _ in range(20)]
        assert answers[:5] == [200] * 5
        refused = await busy.call("GET", "/auth/me")
        assert 429 in answers
        assert refused.status_code == 200 or refused.headers["retry-after"] == "60"
        assert (await calm.call("GET", "/auth/me")).status_code == 200


@pytest.mark.parametrize("redis", ["shared", "away"])
async def test_guessing_passwords_is_throttled_with_and_without_redis(database_url: str, redis_url: str, redis: str) -> None:
    url = redis_url if redis == "shared" else "redis://127.0.0.1:9/0"
    async with running(make_settings(database_url, url, login_attempts_per_minute=3), FakeAdapters()) as platform:
        client = platform.anonymous()
        body = {"email": "asha@example.com", "password": "guess"}
        codes = [(await client.call("POST", "/auth/login", json=body)).json()["error"] for _ in range(10)]
        assert codes[:3] == ["INVALID_CREDENTIALS"] * 3
        assert "TOO_MANY_LOGINS" in codes
        other = {"email": "ravi@example.com", "password": "guess"}
        await client.refused("POST", "/auth/login", 401, "INVALID_CREDENTIALS", json=other)


# --- the document ------------------------------------------------------------------------------------------------------


def operations() -> list[tuple[str, dict[str, Any]]]:
    paths = openapi_document()["paths"]
    return [(f"{method} {path}", operation) for path, methods in paths.items() for method, operation in methods.items()]


def test_every_operation_has_an_id_of_its_own_a_summary_a_tag_and_words() -> None:
    listed = operations()
    ids = [operation["operationId"] for _, operation in listed]
    assert len(ids) == len(set(ids))
    for name, operation in listed:
        assert operation.get("description") or "", name
        assert len(operation["tags"]) == 1, name
        assert operation["operationId"].isalnum(), name


def test_every_error_an_operation_declares_has_the_one_shape_and_an_example() -> None:
    for name, operation in operations():
        errors = {status: found for status, found in operation["responses"].items() if int(status) >= 400}
        assert "500" in errors, name
        for status, found in errors.items():
            if name.endswith("/ready") and status == "503":
                continue
            content = found["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, (name, status)
            assert all(example["value"]["error"] == code for code, example in content["examples"].items())


def test_operations_that_need_a_token_say_so() -> None:
    public = {
        "register",
        "login",
        "refreshTokens",
        "brokerLoginCallback",
        "brokerPostback",
        "openBrokerLogin",
        "getHealth",
        "getReadiness",
        "getMetrics",
    }
    for name, operation in operations():
        assert bool(operation.get("security")) != (operation["operationId"] in public), name


def test_mutations_of_signed_in_users_declare_the_idempotency_key() -> None:
    for name, operation in operations():
        mutates = name.split()[0] in ("post", "put", "patch", "delete") and operation.get("security")
        # Answers about one's own access hold tokens, secrets and keys: none is kept to be given again.
        if mutates and "/auth/" not in name and operation["operationId"] != "adminCreateUser":
            assert "Idempotency-Key" in [parameter["name"] for parameter in operation.get("parameters", [])], name


def test_nothing_of_the_frameworks_own_error_shape_is_left() -> None:
    assert "HTTPValidationError" not in openapi_document()["components"]["schemas"]
