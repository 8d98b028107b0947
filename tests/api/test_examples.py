"""The examples of the document work: what it shows is refused by no route for itself, neither the least body nor the fullest."""

from decimal import Decimal
from typing import Any

import pytest

from storage.models import Role
from tests.api.conftest import PREFIX, Platform, openapi_document
from tests.api.fakes import TCS
from tests.api.test_fuzzed import ENDS_ITS_SESSION, person
from tests.api.test_isolation import everything_of


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return dict(openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def is_shown(schema: dict[str, Any]) -> bool:
    schema = resolved(schema)
    ways = schema.get("anyOf") or schema.get("oneOf") or ()
    return bool(schema.get("examples")) or "properties" in schema or any(is_shown(way) for way in ways[:1])


def example_of(schema: dict[str, Any], *, fullest: bool = False) -> Any:
    """`fullest`: every field that shows a value, also where a whole body is shown."""
    schema = resolved(schema)
    if schema.get("examples") and not (fullest and "properties" in schema):
        return schema["examples"][0]
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways:
        return example_of(ways[0], fullest=fullest)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            fields, required = schema.get("properties", {}), schema.get("required", ())
            wanted = [name for name in fields if name in required or (fullest and is_shown(fields[name]))]
            return {name: example_of(fields[name], fullest=fullest) for name in wanted}
        case "array":
            return [example_of(schema["items"], fullest=fullest)]
        case "string":
            return "text"
        case "boolean":
            return False
        case _:
            return 1


# Behind a session that is over nothing is looked at.
SESSION_OVER = ("TOKEN_INVALID", "UNAUTHENTICATED")
# The broker does not know the secrets that are shown, and the account is no paper account.
OF_THE_ACCOUNT = ("BROKER_AUTH_FAILED", "BROKER_NOT_SUPPORTED")


@pytest.mark.parametrize("fullest", [False, True], ids=["least", "fullest"])
async def test_the_body_the_document_shows_is_accepted_by_every_route(trading: Platform, fullest: bool) -> None:
    trading.broker.prices[TCS] = Decimal(3550)
    admin = await person(trading, "admin@example.org", Role.ADMIN)
    ids = await everything_of(trading, admin) | {"user_id": admin.user_id, "broker": "zerodha", "flag": "registration"}
    tried, refused = 0, []
    for path, operations in openapi_document()["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            address = path.removeprefix(PREFIX).format(**ids)
            ends_its_session = operation["operationId"] in ENDS_ITS_SESSION
            caller = await person(trading, f"{operation['operationId']}@example.org", Role.ADMIN) if ends_its_session else admin
            response = await caller.call(method.upper(), address, json=example_of(content["schema"], fullest=fullest))
            code = response.json().get("error")
            if code in SESSION_OVER or (response.status_code in (400, 422, 500) and code not in OF_THE_ACCOUNT):
                refused.append(f"{operation['operationId']}: {response.text}")
            tried += 1
    assert not refused, "\n".join(refused)
    assert tried > 25
