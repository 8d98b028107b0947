"""What a person does about their own access: sessions, the second factor, API keys. Nothing here takes an API key."""

from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from api import second_factor
from api.declared import BODY, PROVEN, SIGNED_IN, errors
from api.deps import Address, CurrentCaller, KeyId, Platform, SessionId
from api.errors import ApiError, ErrorCode
from api.roles import Scope
from api.routes.tags import AUTH
from api.schemas.auth import (
    ApiKeyAnswer,
    ApiKeyMade,
    ApiKeyRevoked,
    ApiKeys,
    Confirm,
    NewApiKey,
    Proof,
    RecoveryCodes,
    SecondFactorBegun,
    SecondFactorOff,
    SessionAnswer,
    SessionEnded,
    Sessions,
)
from api.services import Services
from api.strict_json import StrictRoute
from api.tokens import API_KEY_SHOWN, api_key_hash, new_api_key
from storage.models import ApiKey
from storage.repositories import api_keys, audit, sessions, users

router = APIRouter(prefix="/auth", tags=[AUTH], route_class=StrictRoute)

MOST_API_KEYS = 20


@router.get("/sessions", operation_id="listSessions", responses=errors(SIGNED_IN))
async def list_sessions(caller: CurrentCaller, platform: Platform) -> Sessions:
    """Where you are logged in, the last used first."""
    async with platform.database.transaction() as session:
        found = await sessions.live(session, user_id=caller.user_id, now=platform.clock.now())
    return Sessions(
        items=[
            SessionAnswer(
                session_id=one.family_id,
                is_current=one.family_id == caller.session_family,
                began_at=one.began_at,
                refreshed_at=one.refreshed_at,
                expires_at=one.expires_at,
                address=one.device.address,
                user_agent=one.device.user_agent,
            )
            for one in found
        ]
    )


@router.delete("/sessions/{session_id}", operation_id="endSession", responses=errors(SIGNED_IN, ErrorCode.SESSION_NOT_FOUND))
async def end_session(session_id: SessionId, caller: CurrentCaller, platform: Platform) -> SessionEnded:
    """End a session of yours at once, its access tokens included."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        found = await sessions.live(session, user_id=caller.user_id, now=now)
        if session_id not in [one.family_id for one in found]:
            raise ApiError(ErrorCode.SESSION_NOT_FOUND)
        await sessions.end_family(session, family_id=session_id, user_id=caller.user_id, now=now)
        await _note(platform, session, caller.user_id, "user.session_end", subject_id=session_id)
    return SessionEnded(session_id=session_id)


@router.post(
    "/totp",
    operation_id="beginSecondFactor",
    responses=errors(SIGNED_IN, BODY, PROVEN, ErrorCode.SECOND_FACTOR_ON),
)
async def begin_second_factor(body: Proof, caller: CurrentCaller, platform: Platform, address: Address) -> SecondFactorBegun:
    """A new secret for an authenticator app. It counts once `/auth/totp/confirm` has seen a code of it."""
    async with second_factor.proven(platform, caller, password=body.password, code=body.code, address=address) as (session, user):
        secret, uri = second_factor.begin(platform, user)
        await _note(platform, session, user.id, "user.second_factor_begin")
    return SecondFactorBegun(secret=secret, uri=uri)


@router.post(
    "/totp/confirm",
    operation_id="confirmSecondFactor",
    responses=errors(
        SIGNED_IN,
        BODY,
        ErrorCode.SECOND_FACTOR_INVALID,
        ErrorCode.SECOND_FACTOR_ON,
        ErrorCode.SECOND_FACTOR_OFF,
        ErrorCode.TOO_MANY_LOGINS,
    ),
)
async def confirm_second_factor(body: Confirm, caller: CurrentCaller, platform: Platform) -> RecoveryCodes:
    """Switch the second factor on with a code of the app. Keep the recovery codes of the answer somewhere safe."""
    await platform.throttle.second_factor(user_id=caller.user_id)
    async with platform.database.transaction() as session:
        user = await users.find_for_update(session, user_id=caller.user_id)
        if user is None:
            raise ApiError(ErrorCode.TOKEN_INVALID)
        codes = await second_factor.confirm(platform, session, user, body.code)
        await _note(platform, session, user.id, "user.second_factor_on")
    return RecoveryCodes(recovery_codes=codes)


@router.post(
    "/totp/disable",
    operation_id="disableSecondFactor",
    responses=errors(SIGNED_IN, BODY, PROVEN, ErrorCode.SECOND_FACTOR_OFF),
)
async def disable_second_factor(body: Proof, caller: CurrentCaller, platform: Platform, address: Address) -> SecondFactorOff:
    """Switch the second factor off, with the password and a code or a recovery code. The recovery codes are gone with it."""
    async with second_factor.proven(platform, caller, password=body.password, code=body.code, address=address) as (session, user):
        if user.totp_confirmed_at is None:
            raise ApiError(ErrorCode.SECOND_FACTOR_OFF)
        await second_factor.switch_off(session, user)
        await _note(platform, session, user.id, "user.second_factor_off")
    return SecondFactorOff()


@router.post(
    "/totp/recovery-codes",
    operation_id="newRecoveryCodes",
    responses=errors(SIGNED_IN, BODY, PROVEN, ErrorCode.SECOND_FACTOR_OFF),
)
async def new_recovery_codes(body: Proof, caller: CurrentCaller, platform: Platform, address: Address) -> RecoveryCodes:
    """New recovery codes; those before do not work any more."""
    async with second_factor.proven(platform, caller, password=body.password, code=body.code, address=address) as (session, user):
        if user.totp_confirmed_at is None:
            raise ApiError(ErrorCode.SECOND_FACTOR_OFF)
        codes = await second_factor.new_recovery_codes(session, user)
        await _note(platform, session, user.id, "user.recovery_codes_new")
    return RecoveryCodes(recovery_codes=codes)


@router.get("/api-keys", operation_id="listApiKeys", responses=errors(SIGNED_IN))
async def list_api_keys(caller: CurrentCaller, platform: Platform) -> ApiKeys:
    """Your API keys that were not revoked, the newest first."""
    async with platform.database.transaction() as session:
        found = await api_keys.list_of(session, user_id=caller.user_id)
    return ApiKeys(items=[_answer(key) for key in found])


@router.post(
    "/api-keys",
    status_code=201,
    operation_id="createApiKey",
    responses=errors(SIGNED_IN, BODY, PROVEN, ErrorCode.TOO_MANY_API_KEYS),
)
async def create_api_key(body: NewApiKey, caller: CurrentCaller, platform: Platform, address: Address) -> ApiKeyMade:
    """A key for your own programs, sent as `X-API-Key`. It is shown this once, and never administers."""
    key, now = new_api_key(), platform.clock.now()
    row = ApiKey(
        user_id=caller.user_id,
        name=body.name,
        beginning=key[:API_KEY_SHOWN],
        key_hash=api_key_hash(key),
        scopes=sorted({scope.value for scope in body.scopes}),
        expires_at=None if body.expires_in_days is None else now + timedelta(days=body.expires_in_days),
        created_at=now,
        created_by=caller.user_id,
    )
    async with second_factor.proven(platform, caller, password=body.password, code=body.code, address=address) as (session, user):
        if await api_keys.count_of(session, user_id=user.id) >= MOST_API_KEYS:
            raise ApiError(ErrorCode.TOO_MANY_API_KEYS)
        session.add(row)
        await session.flush()
        await _note(platform, session, user.id, "api_key.create", subject_id=row.id)
    return ApiKeyMade(**_answer(row).model_dump(), api_key=key)


@router.delete("/api-keys/{key_id}", operation_id="revokeApiKey", responses=errors(SIGNED_IN, ErrorCode.API_KEY_NOT_FOUND))
async def revoke_api_key(key_id: KeyId, caller: CurrentCaller, platform: Platform) -> ApiKeyRevoked:
    """It does not work from now on; streams that were opened with it end."""
    async with platform.database.transaction() as session:
        if not await api_keys.revoke(session, key_id=key_id, user_id=caller.user_id, now=platform.clock.now()):
            raise ApiError(ErrorCode.API_KEY_NOT_FOUND)
        await _note(platform, session, caller.user_id, "api_key.revoke", subject_id=key_id)
    return ApiKeyRevoked(key_id=key_id)


def _answer(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        key_id=key.id,
        name=key.name,
        beginning=key.beginning,
        scopes=[Scope(scope) for scope in key.scopes],
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


async def _note(platform: Services, session: AsyncSession, user_id: str, action: str, *, subject_id: str | None = None) -> None:
    await audit.append(session, actor_id=user_id, action=action, subject_id=subject_id or user_id, now=platform.clock.now())
