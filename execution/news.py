"""News of orders: what the broker answered, and what its order stream tells of fills.

Of a herd both come within the same moment. They are stored together, many runs in one transaction, and a run's answer before its
fill: then its row is locked and written once instead of twice, and a timeline reads in the order in which things happened.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from sqlalchemy.ext.asyncio import AsyncSession

from execution.answers import Answer, record_answer, record_answers
from execution.follow import Followed, Sight, record_look, record_looks
from execution.rows import lock_orders, lock_unheld
from execution.rush import Rush
from execution.together import Together
from storage.database import Database
from storage.models import Run
from trading.orders import OrderState
from trading.ports.clock import Clock

Item: TypeAlias = Answer | Sight
Stored: TypeAlias = OrderState | Followed


class News(Together[Item, Stored]):
    """One per process, for all of its desks."""

    def __init__(self, database: Database, clock: Clock, rush: Rush) -> None:
        self._clock = clock
        super().__init__(database, rush, run_of=_run_of, store_all=self._record_all, store_one=self._record_one)

    async def answered(self, answer: Answer) -> OrderState:
        """The state of the order's row afterwards. May be repeated. Raises what the database raises."""
        return cast("OrderState", await self.store(answer))

    async def seen(self, sight: Sight) -> Followed:
        """Raises LookupError when the order's row is gone, and what the database raises."""
        return cast("Followed", await self.store(sight))

    async def _record_one(self, session: AsyncSession, item: Item) -> Stored:
        if isinstance(item, Answer):
            return await record_answer(session, item)
        return await record_look(session, item, now=self._clock.now())

    async def _record_all(self, session: AsyncSession, items: Sequence[Item]) -> list[Stored | None]:
        runs = await lock_unheld(session, {_run_of(item) for item in items})
        answers = [item for item in items if isinstance(item, Answer) and item.claimed.run_id in runs]
        sights = [item for item in items if isinstance(item, Sight) and item.run_id in runs]
        # Nothing is flushed in between: what the answers change of a run leaves in one statement with what the fills do.
        with session.no_autoflush:
            states = await record_answers(session, runs, answers) if answers else []
            followed = await self._record_sights(session, runs, sights) if sights else []
        state_of = {answer.claimed.run_id: state for answer, state in zip(answers, states, strict=True)}
        followed_of = {one.run_id: one for one in followed}
        return [state_of.get(_run_of(item)) if isinstance(item, Answer) else followed_of.get(item.run_id) for item in items]

    async def _record_sights(self, session: AsyncSession, runs: Mapping[str, Run], sights: Sequence[Sight]) -> list[Followed]:
        locked = await lock_orders(session, {sight.run_id: runs[sight.run_id] for sight in sights})
        return await record_looks(session, locked, sights, now=self._clock.now())


def _run_of(item: Item) -> str:
    return item.claimed.run_id if isinstance(item, Answer) else item.run_id
