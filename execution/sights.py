"""What books show of orders, stored for many orders in one transaction."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from execution.follow import Followed, Sight, record_look, record_looks
from execution.rows import lock_free_runs
from execution.rush import Rush
from execution.together import Together
from storage.database import Database
from trading.ports.clock import Clock


class Sights(Together[Sight, Followed]):
    """One per process, for all of its desks. Storing raises LookupError when the order's row is gone."""

    def __init__(self, database: Database, clock: Clock, rush: Rush) -> None:
        async def store_all(session: AsyncSession, sights: Sequence[Sight]) -> list[Followed | None]:
            locked = await lock_free_runs(session, [sight.run_id for sight in sights])
            taken = [sight for sight in sights if sight.run_id in locked]
            followed = {one.run_id: one for one in await record_looks(session, locked, taken, now=clock.now())}
            return [followed.get(sight.run_id) for sight in sights]

        async def store_one(session: AsyncSession, sight: Sight) -> Followed:
            return await record_look(session, sight, now=clock.now())

        super().__init__(database, rush, run_of=lambda sight: sight.run_id, store_all=store_all, store_one=store_one)
