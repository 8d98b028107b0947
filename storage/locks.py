"""Advisory locks that more than one part knows of, and whether somebody holds one."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Held by the active listener.
LISTENER_LOCK = 7_203_114_560

_HELD = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = CAST(CAST(:high AS bigint) AS oid) AND objid = CAST(CAST(:low AS bigint) AS oid))
    """
)


async def is_held(session: AsyncSession, key: int) -> bool:
    """Whether any session of this database holds the lock with that number."""
    return bool((await session.execute(_HELD, {"high": key >> 32, "low": key & 0xFFFFFFFF})).scalar_one())
