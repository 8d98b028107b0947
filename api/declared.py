"""Declares on each route which errors it may answer, so that the generated clients know them."""

from collections.abc import Iterable
from typing import Any

from api.errors import MEANINGS, ErrorBody, ErrorCode

Responses = dict[int | str, dict[str, Any]]

# Any route may meet these.
ALWAYS = (ErrorCode.INTERNAL_ERROR, ErrorCode.DATABASE_UNAVAILABLE)
SIGNED_IN = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.TOKEN_INVALID,
    ErrorCode.TOKEN_EXPIRED,
    ErrorCode.USER_SUSPENDED,
    ErrorCode.RATE_LIMITED,
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
