"""Idempotency-Key: a request that is sent twice is done once, and both get the same answer.

Only successes are kept: what was refused has changed nothing and is judged anew.
"""

import hashlib
import re

from fastapi import Request, Response

from api.access import admit, get_services
from api.deps import IDEMPOTENCY_KEY_PATTERN
from api.errors import ApiError, ErrorCode
from api.services import Services
from api.strict_json import Handler, StrictRequest, StrictRoute
from storage.repositories import idempotency

MUTATIONS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
REPLAYED = "Idempotency-Replayed"
RETRY_AFTER_SECONDS = 1


class IdempotentRoute(StrictRoute):
    """A route whose mutations honour the header."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if key is None or request.method not in MUTATIONS or not re.fullmatch(IDEMPOTENCY_KEY_PATTERN, key):
                return await handle(request)
            request = StrictRequest(request.scope, request.receive)
            # An answer that was kept is given only to who may still call.
            caller = await admit(request)
            if caller is None:
                return await handle(request)
            return await _once(get_services(request), request, handle, user_id=caller.user_id, key=key)

        return once


async def _once(services: Services, request: Request, handle: Handler, *, user_id: str, key: str) -> Response:
    request_hash = await _hash(request)
    async with services.database.transaction() as session:
        known = await idempotency.claim(session, user_id=user_id, key=key, request_hash=request_hash, now=services.clock.now())
    if known is not None:
        return _replay(known, request_hash)
    kept = False
    try:
        response = await handle(request)
        if 200 <= response.status_code < 300:
            body = bytes(response.body).decode()
            async with services.database.transaction() as session:
                await idempotency.store(session, user_id=user_id, key=key, status=response.status_code, body=body)
            kept = True
        return response
    finally:
        if not kept:
            async with services.database.transaction() as session:
                await idempotency.release(session, user_id=user_id, key=key)


def _replay(known: idempotency.Known, request_hash: str) -> Response:
    if known.request_hash != request_hash:
        raise ApiError(ErrorCode.IDEMPOTENCY_KEY_REUSED)
    if known.status is None:
        raise ApiError(ErrorCode.REQUEST_IN_PROGRESS, retry_after_seconds=RETRY_AFTER_SECONDS)
    return Response(known.body or None, known.status, {REPLAYED: "true"}, media_type="application/json" if known.body else None)


async def _hash(request: Request) -> str:
    parts = [request.method.encode(), request.url.path.encode(), request.url.query.encode(), await request.body()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
