"""Broker accounts: connect, list, log in, and the broker's own books read through."""

from typing import Annotated, TypeVar

import structlog
from fastapi import APIRouter, Body, Depends

from api import connecting, paper
from api.answers import account_answer, broker_order_answer, position_answer
from api.declared import BODY, BROKER_CALL, IDEMPOTENT, SIGNED_IN, errors
from api.deps import BrokerId, CurrentCaller, Platform, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.reading_through import account_of, read_through
from api.routes.tags import BROKER
from api.schemas.broker import (
    Account,
    Accounts,
    BrokerOrders,
    Connected,
    Deleted,
    LoginUrl,
    MarginsAnswer,
    Positions,
)
from api.schemas.connecting import Connect, ConnectPaper, NewSession
from storage.repositories import accounts, order_list
from trading.sessions import trading_date

log = structlog.get_logger()
T = TypeVar("T")

router = APIRouter(prefix="/broker", tags=[BROKER], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/broker", tags=[BROKER])

_FAMILY = (ErrorCode.UNRELATED_LIVE_ACCOUNT, ErrorCode.BROKER_IN_USE, ErrorCode.BROKER_NOT_CONNECTED)
_READ_THROUGH = errors(SIGNED_IN, BROKER_CALL, ErrorCode.BROKER_NOT_FOUND, ErrorCode.BROKER_NOT_CONNECTED)


@router.post(
    "/connect", status_code=201, operation_id="connectBroker", responses=errors(SIGNED_IN, BODY, BROKER_CALL, IDEMPOTENT, _FAMILY)
)
async def connect(body: Annotated[Connect, Body()], caller: CurrentCaller, platform: Platform) -> Connected:
    """Check the credentials with the broker and store them sealed; PINs and one-time codes are used and forgotten. The same
    broker user again renews the account. Each broker takes fields of its own; without `broker` it is Zerodha. `paper` needs no
    broker at all."""
    if isinstance(body, ConnectPaper):
        return paper.connected(await paper.open_account(platform, caller, label=body.label, terms=body.terms()))
    connected = await connecting.connect(
        platform,
        caller,
        broker=connecting.broker_named(platform, body.broker),
        credentials=body.credentials(),
        answer=body.answer(),
        label=body.label,
    )
    return Connected(
        broker_id=connected.account.id,
        status="connected" if connected.broker_valid else "login_required",
        broker_valid=connected.broker_valid,
        broker=connected.account.broker,
        environment=connected.account.environment,
        login_url=connected.login_url,
    )


@reading.get("/list", operation_id="listBrokers", responses=errors(SIGNED_IN))
async def list_accounts(caller: CurrentCaller, platform: Platform) -> Accounts:
    """The user's broker accounts, oldest first."""
    async with platform.database.transaction() as session:
        found = await accounts.list_of(session, user_id=caller.user_id)
    return Accounts(items=[account_answer(platform, account) for account in found])


@reading.get("/{broker_id}", operation_id="getBroker", responses=errors(SIGNED_IN, ErrorCode.BROKER_NOT_FOUND))
async def get_account(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> Account:
    """One broker account, without its secrets."""
    return account_answer(platform, await account_of(platform, caller, broker_id))


@router.delete(
    "/{broker_id}",
    operation_id="deleteBroker",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.BROKER_NOT_FOUND, ErrorCode.BROKER_IN_USE),
)
async def delete_account(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """Remove the account and wipe its secrets. Refused while a strategy trades with it."""
    await connecting.disconnect(platform, caller, account_id=broker_id)
    return Deleted(id=broker_id)


@reading.get(
    "/{broker_id}/login-url",
    operation_id="getBrokerLoginUrl",
    responses=errors(SIGNED_IN, ErrorCode.BROKER_NOT_FOUND, ErrorCode.BROKER_NOT_CONNECTED, ErrorCode.BROKER_NOT_SUPPORTED),
)
async def get_login_url(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> LoginUrl:
    """Where the daily login is made; the broker leads back to `/broker/{broker}/callback`."""
    account = await account_of(platform, caller, broker_id)
    found = await connecting.login_url(platform, account)
    if found is None:
        raise ApiError(ErrorCode.BROKER_NOT_CONNECTED, "this broker has no login page: send its codes to the session route")
    return LoginUrl(broker_id=broker_id, login_url=found)


@router.post(
    "/{broker_id}/session",
    operation_id="renewBrokerSession",
    responses=errors(
        SIGNED_IN, BODY, BROKER_CALL, IDEMPOTENT, _FAMILY, ErrorCode.BROKER_NOT_FOUND, ErrorCode.BROKER_ALREADY_CONNECTED
    ),
)
async def renew_session(broker_id: BrokerId, body: NewSession, caller: CurrentCaller, platform: Platform) -> Account:
    """The daily login, with what that broker's login brings."""
    account = await connecting.renew(platform, user_id=caller.user_id, account_id=broker_id, answer=body.answer())
    return account_answer(platform, account)


@reading.get("/{broker_id}/positions", operation_id="getBrokerPositions", responses=_READ_THROUGH)
async def positions(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> Positions:
    """Positions as the broker shows them now."""
    found = await read_through(platform, caller, broker_id, lambda broker: broker.positions())
    return Positions(items=[position_answer(position) for position in found])


@reading.get("/{broker_id}/orders", operation_id="getBrokerOrders", responses=_READ_THROUGH)
async def orders(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> BrokerOrders:
    """Today's orders as the broker shows them now, the user's own included."""
    book = await read_through(platform, caller, broker_id, lambda broker: broker.orders())
    async with platform.database.transaction() as session:
        tags = await order_list.tags_of(
            session, account_id=broker_id, user_id=caller.user_id, trading_day=trading_date(platform.clock.now())
        )
    return BrokerOrders(items=[broker_order_answer(order, ours=order.tag in tags) for order in book.orders])


@reading.get("/{broker_id}/margins", operation_id="getBrokerMargins", responses=_READ_THROUGH)
async def margins(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> MarginsAnswer:
    """Money available for trading shares."""
    found = await read_through(platform, caller, broker_id, lambda broker: broker.margins())
    return MarginsAnswer(available=found.available, used=found.used)
