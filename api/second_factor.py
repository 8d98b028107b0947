"""The second factor: codes of an authenticator app, and recovery codes for the day the phone is lost.

The secret is sealed, bound to its user; a code works once, because the step of the last one taken is kept; recovery codes are
stored as hashes. All of it happens with the user's row locked: of two requests with the same code one wins.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from api.access import Caller
from api.errors import ApiError, ErrorCode
from api.one_time_codes import DIGITS, enrolment_uri, matching_step, new_secret
from api.services import Services
from runtime.crypto import binding
from storage.models import User
from storage.repositories import audit, recovery_codes, users
from trading.ports.sealing import SealBroken, Sealer

log = structlog.get_logger()

ISSUER = "Algo trading"
FIELD = "totp_secret"
RECOVERY_CODES = 10
# 80 random bits: too many to guess, even for somebody who holds the hashes.
RECOVERY_BYTES = 10
_GROUP = 4


@asynccontextmanager
async def proven(
    platform: Services, caller: Caller, *, password: str, code: str | None, address: str
) -> AsyncIterator[tuple[AsyncSession, User]]:
    """A transaction in which the caller has shown once more that they are who they say: the password, and a code if the second
    factor is on. Raises ApiError INVALID_CREDENTIALS, SECOND_FACTOR_REQUIRED, SECOND_FACTOR_INVALID, TOO_MANY_LOGINS."""
    await platform.throttle.login(account=caller.email.lower(), address=address)
    async with platform.database.transaction() as session:
        seen = await users.find(session, user_id=caller.user_id)
    if not await platform.passwords.matches(password, seen.password_hash if seen else None) or seen is None:
        raise ApiError(ErrorCode.INVALID_CREDENTIALS, "the password is wrong")
    await count_attempt(platform, seen, code)
    async with platform.database.transaction() as session:
        yield session, await locked_as_seen(platform, session, seen, code=code)


async def count_attempt(platform: Services, user: User, code: str | None) -> None:
    """Before the code is looked at. Raises ApiError SECOND_FACTOR_REQUIRED, TOO_MANY_LOGINS."""
    if user.totp_confirmed_at is None:
        return
    if code is None:
        raise ApiError(ErrorCode.SECOND_FACTOR_REQUIRED)
    await platform.throttle.second_factor(user_id=user.id)


async def locked_as_seen(platform: Services, session: AsyncSession, seen: User, *, code: str | None) -> User:
    """The user's row, locked; the password that was checked is still theirs, and the code is used up. Raises ApiError."""
    user = await users.find_for_update(session, user_id=seen.id)
    if user is None or user.password_hash != seen.password_hash:
        raise ApiError(ErrorCode.INVALID_CREDENTIALS)
    if user.totp_confirmed_at is not None:
        if code is None:
            raise ApiError(ErrorCode.SECOND_FACTOR_REQUIRED)
        if not await _use(platform, session, user, code):
            log.warning("second_factor_refused", user_id=user.id)
            raise ApiError(ErrorCode.SECOND_FACTOR_INVALID)
    return user


async def _use(platform: Services, session: AsyncSession, user: User, code: str) -> bool:
    code = code.replace(" ", "")
    if len(code) == DIGITS:
        return _use_one_time_code(platform, user, code)
    now = platform.clock.now()
    if not await recovery_codes.use(session, user_id=user.id, code_hash=_hash(code), now=now):
        return False
    await audit.append(session, actor_id=user.id, action="user.recovery_code_used", subject_id=user.id, now=now)
    return True


def _use_one_time_code(platform: Services, user: User, code: str) -> bool:
    secret = _open(platform, user)
    step = matching_step(secret, code, now=platform.clock.now(), after=user.totp_last_step) if secret else None
    if step is not None:
        user.totp_last_step = step
    return step is not None


def _open(platform: Services, user: User) -> str | None:
    """None: there is none, or its key has been lost; recovery codes still work then."""
    if user.sealed_totp_secret is None:
        return None
    try:
        return platform.accounts.sealer.open(user.sealed_totp_secret, bound_to=binding(user.id, FIELD))
    except SealBroken:
        log.error("second_factor_does_not_open", user_id=user.id)
        return None


def seal_anew(sealer: Sealer, user: User) -> None:
    """With the newest key. Raises SealBroken."""
    secret = sealer.open(user.sealed_totp_secret or "", bound_to=binding(user.id, FIELD))
    user.sealed_totp_secret = sealer.seal(secret, bound_to=binding(user.id, FIELD))


def begin(platform: Services, user: User) -> tuple[str, str]:
    """A new secret and what an app reads it from; it counts from its confirmation on. Raises ApiError SECOND_FACTOR_ON."""
    if user.totp_confirmed_at is not None:
        raise ApiError(ErrorCode.SECOND_FACTOR_ON)
    secret = new_secret()
    user.sealed_totp_secret = platform.accounts.sealer.seal(secret, bound_to=binding(user.id, FIELD))
    user.totp_last_step = None
    return secret, enrolment_uri(secret, email=user.email, issuer=ISSUER)


async def confirm(platform: Services, session: AsyncSession, user: User, code: str) -> Sequence[str]:
    """The app shows the right codes: on from now. Raises ApiError SECOND_FACTOR_ON, SECOND_FACTOR_OFF, SECOND_FACTOR_INVALID."""
    if user.totp_confirmed_at is not None:
        raise ApiError(ErrorCode.SECOND_FACTOR_ON)
    if user.sealed_totp_secret is None:
        raise ApiError(ErrorCode.SECOND_FACTOR_OFF)
    if not _use_one_time_code(platform, user, code.replace(" ", "")):
        raise ApiError(ErrorCode.SECOND_FACTOR_INVALID)
    user.totp_confirmed_at = platform.clock.now()
    return await new_recovery_codes(session, user)


async def new_recovery_codes(session: AsyncSession, user: User) -> Sequence[str]:
    """Shown this once; those before are gone."""
    codes = [secrets.token_hex(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    await recovery_codes.replace(session, user_id=user.id, hashes=[_hash(code) for code in codes])
    return ["-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP)) for code in codes]


async def switch_off(session: AsyncSession, user: User) -> None:
    user.sealed_totp_secret = user.totp_confirmed_at = user.totp_last_step = None
    await recovery_codes.replace(session, user_id=user.id, hashes=[])


def _hash(code: str) -> str:
    """A plain hash suffices: the code is random, not chosen by a person."""
    return hashlib.sha256(code.replace("-", "").lower().encode()).hexdigest()
