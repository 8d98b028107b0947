"""Declares on each route which errors it may answer, so that the generated clients know them."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from api.access import PREFIX
from api.errors import MEANINGS, ErrorBody, ErrorCode
from api.pages import BROWSED
from api.roles import Rule, rule_for

Responses = dict[int | str, dict[str, Any]]

SECURITY_SCHEMES = {
    "accessToken": {"type": "http", "scheme": "bearer", "description": "The `token` of register, login or refresh"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of your own programs, with scopes"},
}
# Any route may meet these.
ALWAYS = (ErrorCode.INTERNAL_ERROR, ErrorCode.DATABASE_UNAVAILABLE)
SIGNED_IN = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.TOKEN_INVALID,
    ErrorCode.TOKEN_EXPIRED,
    ErrorCode.API_KEY_INVALID,
    ErrorCode.FORBIDDEN,
    ErrorCode.API_KEY_SCOPE,
    ErrorCode.USER_SUSPENDED,
    ErrorCode.RATE_LIMITED,
)
# Asked for a password again, and for a code if the second factor is on.
PROVEN = (
    ErrorCode.INVALID_CREDENTIALS,
    ErrorCode.SECOND_FACTOR_REQUIRED,
    ErrorCode.SECOND_FACTOR_INVALID,
    ErrorCode.TOO_MANY_LOGINS,
)
# Whatever has parameters or a body can be wrong in these ways.
PARAMETERS = (ErrorCode.INVALID_INPUT, ErrorCode.INVALID_VALUE, ErrorCode.INVALID_TEXT)
BODY = (*PARAMETERS, ErrorCode.MALFORMED_JSON, ErrorCode.PAYLOAD_TOO_LARGE)
IDEMPOTENT = (
    ErrorCode.INVALID_VALUE,
    ErrorCode.INVALID_INPUT,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.IDEMPOTENCY_KEY_REUSED,
    ErrorCode.REQUEST_IN_PROGRESS,
)
BROKER_CALL = (ErrorCode.BROKER_UNAVAILABLE, ErrorCode.BROKER_AUTH_FAILED, ErrorCode.BROKER_NOT_SUPPORTED)


def errors(*codes: ErrorCode | Iterable[ErrorCode]) -> Responses:
    """The `responses` argument of a route: by status, each code with an example."""
    listed = [code for item in codes for code in ([item] if isinstance(item, ErrorCode) else item)]
    by_status: dict[int | str, list[ErrorCode]] = {}
    for code in dict.fromkeys([*listed, *ALWAYS]):
        by_status.setdefault(MEANINGS[code].status, []).append(code)
    return {status: _response(found) for status, found in sorted(by_status.items(), key=lambda item: str(item[0]))}


def _response(codes: list[ErrorCode]) -> dict[str, Any]:
    examples = {code.value: {"summary": MEANINGS[code].text, "value": _example(code)} for code in codes}
    description = ", ".join(code.value for code in codes)
    return {"model": ErrorBody, "description": description, "content": {"application/json": {"examples": examples}}}


def _example(code: ErrorCode) -> dict[str, Any]:
    return {"error": code.value, "message": MEANINGS[code].text, "details": None, "request_id": "req_01jb3m5k8r2v9x4c7n6q1t0w3z"}


def document(app: FastAPI) -> None:
    """Put right what the framework writes about errors: its own shape, which no route answers with, and errors declared as
    HTML or event streams on routes that answer those when all is well. And add who may call what, from the one table."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        known = app.openapi_schema is not None
        found = generate()
        return found if known else _put_right(found)

    app.openapi = openapi  # type: ignore[method-assign]


def _put_right(document: dict[str, Any]) -> dict[str, Any]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation.update(_access(rule_for(method, path.removeprefix(PREFIX))))
            operation["responses"] = {
                status: _as_declared(response, is_browsed=operation.get("operationId") in BROWSED)
                for status, response in operation["responses"].items()
                if "HTTPValidationError" not in str(response)
            }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    return document


def _access(rule: Rule | None) -> dict[str, Any]:
    """How to sign in for it, and the roles it is for; nothing for a public route."""
    if rule is None or rule.is_public:
        return {}
    ways: list[dict[str, list[str]]] = [{"accessToken": []}]
    found: dict[str, Any] = {"security": ways, "x-roles": sorted(role.value for role in rule.roles)}
    if rule.scope is not None:
        ways.append({"apiKey": []})
        found["x-api-key-scope"] = rule.scope.value
    return found


def _as_declared(response: dict[str, Any], *, is_browsed: bool) -> dict[str, Any]:
    """Errors are JSON; where browsers come, whoever asks for HTML gets a page."""
    content = response.get("content", {}).get("application/json", {})
    if "examples" not in content:
        return response
    shape = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
    page: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}} if is_browsed else {}
    return response | {"content": {"application/json": {"schema": shape, "examples": content["examples"]}, **page}}
