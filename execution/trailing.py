"""Raised stops, written down: a stop that follows the price holds from the moment its row says so, and no row ever lowers it.

Safe to be asked by several at once, late, or twice: what stands in the row already wins over anything lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import ARRAY, Numeric, String, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Rise:
    """Where a run's stop shall stand at least, and the highest price since its entry that says so. Rupees."""

    run_id: str
    stop: Decimal
    highest: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run's stop stands now."""

    run_id: str
    strategy_id: str
    stop: Decimal
    version: int


@dataclass(frozen=True, slots=True)
class Raised:
    """`over`: runs that have begun to leave, so that no stop of theirs moves any more. Runs in neither are locked: ask again."""

    standing: tuple[Standing, ...]
    over: frozenset[str]


# Runs before their orders, as everywhere. A run somebody holds is left for the next round: the others do not wait for it.
_RAISE_RUNS = text(
    """
    WITH wanted AS (
        SELECT * FROM unnest(:run_ids, :stops, :highs) AS w(run_id, stop, highest)
    ), free AS (
        SELECT r.id FROM runs r JOIN wanted w ON w.run_id = r.id
        WHERE r.state <> 'ended' AND r.exit_wanted_at IS NULL AND NOT r.leave_open AND r.handed_over_at IS NULL
          AND (r.trailing_by IS NOT NULL OR r.trailing_percent IS NOT NULL)
        ORDER BY r.id
        FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE runs r
    SET stop_loss = GREATEST(r.stop_loss, w.stop), highest_price = GREATEST(r.highest_price, w.highest),
        stop_version = r.stop_version + CASE WHEN w.stop > r.stop_loss THEN 1 ELSE 0 END, updated_at = clock_timestamp()
    FROM free JOIN wanted w ON w.run_id = free.id
    WHERE r.id = free.id
    RETURNING r.id, r.strategy_id, r.stop_loss, r.stop_version
    """
).bindparams(
    bindparam("run_ids", type_=ARRAY(String)),
    bindparam("stops", type_=ARRAY(Numeric)),
    bindparam("highs", type_=ARRAY(Numeric)),
)

# An exit that rests at the broker is at another revision only when the broker is told something.
_RAISE_EXITS = text(
    """
    UPDATE orders o
    SET stop_price = r.stop_loss, stop_version = r.stop_version, updated_at = clock_timestamp(),
        revision = o.revision + CASE WHEN o.state = 'armed' THEN 1 ELSE 0 END
    FROM runs r
    WHERE r.id = o.run_id AND o.run_id = ANY(:run_ids) AND o.leg = 'exit' AND o.stop_version < r.stop_version
      AND (o.state = 'armed' OR (o.backup_trigger IS NOT NULL AND o.state IN ('sending', 'unknown', 'open')))
    """
).bindparams(bindparam("run_ids", type_=ARRAY(String)))

_OVER = text(
    """
    SELECT w.run_id FROM unnest(:run_ids) AS w(run_id) LEFT JOIN runs r ON r.id = w.run_id
    WHERE r.id IS NULL OR r.state = 'ended' OR r.exit_wanted_at IS NOT NULL OR r.leave_open OR r.handed_over_at IS NOT NULL
       OR (r.trailing_by IS NULL AND r.trailing_percent IS NULL)
    """
).bindparams(bindparam("run_ids", type_=ARRAY(String)))


async def raise_stops(session: AsyncSession, rises: Sequence[Rise]) -> Raised:
    """Raise the stops of those runs and of the exits that are armed with them; one of each run."""
    wanted = [rise.run_id for rise in rises]
    values = {
        "run_ids": wanted,
        "stops": [rise.stop for rise in rises],
        "highs": [rise.highest for rise in rises],
    }
    rows = (await session.execute(_RAISE_RUNS, values)).all()
    standing = tuple(Standing(row.id, row.strategy_id, row.stop_loss, row.stop_version) for row in rows)
    raised = [each.run_id for each in standing]
    if raised:
        await session.execute(_RAISE_EXITS, {"run_ids": raised})
    left = sorted(set(wanted) - set(raised))
    over = frozenset(await session.scalars(_OVER, {"run_ids": left})) if left else frozenset()
    return Raised(standing, over)
