"""What only paper accounts have: books that can be looked into, and begun again."""

from fastapi import APIRouter, Depends

from api import paper
from api.declared import BODY, BROKER_CALL, IDEMPOTENT, SIGNED_IN, errors
from api.deps import BrokerId, CurrentCaller, Platform, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.tags import BROKER
from api.schemas.paper import PaperBooks, Terms
from storage.repositories import accounts

router = APIRouter(prefix="/broker", tags=[BROKER], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/broker", tags=[BROKER])


@reading.get(
    "/{broker_id}/paper",
    operation_id="getPaperAccount",
    responses=errors(SIGNED_IN, BROKER_CALL, ErrorCode.BROKER_NOT_FOUND, ErrorCode.BROKER_NOT_CONNECTED),
)
async def get_paper_account(broker_id: BrokerId, caller: CurrentCaller, platform: Platform) -> PaperBooks:
    """Cash, holdings and profit of a paper account."""
    async with platform.database.transaction() as session:
        account = await accounts.find(session, account_id=broker_id, user_id=caller.user_id)
    if account is None:
        raise ApiError(ErrorCode.BROKER_NOT_FOUND)
    return await paper.books(platform, account)


@router.post(
    "/{broker_id}/paper/reset",
    operation_id="resetPaperAccount",
    responses=errors(
        SIGNED_IN,
        BODY,
        BROKER_CALL,
        IDEMPOTENT,
        ErrorCode.BROKER_NOT_FOUND,
        ErrorCode.BROKER_IN_USE,
        ErrorCode.BROKER_NOT_CONNECTED,
    ),
)
async def reset_paper_account(broker_id: BrokerId, body: Terms, caller: CurrentCaller, platform: Platform) -> PaperBooks:
    """Begin again: open orders end, what is held is given back at its cost, cash and rules are those of the body."""
    account = await paper.begin_again(platform, caller, account_id=broker_id, terms=body.terms())
    return await paper.books(platform, account)
