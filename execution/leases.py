"""Leases: which worker runs which account's desk. For order and speed only; what keeps orders single is the claim."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id

# A run that waits for its buy time has nothing at its broker: thousands of them need no desk, no lease and no socket. This long
# before it (more than any lead, trading/lead.py), or once somebody wants out, there is one.
DESK_AHEAD = timedelta(minutes=15)
_NEEDS_DESK = """
    r.state <> 'ended' AND (r.state <> 'scheduled' OR r.stop_requested_at IS NOT NULL OR r.exit_wanted_at IS NOT NULL
                            OR r.buy_at < clock_timestamp() + :ahead)
"""

# An account needs a desk while a run has or soon wants shares, an order is alive, or a dead attempt's tag is looked for. What
# is open is read once, and not once for each of ten thousand accounts that only wait.
_HAS_WORK = f"""
    (l.account_id IN (SELECT r.account_id FROM runs r WHERE {_NEEDS_DESK}
                      UNION ALL SELECT o.account_id FROM orders o WHERE o.state IN ('armed', 'sending', 'unknown', 'open'))
     OR EXISTS (SELECT 1 FROM orders o WHERE o.account_id = l.account_id AND o.watched_until > clock_timestamp()
                AND o.state = 'absent'))
"""  # noqa: S608 (constants only)

# A broker's book is of one day: an account made on a day without a change has nothing that could be missing.
_ENSURE = text(
    """
    INSERT INTO desk_leases (id, account_id, compared_server)
    SELECT :id, :account_id, CASE WHEN NOT EXISTS (
        SELECT 1 FROM database_servers
        WHERE is_change AND noticed_at >= date_trunc('day', clock_timestamp(), 'Asia/Kolkata')) THEN database_server() END
    ON CONFLICT DO NOTHING
    """
)
# Only what differs is answered: a worker with ten thousand leases would read as many rows a second to learn that all is well.
_RENEW = text(
    """
    WITH renewed AS (
        UPDATE desk_leases SET expires_at = clock_timestamp() + make_interval(secs => :seconds)
        WHERE owner = :owner AND expires_at > clock_timestamp()
        RETURNING account_id, epoch)
    SELECT renewed.account_id AS found, renewed.epoch, held.account_id AS lost
    FROM renewed FULL JOIN unnest(:held) AS held (account_id) ON held.account_id = renewed.account_id
    WHERE renewed.account_id IS NULL OR held.account_id IS NULL
    """
).bindparams(bindparam("held", type_=ARRAY(Text)))
_TAKE = text(
    f"""
    UPDATE desk_leases SET owner = :owner, epoch = epoch + 1, expires_at = clock_timestamp() + make_interval(secs => :seconds)
    WHERE id IN (
        SELECT l.id FROM desk_leases l
        WHERE (l.owner IS NULL OR l.expires_at <= clock_timestamp()) AND NOT l.account_id = ANY(:but_not) AND {_HAS_WORK}
        ORDER BY l.account_id LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING account_id, epoch
    """  # noqa: S608 (constants only)
)
_IDLE = text(
    f"SELECT l.account_id FROM desk_leases l WHERE l.owner = :owner AND NOT {_HAS_WORK}"  # noqa: S608 (constants only)
)
_RELEASE = text(
    """
    UPDATE desk_leases SET owner = NULL, expires_at = 'epoch'
    WHERE owner = :owner AND account_id = ANY(:account_ids)
    """
)
_ANNOUNCE = text(
    """
    INSERT INTO desk_workers (id, owner, expires_at)
    VALUES (:id, :owner, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (owner) DO UPDATE SET expires_at = excluded.expires_at
    """
)
_RESIGN = text("DELETE FROM desk_workers WHERE owner = :owner OR expires_at < clock_timestamp() - interval '1 hour'")
_WORKERS = text("SELECT count(*) FROM desk_workers WHERE expires_at > clock_timestamp()")
_HELD = text("SELECT count(*) FROM desk_leases WHERE owner IS NOT NULL AND expires_at > clock_timestamp()")
_QUIET = text(
    """
    SELECT l.account_id FROM desk_leases l
    WHERE l.owner = :owner AND NOT EXISTS (
        SELECT 1 FROM orders o WHERE o.account_id = l.account_id
          AND (o.state IN ('sending', 'unknown', 'open')
               OR (o.state = 'armed' AND (o.wanted_at IS NOT NULL
                                          OR o.fire_at < clock_timestamp() + make_interval(secs => :seconds)))))
    ORDER BY l.account_id LIMIT :most
    """
)


_UNCOVERED = text(
    f"""
    SELECT b.id FROM broker_credentials b LEFT JOIN desk_leases l ON l.account_id = b.id
    WHERE (l.owner IS NULL OR l.expires_at <= clock_timestamp())
      AND (EXISTS (SELECT 1 FROM runs r WHERE r.account_id = b.id AND {_NEEDS_DESK}
                   AND r.created_at < clock_timestamp() - make_interval(secs => :grace))
           OR EXISTS (SELECT 1 FROM orders o WHERE o.account_id = b.id AND o.state IN ('armed', 'sending', 'unknown', 'open')
                      AND o.created_at < clock_timestamp() - make_interval(secs => :grace)))
    ORDER BY b.id
    """  # noqa: S608 (constants only)
)


@dataclass(frozen=True, slots=True)
class Lease:
    account_id: str
    epoch: int


async def ensure(session: AsyncSession, account_id: str) -> None:
    """The account has a lease row; made on a day on which the server changed, it waits for its comparison (servers.py)."""
    await session.execute(_ENSURE, {"id": new_id("dsk"), "account_id": account_id})


@dataclass(frozen=True, slots=True)
class Renewed:
    """What differs from what the owner believes to hold: leases it did not know of, and accounts whose lease it has not."""

    found: list[Lease]
    lost: list[str]


async def renew(session: AsyncSession, *, owner: str, seconds: float, held: Collection[str]) -> Renewed:
    """Renew all of this owner's leases in one statement; one that has run out is not revived. `held`: the accounts whose lease
    it believes to have."""
    rows = (await session.execute(_RENEW, {"owner": owner, "seconds": seconds, "held": list(held)})).all()
    return Renewed([Lease(row.found, row.epoch) for row in rows if row.found], [row.lost for row in rows if row.lost])


async def take_free(session: AsyncSession, *, owner: str, seconds: float, most: int, but_not: Sequence[str] = ()) -> list[Lease]:
    """Take leases of accounts that need a desk and have none, `but_not` those."""
    rows = await session.execute(
        _TAKE, {"owner": owner, "seconds": seconds, "most": most, "but_not": list(but_not), "ahead": DESK_AHEAD}
    )
    return [Lease(row.account_id, row.epoch) for row in rows]


async def idle(session: AsyncSession, *, owner: str) -> list[str]:
    """Accounts of this owner for which there is nothing left to do."""
    return list(await session.scalars(_IDLE, {"owner": owner, "ahead": DESK_AHEAD}))


async def release(session: AsyncSession, account_ids: Sequence[str], *, owner: str) -> None:
    """Give leases up at once, so that the next owner need not wait for them to run out."""
    await session.execute(_RELEASE, {"owner": owner, "account_ids": list(account_ids)})


async def announce(session: AsyncSession, *, owner: str, seconds: float) -> None:
    """This worker lives, also while it holds no lease yet."""
    await session.execute(_ANNOUNCE, {"id": new_id("wrk"), "owner": owner, "seconds": seconds})


async def resign(session: AsyncSession, *, owner: str) -> None:
    """This worker leaves for good. Takes those along that died long ago."""
    await session.execute(_RESIGN, {"owner": owner})


async def live_workers(session: AsyncSession) -> int:
    """How many workers have announced themselves lately."""
    return int((await session.execute(_WORKERS)).scalar_one())


async def uncovered(session: AsyncSession, *, grace_seconds: float) -> list[str]:
    """Accounts with an open run or a live order, older than the grace, whose desk nobody holds."""
    # A lease that has just become due is being taken.
    ahead = DESK_AHEAD - timedelta(seconds=grace_seconds)
    return list(await session.scalars(_UNCOVERED, {"grace": grace_seconds, "ahead": ahead}))


async def held_by_all(session: AsyncSession) -> int:
    """How many leases run now, whoever holds them."""
    return int((await session.execute(_HELD)).scalar_one())


async def quiet(session: AsyncSession, *, owner: str, seconds: float, most: int) -> list[str]:
    """Accounts of this owner with nothing at the broker, nothing in doubt, and nothing due within that many seconds."""
    return list(await session.scalars(_QUIET, {"owner": owner, "seconds": seconds, "most": most}))
