"""One live stream: how everything stands, what was missed since `Last-Event-ID`, and then whatever changes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError
from sse_starlette import ServerSentEvent

from api.access import Caller
from api.answers import alert_answer, status_answer
from api.live.event import EventKind, LiveEvent, live_event
from api.live.hub import Admission, Reader
from api.live.prices import Prices
from api.live.strategies import hot_prices, priced
from api.live.tail import Tail
from api.live.told import SeenAlert, line_event, readiness_news, state_event
from api.schemas.streams import StreamSnapshot
from api.services import Services
from cache import rebuild
from cache.prices import PriceCache
from cache.runtime_view import PlanView, View
from execution.alarm_kinds import FOR_EVERYBODY
from storage.models import ReadinessCheck, RunEvent, Strategy
from storage.repositories import live, timeline
from trading.sessions import trading_date

T = TypeVar("T")

RETRY_MILLISECONDS = 1_000
PAGE = 200
MOST_RUNNING = 200
MOST_ALERTS = 200
# A database that was away is asked again after this long; the stream stays open meanwhile.
AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """`strategy`: the one it is about; None: all of the caller's. `after`: the last line the client has seen."""

    caller: Caller
    strategy: Strategy | None
    after: int

    @property
    def strategy_id(self) -> str | None:
        return None if self.strategy is None else self.strategy.id

    @property
    def about(self) -> frozenset[str] | None:
        """The strategy itself, and what happens to the account it trades in."""
        if self.strategy is None:
            return None
        return frozenset(one for one in (self.strategy.id, self.strategy.account_id) if one is not None)

    @property
    def admission(self) -> Admission:
        caller = self.caller
        return Admission(caller.user_id, caller.token_expires_at, caller.session_family, caller.api_key_id)


@dataclass(frozen=True, slots=True)
class _Standing:
    views: list[View]
    alerts: list[SeenAlert]
    readiness: list[ReadinessCheck]


@asynccontextmanager
async def live_streams(platform: Services) -> AsyncIterator[None]:
    """Streams are served while the block lasts."""
    tail = Tail(platform)
    prices = Prices(platform.hub, tail.strategies, PriceCache(platform.redis))
    tasks = [asyncio.create_task(one.run(), name="live streams") for one in (platform.hub, tail, prices)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stream(platform: Services, wanted: Wanted) -> AsyncGenerator[bytes, None]:
    """Ends when its admission does, or when it was too slow; the client comes back with the last id it has seen."""
    with platform.hub.reading(wanted.admission, about=wanted.about) as reader:
        yield ServerSentEvent(comment="connected", retry=RETRY_MILLISECONDS).encode()
        position = await reader.joined()
        if position is None:
            return
        standing = await _patiently(partial(_read, platform, wanted))
        as_of = min((view.as_of for view in standing.views), default=None)
        yield _snapshot(platform, wanted, standing).wire
        shown = {view.strategy_id for view in standing.views}
        async for event in _missed(platform, wanted, reader, upto=position, shown=shown):
            yield event.wire
        seen = max(position, wanted.after)
        while batch := await reader.take():
            news = [event.wire for event in batch if _is_news(event, seen=seen, as_of=as_of)]
            if news:
                yield b"".join(news)


def _is_news(event: LiveEvent, *, seen: int, as_of: datetime | None) -> bool:
    """Neither a line that was sent already, nor how something stood before the snapshot."""
    if event.sequence is not None:
        return event.sequence > seen
    return event.as_of is None or as_of is None or event.as_of >= as_of


async def _missed(
    platform: Services, wanted: Wanted, reader: Reader, *, upto: int, shown: Collection[str]
) -> AsyncIterator[LiveEvent]:
    """The lines after the last one the client has seen, and then how those strategies stand that the snapshot has not."""
    after, told = wanted.after, set[str]()
    while after < upto and not reader.is_over:
        lines = await _patiently(partial(_lines, platform, wanted, after, upto=upto))
        for line in lines:
            yield line_event(line)
        told |= {line.strategy_id for line in lines}
        after = lines[-1].sequence if len(lines) == PAGE else upto
    for view in await _patiently(partial(_views, platform, sorted(told - set(shown)))):
        yield state_event(view)


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """However long the database is away: the stream stays open, and what comes first comes first."""
    while True:
        try:
            return await read()
        except (SQLAlchemyError, OSError, TimeoutError):
            await asyncio.sleep(AWAY_SECONDS)


async def _lines(platform: Services, wanted: Wanted, after: int, *, upto: int) -> Sequence[RunEvent]:
    user_id, strategy_id = wanted.caller.user_id, wanted.strategy_id
    async with platform.database.unhurried() as session:
        return await timeline.after(session, after, upto=upto, user_id=user_id, strategy_id=strategy_id, limit=PAGE)


async def _read(platform: Services, wanted: Wanted) -> _Standing:
    user_id, only = wanted.caller.user_id, wanted.about
    async with platform.database.unhurried() as session:
        running = [wanted.strategy.id] if wanted.strategy else await live.running_ids(session, user_id, most=MOST_RUNNING)
        views = await rebuild.read_views(session, running)
        rows = await live.open_alerts(session, [user_id], everybody=FOR_EVERYBODY, most=MOST_ALERTS)
        checks = await live.readiness_since(session, [user_id], trading_date(platform.clock.now()))
    alerts = [seen for seen in (SeenAlert(*row) for row in rows) if only is None or seen.about & only]
    newest = {check.account_id: check for check in checks if only is None or check.account_id in only}
    return _Standing(await _with_prices(platform.redis, views), alerts, list(newest.values()))


async def _views(platform: Services, strategy_ids: list[str]) -> list[View]:
    async with platform.database.unhurried() as session:
        views = await rebuild.read_views(session, strategy_ids)
    return await _with_prices(platform.redis, views)


async def _with_prices(redis: Redis, views: list[tuple[View, PlanView]]) -> list[View]:
    prices = await hot_prices(redis, {plan.instrument for _, plan in views})
    return [priced(view, prices.get(plan.instrument)) for view, plan in views]


def _snapshot(platform: Services, wanted: Wanted, standing: _Standing) -> LiveEvent:
    shown = StreamSnapshot(
        as_of=platform.clock.now(),
        strategies=[status_answer(view) for view in standing.views],
        alerts=[alert_answer(seen.alert) for seen in standing.alerts],
        readiness=[readiness_news(check) for check in standing.readiness],
    )
    return live_event(EventKind.SNAPSHOT, shown)
