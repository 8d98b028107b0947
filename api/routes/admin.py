"""What an Admin may see and do. No secret and no user's trade data passes through here."""

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentAdmin, Platform, UserId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, Limit, read_id_cursor, read_number_cursor
from api.routes.operation import read_readiness
from api.routes.tags import ADMIN
from api.schemas.common import Page
from api.schemas.operation import AuditAnswer, ChangeUser, System, UserAnswer
from api.version import VERSION
from storage.models import User, UserState
from storage.repositories import audit, sessions, system, users

router = APIRouter(prefix="/admin", tags=[ADMIN], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/admin", tags=[ADMIN])

_LIST = errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_CURSOR)


@reading.get("/users", operation_id="adminListUsers", responses=_LIST)
async def list_users(admin: CurrentAdmin, platform: Platform, limit: Limit = 50, cursor: Cursor = None) -> Page[UserAnswer]:
    """All users, oldest first."""
    after = read_id_cursor(cursor, prefix="usr")
    async with platform.database.transaction() as session:
        rows = await users.list_page(session, after_id=after, limit=limit + 1)
    shown = rows[:limit]
    return Page(items=[_answer(user) for user in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@router.patch(
    "/users/{user_id}",
    operation_id="adminChangeUser",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.FORBIDDEN, ErrorCode.USER_NOT_FOUND, ErrorCode.LAST_ADMIN),
)
async def change_user(user_id: UserId, body: ChangeUser, admin: CurrentAdmin, platform: Platform) -> UserAnswer:
    """Change a user's role, suspend them or let them back in."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        await users.lock_admins(session)
        user = await users.find_for_update(session, user_id=user_id)
        if user is None:
            raise ApiError(ErrorCode.USER_NOT_FOUND)
        _apply(user, body)
        user.updated_by = admin.user_id
        await session.flush()
        await _keep_an_admin(session)
        if user.state is UserState.SUSPENDED:
            await sessions.end_all(session, user_id=user_id, now=now)
        await audit.append(
            session,
            actor_id=admin.user_id,
            action="user.change",
            subject_id=user_id,
            now=now,
            role=user.role.value,
            state=user.state.value,
        )
        await session.refresh(user)
    return _answer(user)


@reading.get("/system", operation_id="adminSystem", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN))
async def get_system(admin: CurrentAdmin, platform: Platform) -> System:
    """The state of the installation at a glance."""
    async with platform.database.transaction() as session:
        counts = await system.read(session)
        broken_at = await audit.first_break(session)
    return System(
        version=VERSION,
        readiness=await read_readiness(platform),
        users=counts.users,
        strategies=counts.strategies,
        open_runs=counts.open_runs,
        orders_in_doubt=counts.orders_in_doubt,
        open_alerts=counts.open_alerts,
        streams_open=platform.hub.open_streams,
        temporal_ui_url=platform.settings.temporal_ui_url,
        audit_chain_broken_at=broken_at,
    )


@reading.get("/audit", operation_id="adminAudit", responses=_LIST)
async def list_audit(admin: CurrentAdmin, platform: Platform, limit: Limit = 50, cursor: Cursor = None) -> Page[AuditAnswer]:
    """Who did what, newest first."""
    before = read_number_cursor(cursor)
    async with platform.database.transaction() as session:
        rows = await audit.list_page(session, before=before, limit=limit + 1)
    shown = rows[:limit]
    items = [
        AuditAnswer(
            sequence=entry.sequence,
            at=entry.at,
            actor_id=entry.actor_id,
            action=entry.action,
            subject_id=entry.subject_id,
            data=entry.data,
            hash=entry.hash,
        )
        for entry in shown
    ]
    return Page(items=items, next_cursor=str(shown[-1].sequence) if len(rows) > limit else None)


def _apply(user: User, body: ChangeUser) -> None:
    if body.role is not None:
        user.role = body.role
    if body.state is not None:
        user.state = body.state
    if body.broker is not None:
        user.broker = body.broker


async def _keep_an_admin(session: AsyncSession) -> None:
    if not await users.count_active_admins(session):
        raise ApiError(ErrorCode.LAST_ADMIN)


def _answer(user: User) -> UserAnswer:
    return UserAnswer(
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        state=user.state,
        broker=user.broker,
        created_at=user.created_at,
    )
