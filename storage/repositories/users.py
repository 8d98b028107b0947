"""Users, and those of them an Admin looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import String, bindparam, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database
from storage.models import BrokerAccount, Role, Run, Session, Strategy, User, UserState
from storage.repositories import accounts
from storage.single import SingleStatement
from trading.runs import RunState


async def find(session: AsyncSession, *, user_id: str) -> User | None:
    return await session.scalar(select(User).where(User.id == user_id, User.deleted_at.is_(None)))


async def find_for_update(session: AsyncSession, *, user_id: str) -> User | None:
    """Locked against other changes, and not against rows that point at it: a start under way would wait for us, and we for it."""
    statement = select(User).where(User.id == user_id, User.deleted_at.is_(None)).with_for_update(key_share=True)
    return await session.scalar(statement)


async def find_by_email(session: AsyncSession, *, email: str) -> User | None:
    return await session.scalar(select(User).where(func.lower(User.email) == email.lower(), User.deleted_at.is_(None)))


_FAMILY = bindparam("family_id", type_=String)
_IS_KNOWN = exists().where(Session.family_id == _FAMILY, Session.user_id == User.id)
_HAS_ENDED = exists().where(Session.family_id == _FAMILY, Session.revoked_at.is_not(None))
# Asked with every request.
_WITH_SESSION = SingleStatement(
    select(User.id, User.email, User.name, User.role, User.state, User.broker, User.created_at).where(
        User.id == bindparam("user_id", type_=String), User.deleted_at.is_(None), _IS_KNOWN, ~_HAS_ENDED
    )
)


class SignedIn(NamedTuple):
    """What a request needs to know of the user it comes from."""

    id: str
    email: str
    name: str
    role: Role
    state: UserState
    broker: str | None
    created_at: datetime


async def find_with_session(database: Database, *, user_id: str, family_id: str) -> SignedIn | None:
    """The user, while that session family of theirs has not been ended."""
    for row in await database.fetch(_WITH_SESSION, {"user_id": user_id, "family_id": family_id}):
        return SignedIn(**{**row, "role": Role(row["role"]), "state": UserState(row["state"])})
    return None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What is left out does not matter. `query` is part of an e-mail address or a name."""

    query: str | None = None
    role: Role | None = None
    state: UserState | None = None


async def list_page(session: AsyncSession, wanted: UserFilter, *, after_id: str | None, limit: int) -> Sequence[User]:
    """All users, oldest first; for Admins."""
    statement = select(User).where(User.deleted_at.is_(None)).order_by(User.id).limit(limit)
    if after_id is not None:
        statement = statement.where(User.id > after_id)
    if wanted.query:
        columns = (User.email, User.name)
        statement = statement.where(or_(*(column.icontains(wanted.query, autoescape=True) for column in columns)))
    if wanted.role is not None:
        statement = statement.where(User.role == wanted.role)
    if wanted.state is not None:
        statement = statement.where(User.state == wanted.state)
    return (await session.scalars(statement)).all()


async def remove(session: AsyncSession, user: User, *, by: str, now: datetime) -> bool:
    """Gone with everything that could trade; broker secrets are wiped, what was traded stays on record. False, and nothing is
    changed: something of theirs runs.

    The strategies are locked first: a start that is under way is seen here as a run, or sees its strategy gone.
    """
    owned = select(Strategy).where(Strategy.user_id == user.id, Strategy.deleted_at.is_(None)).order_by(Strategy.id)
    strategies = (await session.scalars(owned.with_for_update())).all()
    if await session.scalar(select(exists().where(Run.user_id == user.id, Run.state != RunState.ENDED))):
        return False
    for strategy in strategies:
        strategy.deleted_at, strategy.deleted_by, strategy.status = now, by, "deleted"
    held = select(BrokerAccount).where(BrokerAccount.user_id == user.id, BrokerAccount.deleted_at.is_(None))
    for account in await session.scalars(held.order_by(BrokerAccount.id).with_for_update()):
        accounts.mark_deleted(account, by=by, now=now)
    user.deleted_at, user.deleted_by, user.status = now, by, "deleted"
    await session.flush()
    return True


async def count_active_admins(session: AsyncSession) -> int:
    statement = select(func.count()).where(User.role == Role.ADMIN, User.state == UserState.ACTIVE, User.deleted_at.is_(None))
    return (await session.scalar(statement)) or 0


async def lock_admins(session: AsyncSession) -> None:
    """Two changes that would each leave one Admin are made one after the other."""
    await session.execute(select(func.pg_advisory_xact_lock(7_203_114_554)))
