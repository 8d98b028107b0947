"""The examples of the document work: a body of what is required, with the values shown, is refused by no route for itself."""

from decimal import Decimal
from typing import Any

from storage.models import Role
from tests.api.conftest import PREFIX, Platform, openapi_document
from tests.api.fakes import TCS
from tests.api.test_fuzzed import person
from tests.api.test_isolation import everything_of


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return dict(openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def example_of(schema: dict[str, Any]) -> Any:
    schema = resolved(schema)
    if schema.get("examples"):
        return schema["examples"][0]
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways:
        return example_of(ways[0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: example_of(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [example_of(schema["items"])]
        case "string":
            return "text"
        case "boolean":
            return False
        case _:
            return 1


async def test_the_least_body_the_document_shows_is_accepted_by_every_route(trading: Platform) -> None:
    trading.broker.prices[TCS] = Decimal(3550)
    admin = await person(trading, "admin@example.org", Role.ADMIN)
    ids = await everything_of(trading, admin) | {"user_id": admin.user_id, "broker": "zerodha", "flag": "registration"}
    tried = 0
    for path, operations in openapi_document()["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            address = path.removeprefix(PREFIX).format(**ids)
            response = await admin.call(method.upper(), address, json=example_of(content["schema"]))
            assert response.status_code not in (400, 422, 500), f"{operation['operationId']}: {response.text}"
            tried += 1
    assert tried > 25
