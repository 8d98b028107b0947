"""What no client should send: always a clear 4xx in the one error shape, never a 500."""

import json
import re

import pytest

from api.errors import ErrorCode
from tests.api.conftest import PLAN, PREFIX, Client, Platform, openapi_document
from tests.api.test_admin import as_admin

JSON = {"Content-Type": "application/json"}


async def refusal(user: Client, content: bytes, *, path: str = "/strategy/create", headers: dict[str, str] | None = None) -> str:
    response = await user.call("POST", path, content=content, headers=headers or JSON)
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    body = response.json()
    assert set(body) == {"error", "message", "details", "request_id"}
    assert body["request_id"] == response.headers["x-request-id"]
    return f"{response.status_code} {body['error']}"


def plan(**changes: object) -> bytes:
    return json.dumps({**PLAN, **changes}).encode()


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "422 INVALID_INPUT"),
        (b"{", "400 MALFORMED_JSON"),
        (b"nonsense", "400 MALFORMED_JSON"),
        (b"\xff\xfe{}", "400 MALFORMED_JSON"),
        (b'{"symbol": "\xff"}', "400 MALFORMED_JSON"),
        (b"[]", "422 INVALID_INPUT"),
        (b"null", "422 INVALID_INPUT"),
        (b"5", "422 INVALID_INPUT"),
        (b'"text"', "422 INVALID_INPUT"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "400 MALFORMED_JSON"),
        (plan(extra=[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]), "400 INVALID_VALUE"),
        (plan().replace(b"3500", b"NaN"), "400 INVALID_VALUE"),
        (plan().replace(b"3500", b"Infinity"), "400 INVALID_VALUE"),
        (plan().replace(b"3500", b"-Infinity"), "400 INVALID_VALUE"),
        (plan().replace(b"3500", b"1e999"), "400 INVALID_VALUE"),
        (plan().replace(b'"quantity": 10', b'"quantity": ' + b"9" * 5_000), "400 MALFORMED_JSON"),
        (plan().replace(b'"quantity": 10', b'"quantity": 1e400'), "400 INVALID_VALUE"),
        (plan().replace(b"TCS", b"TC\\u0000S"), "400 INVALID_TEXT"),
        (plan().replace(b"TCS", b"TC\\ud800S"), "400 INVALID_TEXT"),
        (plan(**{"a\0": 1}), "400 INVALID_TEXT"),
    ],
)
async def test_a_body_that_is_not_a_plan(platform: Platform, content: bytes, answer: str) -> None:
    assert await refusal(await platform.user(), content) == answer


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense", "multipart/form-data"]
)
async def test_a_body_that_does_not_say_it_is_json(platform: Platform, content_type: str) -> None:
    assert await refusal(await platform.user(), plan(), headers={"Content-Type": content_type}) == "422 INVALID_INPUT"


async def test_a_body_above_64_kib_is_refused_whether_announced_or_not(platform: Platform) -> None:
    user = await platform.user()
    large = plan(name="x" * 70_000)
    assert await refusal(user, large) == "413 PAYLOAD_TOO_LARGE"

    async def trickle():
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    response = await user.call("POST", "/strategy/create", content=trickle(), headers=JSON)
    assert (response.status_code, response.json()["error"]) == (413, "PAYLOAD_TOO_LARGE")
    keyed = {**JSON, "Idempotency-Key": "large"}
    assert (await user.call("POST", "/strategy/create", content=large, headers=keyed)).status_code == 413


async def test_a_body_of_just_64_kib_is_read(platform: Platform) -> None:
    user = await platform.user()
    padded = plan() + b" " * (64 * 1024 - len(plan()))
    await user.call("POST", "/strategy/create", content=padded, headers=JSON, expect=201)


def routes_with_json() -> list[tuple[str, str]]:
    known = {"{broker}": "zerodha", "{flag}": "registration"}
    return [
        (method.upper(), re.sub(r"\{\w+\}", lambda found: known.get(found[0], "x"), path.removeprefix(PREFIX)))
        for path, operations in openapi_document()["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        # What brokers send is signed as it came, and judged by its signature.
        and not path.endswith("/postback/{broker}")
    ]


async def test_a_field_that_is_named_twice_is_refused_on_every_route(platform: Platform) -> None:
    admin = await as_admin(platform)
    for method, path in routes_with_json():
        for headers in (JSON, {**JSON, "Idempotency-Key": "twice"}):
            response = await admin.call(method, path, content=b'{"a": {"quantity": 1, "quantity": 1000}}', headers=headers)
            found = (method, path, response.status_code, response.json()["error"])
            assert found == (method, path, 400, "MALFORMED_JSON"), response.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/logout", {"everywhere": 0}),
        ("/auth/logout", {"everywhere": "yes"}),
        ("/strategy/create", {**PLAN, "max_lateness_seconds": False}),
        ("/strategy/create", {**PLAN, "quantity": True}),
        ("/strategy/create", {**PLAN, "backup_stop": 0}),
        ("/kill-switch", {"square_off": 0}),
        ("/kill-switch", {"square_off": "off"}),
    ],
)
async def test_only_true_and_false_are_yes_and_no_and_neither_is_a_number(platform: Platform, path: str, body: object) -> None:
    await (await platform.user()).refused("POST", path, 422, "INVALID_INPUT", json=body)


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 50, "1e3", ""])
async def test_a_length_that_is_no_number_is_no_crash(platform: Platform, length: str) -> None:
    user = await platform.user()
    response = await user.call("POST", "/strategy/create", content=plan(), headers={**JSON, "Content-Length": length})
    assert response.status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/instruments?query=%00",
        "/instruments?query=" + "x" * 65,
        "/instruments?query=TCS&exchange=%00",
        "/instruments?query=TCS&limit=99999999999999999999999",
        "/instruments",
        "/orders?run_id=%00",
        "/orders?strategy_id=" + "x" * 100,
        "/strategy/list?status=%00",
        "/strategy/list?cursor=%00",
        "/alerts?only_open=perhaps",
        "/analytics/pnl?from_day=%00",
        "/analytics/pnl?from_day=2026-13-01",
    ],
)
async def test_a_query_that_makes_no_sense(platform: Platform, path: str) -> None:
    user = await platform.user()
    response = await user.call("GET", path)
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["error"] in {code.value for code in ErrorCode}


@pytest.mark.parametrize("path", ["/admin/audit", "/admin/logs"])
@pytest.mark.parametrize("to", ["0.5", "1", "1e9", "-1"])
async def test_a_bare_number_is_no_instant(platform: Platform, path: str, to: str) -> None:
    await (await as_admin(platform)).refused("GET", f"{path}?to={to}", 422, "INVALID_INPUT")


async def test_a_timeline_of_a_run_id_with_nul_is_no_crash(platform: Platform) -> None:
    user = await platform.user()
    response = await user.call("GET", f"/strategy/{await user.create()}/timeline", params={"run_id": "\0"})
    assert 400 <= response.status_code < 500


@pytest.mark.parametrize(
    "header", [b"Bearer", b"Bearer ", b"Basic x", b"Bearer \xff\xfe", b"\x01", b"Bearer a.b.c", b"Bearer " + b"x" * 8_000]
)
async def test_an_authorization_that_makes_no_sense_is_401(platform: Platform, header: bytes) -> None:
    await platform.anonymous().call("GET", "/auth/me", headers={"Authorization": header}, expect=401)
    keyed = {"Authorization": header, "Idempotency-Key": "x"}
    await platform.anonymous().call("POST", "/auth/logout", headers=keyed, expect=401)


async def test_what_is_not_there_has_the_same_shape(platform: Platform) -> None:
    user = await platform.user()
    await user.refused("GET", "/nowhere", 404, "NOT_FOUND")
    await user.refused("PUT", "/auth/me", 405, "METHOD_NOT_ALLOWED")
    response = await user.call("PATCH", "/kill-switch", expect=405)
    assert response.headers["allow"] == "DELETE, GET, POST"
    response = await user.call("OPTIONS", "/strategy/create", expect=405)
    assert response.headers["allow"] == "POST", "a fixed word comes before an id in the same place"


async def test_an_answer_to_bad_input_repeats_none_of_it(platform: Platform) -> None:
    body = {"email": "asha@example.com", "password": {"pass": "hunter2-secret"}}
    response = await platform.anonymous().call("POST", "/auth/register", json=body, expect=422)
    assert "hunter2-secret" not in response.text


async def test_a_failure_of_ours_is_a_500_in_the_same_shape_without_its_cause(platform: Platform) -> None:
    user = await platform.user()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a detail nobody should see")

    object.__setattr__(platform.services.accounts, "with_servers", broken)
    response = await user.call("POST", "/broker/connect", json={"api_key": "a", "api_secret": "b"}, expect=500)
    assert response.json()["error"] == "INTERNAL_ERROR"
    assert "nobody should see" not in response.text
