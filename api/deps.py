"""What routes ask for: the services, and who is calling."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request

from api.access import Caller as Caller
from api.access import admit, get_services
from api.errors import ApiError, ErrorCode
from api.services import Services
from storage.ids import is_id
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


def path_id(name: str, *, prefix: str, missing: ErrorCode) -> Any:
    """An id in the path. It asks who is calling first: without a token nobody learns anything about an id."""
    in_path = Path(alias=name, examples=[f"{prefix}_01jb3m5k8r2v9x4c7n6q1t0w3z"])

    async def checked(_: CurrentCaller, value: Annotated[str, in_path]) -> str:
        return known_id(value, prefix=prefix, missing=missing)

    return Depends(checked)


StrategyId = Annotated[str, path_id("strategy_id", prefix="str", missing=ErrorCode.STRATEGY_NOT_FOUND)]
BrokerId = Annotated[str, path_id("broker_id", prefix="brk", missing=ErrorCode.BROKER_NOT_FOUND)]
OrderId = Annotated[str, path_id("order_id", prefix="ord", missing=ErrorCode.ORDER_NOT_FOUND)]
AlertId = Annotated[str, path_id("alert_id", prefix="alt", missing=ErrorCode.ALERT_NOT_FOUND)]
UserId = Annotated[str, path_id("user_id", prefix="usr", missing=ErrorCode.USER_NOT_FOUND)]
ResultId = Annotated[str, path_id("result_id", prefix="pgj", missing=ErrorCode.PLAYGROUND_RESULT_NOT_FOUND)]
DataId = Annotated[str, path_id("data_id", prefix="dat", missing=ErrorCode.PLAYGROUND_DATA_NOT_FOUND)]
SessionId = Annotated[str, path_id("session_id", prefix="fam", missing=ErrorCode.SESSION_NOT_FOUND)]
KeyId = Annotated[str, path_id("key_id", prefix="key", missing=ErrorCode.API_KEY_NOT_FOUND)]
TargetId = Annotated[str, path_id("target_id", prefix="ntf", missing=ErrorCode.TARGET_NOT_FOUND)]
DeviceId = Annotated[str, path_id("device_id", prefix="dev", missing=ErrorCode.DEVICE_NOT_FOUND)]
