"""The committed contract is today's, and nothing in it breaks a client of the last release unless somebody decided so."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from api import contract
from tests.api.conftest import openapi_document

PLAN = {"$ref": "#/components/schemas/Plan"}
SMALL: dict[str, Any] = {
    "paths": {
        "/plan": {
            "post": {
                "operationId": "createPlan",
                "parameters": [{"in": "query", "name": "dry", "schema": {"type": "boolean"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Plan"}}},
                },
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Made"}}}}},
            }
        }
    },
    "components": {
        "schemas": {
            "Plan": {
                "type": "object",
                "properties": {
                    "symbol": {"type": "string", "maxLength": 64},
                    "product": {"type": "string", "enum": ["MIS", "CNC"]},
                    "stop": {"anyOf": [{"type": "number"}, {"type": "string"}]},
                },
                "required": ["symbol"],
            },
            "Made": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "price": {"type": "number"},
                    "note": {"type": "string"},
                    "state": {"type": "string", "enum": ["new", "over"]},
                    "kind": {"type": "string", "const": "plan"},
                },
                "required": ["id", "price"],
            },
        }
    },
}


def changed(change: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]) -> list[str]:
    """The breaking changes of a change to (operation, Plan, Made)."""
    new = copy.deepcopy(SMALL)
    schemas = new["components"]["schemas"]
    change(new["paths"].get("/plan", {}).get("post", {}), schemas["Plan"], schemas["Made"])
    return contract.breaking_changes(SMALL, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda operation, plan, made: operation.update(operationId="makePlan"), "is called makePlan"),
        (lambda operation, plan, made: operation["parameters"].clear(), "query parameter dry is gone"),
        (lambda operation, plan, made: operation["parameters"][0].update(required=True), "dry has to be sent"),
        (lambda operation, plan, made: operation["responses"].clear(), "does not answer 201"),
        (lambda operation, plan, made: plan["required"].append("product"), "Plan.product has to be sent"),
        (lambda operation, plan, made: plan["properties"]["product"]["enum"].remove("CNC"), "takes 'CNC' no more"),
        (lambda operation, plan, made: plan["properties"]["symbol"].update(maxLength=8), "maxLength is 8 and was 64"),
        (lambda operation, plan, made: plan["properties"]["stop"]["anyOf"].pop(), "takes no string any more"),
        (lambda operation, plan, made: made["properties"].pop("price"), "Made.price is gone"),
        (lambda operation, plan, made: made["required"].remove("price"), "Made.price may be missing now"),
        (lambda operation, plan, made: made["properties"].update(price={"type": "string"}), "Made.price may be string now"),
        (
            lambda operation, plan, made: made["properties"].update(price={"anyOf": [{"type": "number"}, {"type": "null"}]}),
            "Made.price may be null now",
        ),
        (lambda operation, plan, made: made["properties"]["state"]["enum"].append("lost"), "Made.state may be 'lost' now"),
        (lambda operation, plan, made: made["properties"]["state"].pop("enum"), "Made.state may be any string now"),
        (lambda operation, plan, made: made["properties"].update(kind={"enum": ["plan", "x"]}), "Made.kind may be 'x' now"),
    ],
)
def test_what_a_client_could_trip_over_is_named(change: Callable[..., object], words: str) -> None:
    found = changed(change)
    assert any(words in line for line in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda operation, plan, made: operation["responses"].update({"202": {}}),
        lambda operation, plan, made: operation["parameters"].append(
            {"in": "query", "name": "new", "schema": {"type": "string"}}
        ),
        lambda operation, plan, made: plan["properties"].update(new={"type": "string"}),
        lambda operation, plan, made: plan["required"].clear(),
        lambda operation, plan, made: plan["properties"]["product"]["enum"].append("NRML"),
        lambda operation, plan, made: made["properties"].update(new={"type": "string"}),
        lambda operation, plan, made: made["required"].append("note"),
        lambda operation, plan, made: made["properties"]["state"]["enum"].remove("new"),
    ],
)
def test_what_only_adds_breaks_nobody(change: Callable[..., object]) -> None:
    assert changed(change) == []


def test_a_route_that_is_gone_is_named() -> None:
    assert contract.breaking_changes(SMALL, {**SMALL, "paths": {}}) == ["POST /plan: is gone"]


def test_a_field_called_like_a_word_of_the_document_counts() -> None:
    schema = {"type": "object", "description": "x", "properties": {"description": {"type": "string", "title": "y"}}}
    assert contract.without_words(schema) == {"type": "object", "properties": {"description": {"type": "string"}}}


def test_the_committed_contract_is_todays() -> None:
    assert contract.CURRENT.read_text(encoding="utf-8") == contract.as_text(openapi_document()), "run: python -m api.document"


def test_nothing_breaks_a_client_of_the_last_release_unless_it_was_decided() -> None:
    released = json.loads(contract.RELEASED.read_text(encoding="utf-8"))
    found = contract.breaking_changes(released, contract.without_words(openapi_document()))
    assert [line for line in found if line not in contract.accepted()] == [], "see docs/api.md, Changing the contract"
    assert contract.accepted() - set(found) == set(), "accepted, and not broken (any more)"


def test_operation_ids_make_a_pleasant_client() -> None:
    ids = [operation["operationId"] for methods in openapi_document()["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert [one for one in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)*", one)] == []
