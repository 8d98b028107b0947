"""Register, login, refresh, logout, me."""

from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api import second_factor
from api.declared import BODY, PROVEN, SIGNED_IN, errors
from api.deps import Address, CurrentCaller, Platform, ThisDevice
from api.errors import ApiError, ErrorCode
from api.routes.tags import AUTH
from api.schemas.auth import ChangePassword, LoggedOut, Login, Logout, Me, PasswordChanged, Refresh, Register, Tokens
from api.services import Services
from api.strict_json import StrictRoute
from api.tokens import ACCESS, new_refresh_token, refresh_token_hash
from storage.ids import new_id
from storage.models import User, UserState
from storage.repositories import audit, recovery_codes, sessions, switches, users
from storage.repositories.sessions import Device

router = APIRouter(prefix="/auth", tags=[AUTH], route_class=StrictRoute)


@router.post(
    "/register",
    status_code=201,
    operation_id="register",
    responses=errors(
        BODY,
        ErrorCode.INVALID_EMAIL,
        ErrorCode.WEAK_PASSWORD,
        ErrorCode.EMAIL_TAKEN,
        ErrorCode.RATE_LIMITED,
        ErrorCode.FEATURE_SWITCHED_OFF,
    ),
)
async def register(body: Register, platform: Platform, device: ThisDevice) -> Tokens:
    """Make a user and log them in."""
    if body.password.lower() == body.email:
        raise ApiError(ErrorCode.WEAK_PASSWORD)
    await platform.throttle.registration(address=device.address)
    async with platform.database.transaction() as session:
        if not (await switches.load(session)).is_on(switches.Flag.REGISTRATION):
            raise ApiError(ErrorCode.FEATURE_SWITCHED_OFF, "registration is switched off; ask an administrator for an account")
    password_hash = await platform.passwords.hash(body.password)
    user = User(email=body.email, name=body.name, password_hash=password_hash)
    try:
        async with platform.database.transaction() as session:
            session.add(user)
            await session.flush()
            tokens = await _new_session(platform, session, user, device, family_id=new_id("fam"))
            await _note(platform, session, user, "user.register")
    except IntegrityError as error:
        raise ApiError(ErrorCode.EMAIL_TAKEN) from error
    return tokens


@router.post(
    "/login",
    operation_id="login",
    responses=errors(BODY, PROVEN, ErrorCode.USER_SUSPENDED),
)
async def login(body: Login, platform: Platform, device: ThisDevice) -> Tokens:
    """Trade e-mail address and password for tokens. An unknown address is answered like a wrong password, and as slowly.

    With the second factor on, a login without `code` is answered 401 SECOND_FACTOR_REQUIRED: ask for the code of the
    authenticator app, or a recovery code, and send the login again with it.
    """
    email = body.email.lower()
    await platform.throttle.login(account=email, address=device.address)
    async with platform.database.transaction() as session:
        user = await users.find_by_email(session, email=email)
    matches = await platform.passwords.matches(body.password, user.password_hash if user else None)
    if user is None or not matches:
        platform.metrics.count("logins", outcome="refused")
        raise ApiError(ErrorCode.INVALID_CREDENTIALS)
    if user.state is not UserState.ACTIVE:
        platform.metrics.count("logins", outcome="suspended")
        raise ApiError(ErrorCode.USER_SUSPENDED)
    await second_factor.count_attempt(platform, user, body.code)
    fresh_hash = None
    if platform.passwords.is_outdated(user.password_hash):
        fresh_hash = await platform.passwords.hash(body.password)
    async with platform.database.transaction() as session:
        # Locked and read again: the password may have been changed, or the user suspended, while the hash was made.
        user = await second_factor.locked_as_seen(platform, session, user, code=body.code)
        if user.state is not UserState.ACTIVE:
            raise ApiError(ErrorCode.USER_SUSPENDED)
        if fresh_hash is not None:
            user.password_hash = fresh_hash
        tokens = await _new_session(platform, session, user, device, family_id=new_id("fam"))
        await _note(platform, session, user, "user.login")
    platform.metrics.count("logins", outcome="accepted")
    return tokens


@router.post(
    "/refresh",
    operation_id="refreshTokens",
    responses=errors(
        BODY,
        ErrorCode.REFRESH_TOKEN_INVALID,
        ErrorCode.REFRESH_TOKEN_REUSED,
        ErrorCode.USER_SUSPENDED,
        ErrorCode.RATE_LIMITED,
    ),
)
async def refresh(body: Refresh, platform: Platform, device: ThisDevice) -> Tokens:
    """Trade a refresh token for new tokens. Each works once; one that is used again was stolen, so its session ends."""
    await platform.throttle.request(f"refresh|{device.address}")
    outcome = await _rotate(platform, body.refresh_token, device)
    if isinstance(outcome, ErrorCode):
        raise ApiError(outcome)
    return outcome


async def _rotate(platform: Services, token: str, device: Device) -> Tokens | ErrorCode:
    """The refusal is returned, not raised: ending a stolen family must be committed."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        row = await sessions.find_for_update(session, token_hash=refresh_token_hash(token))
        if row is None or row.revoked_at is not None or row.expires_at <= now:
            return ErrorCode.REFRESH_TOKEN_INVALID
        if await sessions.is_ended(session, family_id=row.family_id):
            return ErrorCode.REFRESH_TOKEN_INVALID
        user = await users.find(session, user_id=row.user_id)
        if user is None:
            return ErrorCode.REFRESH_TOKEN_INVALID
        if user.state is not UserState.ACTIVE:
            return ErrorCode.USER_SUSPENDED
        if row.used_at is not None:
            await sessions.end_family(session, family_id=row.family_id, user_id=row.user_id, now=now)
            await _note(platform, session, user, "user.refresh_token_reused")
            return ErrorCode.REFRESH_TOKEN_REUSED
        row.used_at = now
        return await _new_session(platform, session, user, device, family_id=row.family_id)


@router.post("/logout", operation_id="logout", responses=errors(SIGNED_IN, BODY))
async def logout(caller: CurrentCaller, platform: Platform, body: Logout | None = None) -> LoggedOut:
    """End this session at once, its access tokens included; with `everywhere`, all sessions of the user."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        if body is not None and body.everywhere:
            await sessions.end_all(session, user_id=caller.user_id, now=now)
        else:
            await sessions.end_family(session, family_id=caller.session_family, user_id=caller.user_id, now=now)
        await audit.append(session, actor_id=caller.user_id, action="user.logout", subject_id=caller.user_id, now=now)
    return LoggedOut()


@router.get("/me", operation_id="getMe", responses=errors(SIGNED_IN))
async def me(caller: CurrentCaller, platform: Platform) -> Me:
    """Who the token speaks for."""
    async with platform.database.transaction() as session:
        user = await users.find(session, user_id=caller.user_id)
        left = await recovery_codes.count_left(session, user_id=caller.user_id)
    return Me(
        user_id=caller.user_id,
        email=caller.email,
        name=caller.name,
        role=caller.role,
        broker=caller.broker,
        created_at=caller.created_at,
        second_factor=user is not None and user.totp_confirmed_at is not None,
        recovery_codes_left=left,
    )


@router.post(
    "/password",
    operation_id="changePassword",
    responses=errors(SIGNED_IN, BODY, PROVEN, ErrorCode.WEAK_PASSWORD),
)
async def change_password(body: ChangePassword, caller: CurrentCaller, platform: Platform, address: Address) -> PasswordChanged:
    """Set a new password. Every other session of yours ends; this one and your API keys go on."""
    if body.new_password.lower() == caller.email:
        raise ApiError(ErrorCode.WEAK_PASSWORD)
    password_hash = await platform.passwords.hash(body.new_password)
    proof = second_factor.proven(platform, caller, password=body.current_password, code=body.code, address=address)
    async with proof as (session, user):
        user.password_hash, user.updated_by = password_hash, user.id
        await sessions.end_others(session, user_id=user.id, keep=caller.session_family, now=platform.clock.now())
        await _note(platform, session, user, "user.password_change")
    return PasswordChanged()


async def _new_session(platform: Services, session: AsyncSession, user: User, device: Device, *, family_id: str) -> Tokens:
    settings = platform.settings
    refresh_token = new_refresh_token()
    life = timedelta(minutes=settings.access_token_minutes)
    sessions.add(
        session,
        user_id=user.id,
        family_id=family_id,
        token_hash=refresh_token_hash(refresh_token),
        expires_at=platform.clock.now() + timedelta(days=settings.refresh_token_days),
        device=device,
        now=platform.clock.now(),
    )
    token = platform.signer.sign(audience=ACCESS, user_id=user.id, subject_id=family_id, life=life)
    return Tokens(
        user_id=user.id, token=token, access_token=token, expires_in=int(life.total_seconds()), refresh_token=refresh_token
    )


async def _note(platform: Services, session: AsyncSession, user: User, action: str) -> None:
    await session.flush()
    await audit.append(session, actor_id=user.id, action=action, subject_id=user.id, now=platform.clock.now())
