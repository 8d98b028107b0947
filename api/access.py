"""Who is calling, and whether they may: asked once per request, before anything else looks at it.

`admit` is a dependency of the whole application, so no route can forget it; what a route needs is said in `api/roles.py` alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from api.errors import ApiError, ErrorCode
from api.roles import Rule, Scope, rule_for
from api.services import Services
from api.tokens import ACCESS, api_key_hash, looks_like_a_key
from storage.models import Role, UserState
from storage.repositories import api_keys, users

log = structlog.get_logger()

PREFIX = "/api/v1"
API_KEY_HEADER = "X-API-Key"
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a request, as the database knows them now."""

    user_id: str
    email: str
    name: str
    role: Role
    broker: str | None
    created_at: datetime
    session_family: str
    token_expires_at: datetime
    # With an API key: which one, and what it may be used for. Such a caller has no session.
    api_key_id: str | None = None
    scopes: frozenset[Scope] = frozenset()

    def may(self, rule: Rule) -> bool:
        """Whether the key that was used reaches so far; an access token always does."""
        return self.api_key_id is None or rule.scope in self.scopes


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def admit(request: Request) -> Caller | None:
    """The caller, or None on a public route. Raises ApiError: no or a bad token, a suspended user, a role that may not, too many
    requests. A route without a rule is refused to everybody."""
    if hasattr(request.state, "caller"):
        known: Caller | None = request.state.caller
        return known
    template = request.scope["route"].path.removeprefix(PREFIX)
    rule = rule_for(request.method, template)
    if rule is None:
        log.error("route_without_rule", method=request.method, route=template)
        raise ApiError(ErrorCode.FORBIDDEN)
    caller = None
    if not rule.is_public:
        caller = await _signed_in(request, get_services(request))
        if caller.role not in rule.roles:
            raise ApiError(ErrorCode.FORBIDDEN)
        if not caller.may(rule):
            raise ApiError(ErrorCode.API_KEY_SCOPE)
    request.state.caller = caller
    return caller


async def _signed_in(request: Request, platform: Services) -> Caller:
    header, key = request.headers.get("authorization"), request.headers.get(API_KEY_HEADER)
    if header is None and key is not None:
        return await _with_key(platform, key)
    scheme, token = get_authorization_scheme_param(header)
    if scheme.lower() != "bearer" or not token:
        raise ApiError(ErrorCode.UNAUTHENTICATED)
    claims = platform.signer.read(token, audience=ACCESS)
    user = await users.find_with_session(platform.database, user_id=claims.user_id, family_id=claims.subject_id)
    if user is None:
        raise ApiError(ErrorCode.TOKEN_INVALID)
    await _check_state(platform, user.id, user.state)
    return Caller(
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        broker=user.broker,
        created_at=user.created_at,
        session_family=claims.subject_id,
        token_expires_at=claims.expires_at,
    )


async def _with_key(platform: Services, key: str) -> Caller:
    """An Admin's key acts as a User's: no key administers."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        found = await api_keys.find_with_user(session, key_hash=api_key_hash(key), now=now) if looks_like_a_key(key) else None
    if found is None:
        raise ApiError(ErrorCode.API_KEY_INVALID)
    row, user = found
    await _check_state(platform, user.id, user.state)
    return Caller(
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=Role.USER if user.role is Role.ADMIN else user.role,
        broker=user.broker,
        created_at=user.created_at,
        session_family="",
        token_expires_at=row.expires_at or NEVER,
        api_key_id=row.id,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
    )


async def _check_state(platform: Services, user_id: str, state: UserState) -> None:
    if state is not UserState.ACTIVE:
        raise ApiError(ErrorCode.USER_SUSPENDED)
    await platform.throttle.request(user_id)
