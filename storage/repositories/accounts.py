"""Broker accounts. What a user may ask takes `user_id`; `load` and `of_broker_user` are for the platform itself."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import BrokerAccount, Run
from trading.accounts import BrokerName, Environment
from trading.runs import RunState


async def find(session: AsyncSession, *, account_id: str, user_id: str) -> BrokerAccount | None:
    statement = select(BrokerAccount).where(
        BrokerAccount.id == account_id, BrokerAccount.user_id == user_id, BrokerAccount.deleted_at.is_(None)
    )
    return await session.scalar(statement)


async def find_for_update(session: AsyncSession, *, account_id: str, user_id: str) -> BrokerAccount | None:
    """As `find`, with the row locked until the transaction ends."""
    statement = select(BrokerAccount).where(
        BrokerAccount.id == account_id, BrokerAccount.user_id == user_id, BrokerAccount.deleted_at.is_(None)
    )
    return await session.scalar(statement.with_for_update().execution_options(populate_existing=True))


async def list_of(session: AsyncSession, *, user_id: str) -> Sequence[BrokerAccount]:
    """The user's accounts, oldest first."""
    statement = select(BrokerAccount).where(BrokerAccount.user_id == user_id, BrokerAccount.deleted_at.is_(None))
    return (await session.scalars(statement.order_by(BrokerAccount.created_at, BrokerAccount.id))).all()


async def find_same(session: AsyncSession, *, user_id: str, broker: BrokerName, broker_user_id: str) -> BrokerAccount | None:
    """The user's account with that identity at the broker, locked."""
    statement = select(BrokerAccount).where(
        BrokerAccount.user_id == user_id,
        BrokerAccount.broker == broker,
        BrokerAccount.broker_user_id == broker_user_id,
        BrokerAccount.deleted_at.is_(None),
    )
    return await session.scalar(statement.with_for_update())


async def load(session: AsyncSession, account_id: str) -> BrokerAccount | None:
    """For desks, the listener and `BrokerAccounts`: whoever it belongs to, also when it was removed."""
    return await session.get(BrokerAccount, account_id)


async def of_broker_user(session: AsyncSession, *, broker: BrokerName, broker_user_id: str) -> Sequence[BrokerAccount]:
    """Accounts with that identity at the broker, of any user: a broker's own message names only this."""
    statement = select(BrokerAccount).where(
        BrokerAccount.broker == broker, BrokerAccount.broker_user_id == broker_user_id, BrokerAccount.deleted_at.is_(None)
    )
    return (await session.scalars(statement)).all()


async def ending_sessions(session: AsyncSession, *, after: datetime, before: datetime) -> Sequence[BrokerAccount]:
    """Accounts of any user whose living session ends between the two."""
    statement = select(BrokerAccount).where(
        BrokerAccount.token_expires_at > after,
        BrokerAccount.token_expires_at <= before,
        BrokerAccount.sealed_access_token.is_not(None),
        BrokerAccount.deleted_at.is_(None),
    )
    return (await session.scalars(statement.order_by(BrokerAccount.token_expires_at, BrokerAccount.id))).all()


async def has_open_run(session: AsyncSession, *, account_id: str, user_id: str) -> bool:
    statement = select(exists().where(Run.account_id == account_id, Run.user_id == user_id, Run.state != RunState.ENDED))
    return bool(await session.scalar(statement))


async def open_workflows(session: AsyncSession, *, account_id: str, user_id: str) -> Sequence[str]:
    """Ids of the workflows that trade on the account now."""
    statement = select(Run.workflow_id).where(Run.account_id == account_id, Run.user_id == user_id, Run.state != RunState.ENDED)
    return (await session.scalars(statement)).all()


async def another_user_is_live(session: AsyncSession, *, user_id: str) -> bool:
    """Whether somebody else on this instance has a live account."""
    statement = select(
        exists().where(
            BrokerAccount.environment == Environment.LIVE,
            BrokerAccount.user_id != user_id,
            BrokerAccount.deleted_at.is_(None),
        )
    )
    return bool(await session.scalar(statement))


async def lock_live_accounts(session: AsyncSession) -> None:
    """Two users who connect their first live account at once are seen one after the other."""
    await session.execute(select(func.pg_advisory_xact_lock(7_203_114_553)))


async def set_health(session: AsyncSession, *, account_id: str, health: str, detail: str) -> None:
    statement = update(BrokerAccount).where(BrokerAccount.id == account_id).values(health=health, health_detail=detail)
    await session.execute(statement)


def mark_deleted(account: BrokerAccount, *, by: str, now: datetime) -> None:
    """Gone for the user; its secrets are wiped, its orders keep pointing at the row."""
    account.deleted_at, account.deleted_by = now, by
    account.sealed_api_key = account.sealed_api_secret = ""
    account.sealed_access_token = account.sealed_refresh_token = account.sealed_feed_token = None
    account.status = "deleted"
