"""Users: list, search, create, edit, suspend, delete, roles."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api import notify
from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform, UserId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, Limit, read_id_cursor
from api.routes.tags import ADMIN
from api.schemas.admin import ChangeUser, CreateUser, UserAnswer, UserDeleted
from api.schemas.common import Page, storable
from api.strict_json import StrictRoute
from execution.suspending import stop_entries
from storage.models import Role, Run, User, UserState
from storage.repositories import audit, sessions, users
from storage.repositories.users import UserFilter

router = APIRouter(prefix="/admin", tags=[ADMIN], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/admin", tags=[ADMIN], route_class=StrictRoute)

Search = Annotated[
    str | None, AfterValidator(lambda text: None if text is None else storable(text)), Query(max_length=100, alias="query")
]


@reading.get(
    "/users", operation_id="adminListUsers", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_CURSOR)
)
async def list_users(
    admin: CurrentCaller,
    platform: Platform,
    search: Search = None,
    role: Role | None = None,
    state: UserState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[UserAnswer]:
    """All users, oldest first; `query` looks in addresses and names."""
    after = read_id_cursor(cursor, prefix="usr")
    async with platform.database.transaction() as session:
        rows = await users.list_page(session, UserFilter(search, role, state), after_id=after, limit=limit + 1)
    shown = rows[:limit]
    return Page(items=[_answer(user) for user in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@reading.get(
    "/users/{user_id}", operation_id="adminGetUser", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN, ErrorCode.USER_NOT_FOUND)
)
async def get_user(user_id: UserId, admin: CurrentCaller, platform: Platform) -> UserAnswer:
    """One user."""
    async with platform.database.transaction() as session:
        user = await users.find(session, user_id=user_id)
    if user is None:
        raise ApiError(ErrorCode.USER_NOT_FOUND)
    return _answer(user)


@reading.post(
    "/users",
    status_code=201,
    operation_id="adminCreateUser",
    responses=errors(
        SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_EMAIL, ErrorCode.WEAK_PASSWORD, ErrorCode.EMAIL_TAKEN
    ),
)
async def create_user(body: CreateUser, admin: CurrentCaller, platform: Platform) -> UserAnswer:
    """Make a user of any role. A second call meets EMAIL_TAKEN; nothing that holds a password is kept for a repeated request."""
    if body.password.lower() == body.email:
        raise ApiError(ErrorCode.WEAK_PASSWORD)
    password_hash = await platform.passwords.hash(body.password)
    user = User(
        email=body.email,
        name=body.name,
        password_hash=password_hash,
        role=body.role,
        broker=body.broker.value if body.broker else None,
        created_by=admin.user_id,
    )
    try:
        async with platform.database.transaction() as session:
            session.add(user)
            await session.flush()
            now = platform.clock.now()
            await audit.append(
                session, actor_id=admin.user_id, action="user.create", subject_id=user.id, now=now, role=user.role.value
            )
            await session.refresh(user)
    except IntegrityError as error:
        raise ApiError(ErrorCode.EMAIL_TAKEN) from error
    return _answer(user)


@router.patch(
    "/users/{user_id}",
    operation_id="adminChangeUser",
    responses=errors(
        SIGNED_IN,
        BODY,
        IDEMPOTENT,
        ErrorCode.FORBIDDEN,
        ErrorCode.USER_NOT_FOUND,
        ErrorCode.LAST_ADMIN,
        ErrorCode.INVALID_EMAIL,
        ErrorCode.EMAIL_TAKEN,
    ),
)
async def change_user(user_id: UserId, body: ChangeUser, admin: CurrentCaller, platform: Platform) -> UserAnswer:
    """Change a user's role, address or name, suspend them or let them back in."""
    now = platform.clock.now()
    try:
        async with platform.database.transaction() as session:
            await users.lock_admins(session)
            user = await _locked(session, user_id)
            was_active = user.state is UserState.ACTIVE
            changed = _apply(user, body)
            user.updated_by = admin.user_id
            await session.flush()
            await _keep_an_admin(session)
            stopped: Sequence[Run] = ()
            if user.state is UserState.SUSPENDED:
                await sessions.end_all(session, user_id=user_id, now=now)
                stopped = await stop_entries(session, user_id=user_id, now=now) if was_active else ()
            await audit.append(session, actor_id=admin.user_id, action="user.change", subject_id=user_id, now=now, **changed)
            await session.refresh(user)
    except IntegrityError as error:
        raise ApiError(ErrorCode.EMAIL_TAKEN) from error
    await notify.runs_changed(platform, stopped)
    return _answer(user)


@router.delete(
    "/users/{user_id}",
    operation_id="adminDeleteUser",
    responses=errors(
        SIGNED_IN,
        IDEMPOTENT,
        ErrorCode.FORBIDDEN,
        ErrorCode.USER_NOT_FOUND,
        ErrorCode.LAST_ADMIN,
        ErrorCode.USER_HAS_OPEN_RUNS,
    ),
)
async def delete_user(user_id: UserId, admin: CurrentCaller, platform: Platform) -> UserDeleted:
    """Remove a user with their strategies and broker accounts, whose secrets are wiped. What was traded stays on record."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        await users.lock_admins(session)
        user = await _locked(session, user_id)
        if not await users.remove(session, user, by=admin.user_id, now=now):
            raise ApiError(ErrorCode.USER_HAS_OPEN_RUNS)
        await _keep_an_admin(session)
        await sessions.end_all(session, user_id=user_id, now=now)
        await audit.append(session, actor_id=admin.user_id, action="user.delete", subject_id=user_id, now=now)
    return UserDeleted(user_id=user_id)


async def _locked(session: AsyncSession, user_id: str) -> User:
    user = await users.find_for_update(session, user_id=user_id)
    if user is None:
        raise ApiError(ErrorCode.USER_NOT_FOUND)
    return user


def _apply(user: User, body: ChangeUser) -> dict[str, str | None]:
    """What was changed, as the audit log tells it."""
    if body.role is not None:
        user.role = body.role
    if body.state is not None:
        user.state = body.state
    if body.broker is not None:
        user.broker = body.broker
    if body.email is not None:
        user.email = body.email
    if body.name is not None:
        user.name = body.name
    return {name: getattr(value, "value", value) for name in body.model_fields_set if (value := getattr(body, name)) is not None}


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
