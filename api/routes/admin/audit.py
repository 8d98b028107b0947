"""The audit log: who did what, and the proof that nothing was changed or taken out."""

from fastapi import APIRouter

from api.declared import BODY, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform
from api.errors import ErrorCode
from api.paging import Cursor, FilterText, Limit, read_number_cursor
from api.routes.admin.spans import From, To
from api.routes.tags import ADMIN
from api.schemas.admin import AuditAnswer, AuditCheck
from api.schemas.common import Page
from storage.models import AuditEntry
from storage.repositories import audit, audit_chain
from storage.repositories.audit import AuditFilter

reading = APIRouter(prefix="/admin", tags=[ADMIN])


@reading.get(
    "/audit", operation_id="adminAudit", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_CURSOR)
)
async def list_audit(
    admin: CurrentCaller,
    platform: Platform,
    actor_id: FilterText | None = None,
    subject_id: FilterText | None = None,
    action: FilterText | None = None,
    from_at: From = None,
    to_at: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditAnswer]:
    """Who did what, newest first. `action` is a whole action such as `user.change`, or its first word."""
    before = read_number_cursor(cursor)
    wanted = AuditFilter(actor_id, subject_id, action, from_at, to_at)
    async with platform.database.transaction() as session:
        rows = await audit.list_page(session, wanted, before=before, limit=limit + 1)
    shown = rows[:limit]
    return Page(items=[_answer(entry) for entry in shown], next_cursor=str(shown[-1].number) if len(rows) > limit else None)


@reading.get("/audit/check", operation_id="adminCheckAudit", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN))
async def check_audit(admin: CurrentCaller, platform: Platform) -> AuditCheck:
    """Read the whole log and prove that nothing that was sealed has been changed or taken out. Takes seconds when it is long."""
    chain = await audit_chain.check(platform.database)
    return AuditCheck(
        is_whole=chain.broken_at is None,
        broken_at=chain.broken_at,
        why=chain.why,
        sealed=chain.head.sequence,
        head_hash=chain.head.hash,
        unsealed=chain.unsealed,
        oldest_unsealed_at=chain.oldest_unsealed_at,
    )


def _answer(entry: AuditEntry) -> AuditAnswer:
    return AuditAnswer(
        number=entry.number,
        sequence=entry.sequence,
        at=entry.at,
        actor_id=entry.actor_id,
        action=entry.action,
        subject_id=entry.subject_id,
        data=entry.data,
        hash=entry.hash,
    )
