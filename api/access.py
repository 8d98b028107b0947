"""Who is calling, and whether they may: asked once per request, before anything else looks at it.

`admit` is a dependency of the whole application, so no route can forget it; what a route needs is said in `api/roles.py` alone.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from api.errors import ApiError, ErrorCode
from api.roles import rule_for
from api.services import Services
from api.tokens import ACCESS
from storage.models import Role, UserState
from storage.repositories import users

log = structlog.get_logger()

PREFIX = "/api/v1"


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
    request.state.caller = caller
    return caller


async def _signed_in(request: Request, platform: Services) -> Caller:
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "bearer" or not token:
        raise ApiError(ErrorCode.UNAUTHENTICATED)
    claims = platform.signer.read(token, audience=ACCESS)
    async with platform.database.transaction() as session:
        user = await users.find_with_session(session, user_id=claims.user_id, family_id=claims.subject_id)
    if user is None:
        raise ApiError(ErrorCode.TOKEN_INVALID)
    if user.state is not UserState.ACTIVE:
        raise ApiError(ErrorCode.USER_SUSPENDED)
    await platform.throttle.request(user.id)
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
