"""What routes ask for: the services, and who is calling."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request

from api.access import Caller as Caller
from api.access import admit, get_services
from api.errors import ApiError, ErrorCode
from api.services import Services
from storage.ids import is_id
from storage.models import Role
from storage.repositories.sessions import Device

# Names that may be printed in logs and compared as they are.
IDEMPOTENCY_KEY_PATTERN = r"^[\x21-\x7e]{1,200}$"


# Dependencies are coroutines although they wait for nothing: plain functions would each be sent to a thread.
async def services_of(request: Request) -> Services:
    return get_services(request)


Platform = Annotated[Services, Depends(services_of)]


async def client_address(request: Request) -> str:
    """Behind a proxy uvicorn has put the caller's own address here."""
    return request.client.host if request.client else "unknown"


Address = Annotated[str, Depends(client_address)]


async def client_device(request: Request) -> Device:
    agent = request.headers.get("user-agent", "").replace("\0", "")
    return Device((await client_address(request))[:64], agent[:200])


ThisDevice = Annotated[Device, Depends(client_device)]


async def get_caller(request: Request) -> Caller:
    """Whom `admit` has let in. Raises ApiError UNAUTHENTICATED on a route that is public and yet asks who is calling."""
    caller = await admit(request)
    if caller is None:
        raise ApiError(ErrorCode.UNAUTHENTICATED)
    return caller


CurrentCaller = Annotated[Caller, Depends(get_caller)]


async def get_admin(caller: CurrentCaller) -> Caller:
    if caller.role is not Role.ADMIN:
        raise ApiError(ErrorCode.FORBIDDEN)
    return caller


CurrentAdmin = Annotated[Caller, Depends(get_admin)]


async def idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=IDEMPOTENCY_KEY_PATTERN,
            description="Any text of your own. The same key with the same request gets the first answer again, for a day.",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> None:
    """Declares the header; `api/idempotency.py` acts on it."""


def known_id(value: str, *, prefix: str, missing: ErrorCode) -> str:
    """An id that cannot exist is answered like one that does not. Raises ApiError `missing`."""
    if not is_id(value, prefix):
        raise ApiError(missing)
    return value


# Each asks who is calling first: without a token nobody learns anything about an id.
async def strategy_id_of(_: CurrentCaller, strategy_id: Annotated[str, Path(examples=["str_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(strategy_id, prefix="str", missing=ErrorCode.STRATEGY_NOT_FOUND)


async def broker_id_of(_: CurrentCaller, broker_id: Annotated[str, Path(examples=["brk_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(broker_id, prefix="brk", missing=ErrorCode.BROKER_NOT_FOUND)


async def order_id_of(_: CurrentCaller, order_id: Annotated[str, Path(examples=["ord_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(order_id, prefix="ord", missing=ErrorCode.ORDER_NOT_FOUND)


async def alert_id_of(_: CurrentCaller, alert_id: Annotated[str, Path(examples=["alt_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(alert_id, prefix="alt", missing=ErrorCode.ALERT_NOT_FOUND)


async def user_id_of(_: CurrentAdmin, user_id: Annotated[str, Path(examples=["usr_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(user_id, prefix="usr", missing=ErrorCode.USER_NOT_FOUND)


async def result_id_of(_: CurrentCaller, result_id: Annotated[str, Path(examples=["pgj_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(result_id, prefix="pgj", missing=ErrorCode.PLAYGROUND_RESULT_NOT_FOUND)


async def data_id_of(_: CurrentCaller, data_id: Annotated[str, Path(examples=["dat_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(data_id, prefix="dat", missing=ErrorCode.PLAYGROUND_DATA_NOT_FOUND)


async def session_id_of(_: CurrentCaller, session_id: Annotated[str, Path(examples=["fam_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(session_id, prefix="fam", missing=ErrorCode.SESSION_NOT_FOUND)


async def key_id_of(_: CurrentCaller, key_id: Annotated[str, Path(examples=["key_01jb3m5k8r2v9x4c7n6q1t0w3z"])]) -> str:
    return known_id(key_id, prefix="key", missing=ErrorCode.API_KEY_NOT_FOUND)


SessionId = Annotated[str, Depends(session_id_of)]
KeyId = Annotated[str, Depends(key_id_of)]
StrategyId = Annotated[str, Depends(strategy_id_of)]
BrokerId = Annotated[str, Depends(broker_id_of)]
OrderId = Annotated[str, Depends(order_id_of)]
AlertId = Annotated[str, Depends(alert_id_of)]
UserId = Annotated[str, Depends(user_id_of)]
ResultId = Annotated[str, Depends(result_id_of)]
DataId = Annotated[str, Depends(data_id_of)]
