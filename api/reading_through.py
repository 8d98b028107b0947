"""Reading a user's broker account through: a session that turns out to be dead is noted, so that everybody knows."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from api.access import Caller
from api.errors import ApiError, ErrorCode
from api.services import Services
from api.starting import SESSION_EXPIRED
from storage.models import BrokerAccount
from storage.repositories import accounts
from trading.ports.broker import Broker, SessionExpired

log = structlog.get_logger()
T = TypeVar("T")


async def account_of(platform: Services, caller: Caller, broker_id: str) -> BrokerAccount:
    """Raises ApiError BROKER_NOT_FOUND, also for other users' accounts."""
    async with platform.database.transaction() as session:
        account = await accounts.find(session, account_id=broker_id, user_id=caller.user_id)
    if account is None:
        raise ApiError(ErrorCode.BROKER_NOT_FOUND)
    return account


async def read_through(platform: Services, caller: Caller, broker_id: str, what: Callable[[Broker], Awaitable[T]]) -> T:
    """Raises ApiError, and what the broker's port raises."""
    account = await account_of(platform, caller, broker_id)
    try:
        return await what(platform.accounts.broker_of(account))
    except SessionExpired:
        await _note_dead_session(platform, account)
        raise


async def _note_dead_session(platform: Services, account: BrokerAccount) -> None:
    """Unless a new login has come meanwhile."""
    async with platform.database.transaction() as session:
        stored = await accounts.find_for_update(session, account_id=account.id, user_id=account.user_id)
        if stored is not None and stored.session_version == account.session_version:
            stored.health, stored.health_detail = SESSION_EXPIRED, "the broker no longer accepts the session; log in again"
    log.info("broker_session_expired", account_id=account.id)
