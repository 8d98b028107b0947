"""Ready for the day: what stands in the way of today's strategies, and what to do about it."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import RedirectResponse
from sqlalchemy import select

from activities.readiness import ticket_hash
from api import connecting
from api.declared import PARAMETERS, SIGNED_IN, Responses, errors
from api.deps import CurrentCaller, Platform
from api.errors import ApiError, ErrorCode
from api.routes.tags import READINESS
from api.schemas.day_readiness import AccountReadiness, CheckAnswer, DayReadinessAnswer
from api.services import Services
from runtime.accounts import BrokerNotSupported
from runtime.day_readiness import Readiness
from storage.models import BrokerAccount, ReadinessCheck
from storage.repositories import accounts
from trading.day_readiness import Verdict
from trading.ports.broker import BrokerError
from trading.ports.sealing import SealBroken

router = APIRouter(prefix="/readiness", tags=[READINESS])

_SENT_ON: Responses = {
    303: {"description": "On to the broker's login page", "headers": {"Location": {"schema": {"type": "string"}}}}
}


@router.get("", operation_id="getDayReadiness", responses=errors(SIGNED_IN, ErrorCode.NO_TRADING_DAY, ErrorCode.CALENDAR_UNKNOWN))
async def day_readiness(caller: CurrentCaller, platform: Platform) -> DayReadinessAnswer:
    """Each account, looked at now: login through the last exit, instruments, market data, clock, registered address, funds, and
    prices already at or below a stop."""
    exchange_day = platform.day_readiness.day()
    async with platform.database.transaction() as session:
        listed = await accounts.list_of(session, user_id=caller.user_id)
    found = await asyncio.gather(*(platform.day_readiness.look(account, exchange_day) for account in listed))
    return DayReadinessAnswer(
        trading_day=exchange_day.day,
        ready=all(one.verdict is not Verdict.NOT_READY for one in found),
        accounts=[await _answer(platform, account, one) for account, one in zip(listed, found, strict=True)],
    )


async def _answer(platform: Services, account: BrokerAccount, found: Readiness) -> AccountReadiness:
    return AccountReadiness(
        broker_id=account.id,
        broker=account.broker,
        environment=account.environment,
        label=account.label,
        verdict=found.verdict,
        planned=found.planned,
        login_url=await _login_url(platform, account) if found.needs_login else None,
        checks=[
            CheckAnswer(name=check.name, state=check.state, found=check.found, advice=check.advice, strategy_id=check.strategy_id)
            for check in found.checks
        ],
    )


async def _login_url(platform: Services, account: BrokerAccount) -> str | None:
    """None: secrets that do not open, or a broker this installation does not know; connecting again says which. Nor is a page
    made that the broker counts: a person asks for that one."""
    try:
        if platform.accounts.login(account.broker).page_is_counted:
            return None
        return await connecting.login_url(platform, account)
    except (SealBroken, BrokerNotSupported, BrokerError):
        return None


@router.get(
    "/login/{ticket}",
    operation_id="openBrokerLogin",
    status_code=303,
    response_class=RedirectResponse,
    responses={
        **_SENT_ON,
        **errors(PARAMETERS, ErrorCode.LOGIN_STATE_INVALID, ErrorCode.BROKER_NOT_CONNECTED, ErrorCode.BROKER_NOT_SUPPORTED),
    },
)
async def open_login(
    ticket: Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$", examples=["3q2-7wEj..."])], platform: Platform
) -> RedirectResponse:
    """The link in the morning's message: leads to the broker's login page, until that day is over. It lets nobody in by itself: a
    login of another broker user than the account's is refused. Errors are pages for whoever asks for HTML, as browsers do."""
    wanted = select(BrokerAccount, ReadinessCheck.ticket_until).join(
        ReadinessCheck, ReadinessCheck.account_id == BrokerAccount.id
    )
    async with platform.database.transaction() as session:
        row = (await session.execute(wanted.where(ReadinessCheck.ticket_hash == ticket_hash(ticket)))).one_or_none()
    if row is None or row[0].deleted_at is not None or row[1] <= platform.clock.now():
        raise ApiError(ErrorCode.LOGIN_STATE_INVALID, "the link is not one of ours, or its day is over")
    found = await connecting.login_url(platform, row[0])
    if found is None:
        raise ApiError(ErrorCode.BROKER_NOT_CONNECTED, "this broker has no login page: log in from the app")
    return RedirectResponse(found, status_code=303)
