"""What has been told of each strategy of the connected users, so that only changes are told: orders, fills, and how it stands."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from redis.asyncio import Redis

from api.live.event import LiveEvent
from api.live.told import fill_event, order_event, state_event
from cache import rebuild
from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from cache.runtime_view import View
from storage.database import Database
from storage.models import FillRow, Order
from storage.repositories import live
from trading.instruments import InstrumentId

AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """A strategy as its rows show it, with its run's orders and fills."""

    view: View
    instrument: InstrumentId
    orders: Sequence[Order]
    fills: Sequence[FillRow]


@dataclass(slots=True)
class _Told:
    view: View | None = None
    instrument: InstrumentId | None = None
    revisions: dict[str, int] = field(default_factory=dict)
    fills: set[str] = field(default_factory=set)


class StrategyNews:
    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._told: dict[str, _Told] = {}
        self._marks: dict[str, live.Mark] = {}

    def traded(self) -> dict[InstrumentId, dict[str, set[str]]]:
        """What running strategies trade: by instrument, each user's strategies."""
        found: dict[InstrumentId, dict[str, set[str]]] = {}
        for strategy_id, told in self._told.items():
            if told.view is not None and told.instrument is not None and told.view.has_open_run:
                found.setdefault(told.instrument, {}).setdefault(told.view.user_id, set()).add(strategy_id)
        return found

    async def begin(self, users: Collection[str]) -> None:
        """How everything of theirs stands now counts as told: their snapshots are taken after this."""
        async with self._database.unhurried() as session:
            marks = await live.marks(session, users)
        for standing in await self._read(marks):
            self._note(standing)
        self._marks |= marks

    def keep_only(self, users: Collection[str]) -> None:
        """Forget those who have left."""
        self._told = {key: told for key, told in self._told.items() if told.view is None or told.view.user_id in users}
        self._marks = {key: mark for key, mark in self._marks.items() if mark.user_id in users}

    async def changed(self, users: Collection[str]) -> set[str]:
        """Strategies of theirs whose rows have changed since the last look, whether or not anybody said so."""
        async with self._database.unhurried() as session:
            marks = await live.marks(session, users)
        before, self._marks = self._marks, marks
        return {key for key in before.keys() | marks.keys() if before.get(key) != marks.get(key)}

    async def news(self, strategy_ids: Set[str], *, standing_of: Set[str]) -> list[tuple[str, LiveEvent]]:
        """What is new of all these, each with whose it is: orders and fills first, then how it stands with them.

        `standing_of`: told in any case. Somebody may have come in the middle, when others had been told already."""
        found: list[tuple[str, LiveEvent]] = []
        for standing in await self._read(strategy_ids | standing_of):
            view, told = standing.view, self._told.get(standing.view.strategy_id, _Told())
            changed = [order for order in standing.orders if told.revisions.get(order.id) != order.revision]
            events = [order_event(order, view) for order in changed]
            orders = {order.id: order for order in standing.orders}
            new_fills = [fill for fill in standing.fills if fill.id not in told.fills]
            events += [fill_event(fill, orders[fill.order_id]) for fill in new_fills if fill.order_id in orders]
            if view.strategy_id in standing_of or told.view is None or _plain(told.view) != _plain(view):
                events.append(state_event(view))
            found += [(view.user_id, event) for event in events]
            self._note(standing)
        return found

    def _note(self, standing: Standing) -> None:
        revisions = {order.id: order.revision for order in standing.orders}
        fills = {fill.id for fill in standing.fills}
        self._told[standing.view.strategy_id] = _Told(standing.view, standing.instrument, revisions, fills)

    async def _read(self, strategy_ids: Iterable[str]) -> list[Standing]:
        ids, found = sorted(strategy_ids), []
        for first in range(0, len(ids), AT_ONCE):
            async with self._database.unhurried() as session:
                views = await rebuild.read_views(session, ids[first : first + AT_ONCE])
                runs = [view.run_id for view, _ in views if view.run_id is not None]
                orders, fills = await live.orders_of(session, runs), await live.fills_of(session, runs)
            prices = await hot_prices(self._redis, {plan.instrument for _, plan in views})
            for view, plan in views:
                run_id, shown = view.run_id or "", priced(view, prices.get(plan.instrument))
                found.append(Standing(shown, plan.instrument, orders.get(run_id, ()), fills.get(run_id, ())))
        return found


def priced(view: View, hot: HotPrice | None) -> View:
    return view.at_price(hot.price, at=hot.at) if hot else view.at_price(None, at=None)


async def hot_prices(redis: Redis, instruments: Collection[InstrumentId]) -> Mapping[InstrumentId, HotPrice]:
    """Of followed symbols; none while Redis is away."""
    try:
        return await PriceCache(redis).read(instruments)
    except CacheUnavailable:
        return {}


def _plain(view: View) -> View:
    """Without what moves by itself: prices have events of their own."""
    return replace(view, as_of=view.as_of.min, last_price=None, last_price_at=None, pnl=None)
