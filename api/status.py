"""A strategy's state: from Redis while that is fresh, else from Postgres. Never an error because Redis is away."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from api.plans import hot_price
from api.services import Services
from cache import rebuild
from cache.connection import CacheUnavailable
from cache.runtime_view import PlanView, RuntimeView, View
from storage.repositories import strategies

log = structlog.get_logger()

# An older view is not shown: whoever should have brought it up to date may have been unable to reach Redis.
FRESH = timedelta(seconds=10)
# So many of one person's views are brought up to date at once.
TOGETHER = 50


async def read_status(services: Services, *, strategy_id: str, user_id: str) -> View | None:
    """None: no such strategy of that user."""
    cached = await _cached(services, strategy_id)
    if cached is not None and cached.user_id == user_id and abs(services.clock.now() - cached.as_of) < FRESH:
        return cached
    async with services.database.transaction() as session:
        # Who asks about one strategy goes on to ask about the others that run: they are read together.
        running = await strategies.running_ids(session, user_id=user_id, since=strategy_id, limit=TOGETHER)
        found = await rebuild.read_views(session, list({strategy_id, *running}))
    own = {view.strategy_id: (view, plan) for view, plan in found if view.user_id == user_id}
    if strategy_id not in own:
        return None
    await _keep(services, list(own.values()))
    view, plan = own[strategy_id]
    hot = await hot_price(services, plan.instrument)
    return view.at_price(hot.price, at=hot.at) if hot else view.at_price(None, at=None)


async def _cached(services: Services, strategy_id: str) -> View | None:
    try:
        return await RuntimeView(services.redis).read(strategy_id)
    except CacheUnavailable as error:
        services.metrics.count("redis_failures")
        log.warning("status_without_redis", error=str(error))
        return None


async def _keep(services: Services, views: Sequence[tuple[View, PlanView]]) -> None:
    """Whoever asks again within the next seconds is answered from Redis."""
    try:
        await RuntimeView(services.redis).write_many(views)
    except CacheUnavailable:
        services.metrics.count("redis_failures")
