"""Kill switches and risk limits, as their owners see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import BrokerAccount, KillScope, KillSwitch, RiskLimit, Strategy


async def engaged(session: AsyncSession, *, scope: KillScope, scope_id: str) -> KillSwitch | None:
    """The switch over exactly that, locked."""
    statement = select(KillSwitch).where(
        KillSwitch.scope == scope, KillSwitch.scope_id == scope_id, KillSwitch.released_at.is_(None)
    )
    return await session.scalar(statement.with_for_update().execution_options(populate_existing=True))


async def engage(
    session: AsyncSession,
    *,
    scope: KillScope,
    scope_id: str,
    square_off: bool,
    reason: str,
    by: str,
    now: datetime,
    overrides: bool = False,
) -> KillSwitch:
    """The engaged switch. One that is up already stays; it can be made stricter (square_off), never laxer.

    `overrides`: it is `by`'s from now on, with their reason.
    """
    statement = insert(KillSwitch).values(
        id=new_id(KillSwitch.id_prefix),
        scope=scope,
        scope_id=scope_id,
        square_off=square_off,
        reason=reason,
        engaged_at=now,
        engaged_by=by,
        created_by=by,
    )
    stricter: dict[str, Any] = {"square_off": KillSwitch.square_off | statement.excluded.square_off}
    if overrides:
        stricter |= {"engaged_by": by, "reason": reason}
    statement = statement.on_conflict_do_update(
        index_elements=["scope", "scope_id"], index_where=text("released_at IS NULL"), set_=stricter
    )
    engaged_id = (await session.execute(statement.returning(KillSwitch.id))).scalar_one()
    return await session.get_one(KillSwitch, engaged_id, populate_existing=True)


async def release(
    session: AsyncSession, *, scope: KillScope, scope_id: str, reason: str, by: str, now: datetime
) -> KillSwitch | None:
    """None: no such switch is engaged."""
    switch = await engaged(session, scope=scope, scope_id=scope_id)
    if switch is not None:
        switch.released_at, switch.released_by, switch.release_reason = now, by, reason
    return switch


async def locked_accounts(session: AsyncSession, *, account_ids: Sequence[str]) -> frozenset[str]:
    """Those whose own switch is up and sells nothing."""
    statement = select(KillSwitch.scope_id).where(
        KillSwitch.scope == KillScope.ACCOUNT,
        KillSwitch.scope_id.in_(account_ids),
        KillSwitch.released_at.is_(None),
        KillSwitch.square_off.is_(False),
    )
    return frozenset(await session.scalars(statement))


async def all_engaged(session: AsyncSession) -> Sequence[KillSwitch]:
    """For Admins."""
    return (
        await session.scalars(select(KillSwitch).where(KillSwitch.released_at.is_(None)).order_by(KillSwitch.engaged_at))
    ).all()


async def engaged_for(session: AsyncSession, *, user_id: str) -> Sequence[KillSwitch]:
    """Every engaged switch that touches the user: the platform's, their own, their accounts', their strategies'."""
    own_accounts = select(BrokerAccount.id).where(BrokerAccount.user_id == user_id)
    own_strategies = select(Strategy.id).where(Strategy.user_id == user_id)
    touching = or_(
        KillSwitch.scope == KillScope.PLATFORM,
        (KillSwitch.scope == KillScope.USER) & (KillSwitch.scope_id == user_id),
        (KillSwitch.scope == KillScope.ACCOUNT) & KillSwitch.scope_id.in_(own_accounts),
        (KillSwitch.scope == KillScope.STRATEGY) & KillSwitch.scope_id.in_(own_strategies),
    )
    statement = select(KillSwitch).where(KillSwitch.released_at.is_(None), touching).order_by(KillSwitch.engaged_at)
    return (await session.scalars(statement)).all()


async def limits_of(session: AsyncSession, *, user_id: str) -> Mapping[str, RiskLimit]:
    """By account id; an account without limits is absent."""
    rows = await session.scalars(select(RiskLimit).where(RiskLimit.user_id == user_id))
    return {row.account_id: row for row in rows}


async def set_limits(session: AsyncSession, *, account_id: str, user_id: str, values: Mapping[str, Any]) -> RiskLimit:
    """Replaces all limits of the account. The caller has made sure that the account is the user's.

    Another daily loss counts from zero again: what tripped under the old one is forgotten.
    """
    before = await session.scalar(select(RiskLimit).where(RiskLimit.account_id == account_id).with_for_update())
    changed = before is not None and before.max_daily_loss != values.get("max_daily_loss")
    forgotten = {"loss_tripped_on": None, "loss_at_trip": None} if changed else {}
    row = {"id": new_id(RiskLimit.id_prefix), "account_id": account_id, "user_id": user_id, "created_by": user_id, **values}
    statement = insert(RiskLimit).values(**row)
    statement = statement.on_conflict_do_update(
        index_elements=["account_id"], set_={**values, **forgotten, "updated_by": user_id}
    )
    limit_id = (await session.execute(statement.returning(RiskLimit.id))).scalar_one()
    return await session.get_one(RiskLimit, limit_id, populate_existing=True)
