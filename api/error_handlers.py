"""From whatever was raised to the one error shape. Nothing a caller sent is repeated: it may be a secret."""

from collections.abc import Sequence
from typing import Any

import structlog
from asyncpg import CannotConnectNowError, PostgresConnectionError, QueryCanceledError, TooManyConnectionsError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from api import pages
from api.allowed import allowed_methods
from api.errors import MEANINGS, ApiError, ErrorBody, ErrorCode, FieldProblem
from runtime.accounts import AccountNotFound, BrokerNotSupported
from runtime.instruments import InstrumentsNotLoaded
from trading.ports.broker import BrokerError, BrokerRefused, SessionExpired
from trading.ports.sealing import SealBroken
from trading.sessions import NoTradingDay, UnknownDay

log = structlog.get_logger()

# The caller may try again after this many seconds when a part of the platform is away.
RETRY_AFTER_SECONDS = 2
_CODES = {code.value for code in ErrorCode}
_HTTP_CODES = {404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED, 413: ErrorCode.PAYLOAD_TOO_LARGE}
_DATABASE_AWAY = (PostgresConnectionError, CannotConnectNowError, QueryCanceledError, TooManyConnectionsError)


def answer(request: Request, error: ApiError) -> Response:
    request_id = getattr(request.state, "request_id", None)
    body = ErrorBody(error=error.code, message=error.message, details=error.details, request_id=request_id)
    headers = {}
    seconds = error.retry_after_seconds
    if seconds is None and error.status == 503:
        seconds = RETRY_AFTER_SECONDS
    if seconds is not None:
        headers["Retry-After"] = str(seconds)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if pages.is_wanted(request):
        page = pages.not_logged_in(error, request_id=request_id)
        page.headers.update(headers)
        return page
    return JSONResponse(body.model_dump(mode="json"), status_code=error.status, headers=headers)


def install(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (SQLAlchemyError, OSError, BrokerError, SealBroken, InstrumentsNotLoaded, UnknownDay, NoTradingDay, LookupError):
        app.add_exception_handler(kind, _translated)
    app.add_exception_handler(Exception, _unexpected)


def translate(error: Exception) -> ApiError | None:
    """What an exception of the layers below means to a caller; None: it is our fault."""
    match error:
        case ApiError():
            return error
        case SessionExpired():
            return ApiError(ErrorCode.BROKER_NOT_CONNECTED, str(error))
        case BrokerRefused():
            return ApiError(ErrorCode.BROKER_AUTH_FAILED, str(error))
        case BrokerError():
            return ApiError(ErrorCode.BROKER_UNAVAILABLE, str(error))
        case BrokerNotSupported():
            return ApiError(ErrorCode.BROKER_NOT_SUPPORTED, str(error))
        case SealBroken():
            return ApiError(ErrorCode.BROKER_NOT_CONNECTED, "the stored credentials cannot be opened here; connect again")
        case AccountNotFound():
            return ApiError(ErrorCode.BROKER_NOT_FOUND)
        case InstrumentsNotLoaded():
            return ApiError(ErrorCode.INSTRUMENTS_NOT_LOADED)
        case UnknownDay():
            return ApiError(ErrorCode.CALENDAR_UNKNOWN, str(error))
        case NoTradingDay():
            return ApiError(ErrorCode.NO_TRADING_DAY, str(error))
    return ApiError(ErrorCode.DATABASE_UNAVAILABLE) if database_is_away(error) else None


def database_is_away(error: Exception) -> bool:
    """Whether Postgres could not be asked, rather than refused what it was asked."""
    if isinstance(error, (OSError, PoolTimeout, InterfaceError, OperationalError, *_DATABASE_AWAY)):
        return True
    if isinstance(error, DBAPIError):
        # The driver's own error, or SQLAlchemy's translation of it.
        causes = (error.orig, getattr(error.orig, "__cause__", None))
        return error.connection_invalidated or any(isinstance(cause, _DATABASE_AWAY) for cause in causes)
    return False


async def _api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return answer(request, error)


async def _translated(request: Request, error: Exception) -> Response:
    translated = translate(error)
    if translated is None:
        return await _unexpected(request, error)
    if translated.status >= 500:
        log.warning("request_unavailable", code=translated.code.value, cause=type(error).__name__, path=request.url.path)
    return answer(request, translated)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    return answer(request, ApiError(ErrorCode.INTERNAL_ERROR))


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _HTTP_CODES.get(error.status_code, ErrorCode.MALFORMED_JSON if error.status_code == 400 else ErrorCode.INVALID_VALUE)
    response = answer(request, ApiError(code))
    response.headers.update(error.headers or {})
    if error.status_code == 405 and (allowed := allowed_methods(request.app, request.url.path)):
        response.headers["Allow"] = allowed
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return answer(request, judge(error.errors()))


def judge(problems: Sequence[Any]) -> ApiError:
    """422 when a field is missing or of the wrong type; else 400, with the code of the first problem that has one."""
    details = [
        FieldProblem(field=_place(problem["loc"]), code=_code(problem["type"]), message=problem["msg"]) for problem in problems
    ]
    if any(problem["type"] == "json_invalid" for problem in problems):
        return ApiError(ErrorCode.MALFORMED_JSON, details=details)
    if any(_is_wrong_type(problem["type"]) for problem in problems):
        return ApiError(ErrorCode.INVALID_INPUT, _sentence(details), details=details)
    named = next((problem["type"] for problem in problems if problem["type"] in _CODES), ErrorCode.INVALID_VALUE.value)
    return ApiError(ErrorCode(named), _sentence(details), details=details)


def _sentence(details: list[FieldProblem]) -> str:
    return "; ".join(f"{detail.field.removeprefix('body.')}: {detail.message}" for detail in details)


def _is_wrong_type(kind: str) -> bool:
    if kind in _CODES:
        return MEANINGS[ErrorCode(kind)].status == 422
    return kind in ("missing", "int_from_float", "extra_forbidden") or kind.endswith(("_type", "_parsing"))


def _code(kind: str) -> str:
    return kind if kind in _CODES else kind.upper()


def _place(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location)
