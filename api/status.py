"""A strategy's state: from Redis while that is fresh, else from Postgres. Never an error because Redis is away."""

from datetime import timedelta

import structlog

from api.plans import hot_price
from api.services import Services
from cache import rebuild
from cache.connection import CacheUnavailable
from cache.runtime_view import PlanView, RuntimeView, View

log = structlog.get_logger()

# An older view is not shown: whoever should have brought it up to date may have been unable to reach Redis.
FRESH = timedelta(seconds=10)


async def read_status(services: Services, *, strategy_id: str, user_id: str) -> View | None:
    """None: no such strategy of that user."""
    cached = await _cached(services, strategy_id)
    if cached is not None and cached.user_id == user_id and abs(services.clock.now() - cached.as_of) < FRESH:
        return cached
    async with services.database.transaction() as session:
        found = await rebuild.read_views(session, [strategy_id])
    if not found or found[0][0].user_id != user_id:
        return None
    view, plan = found[0]
    await _keep(services, view, plan)
    hot = await hot_price(services, plan.instrument)
    return view.at_price(hot.price, at=hot.at) if hot else view.at_price(None, at=None)


async def _cached(services: Services, strategy_id: str) -> View | None:
    try:
        return await RuntimeView(services.redis).read(strategy_id)
    except CacheUnavailable as error:
        services.metrics.count("redis_failures")
        log.warning("status_without_redis", error=str(error))
        return None


async def _keep(services: Services, view: View, plan: PlanView) -> None:
    """Whoever asks again within the next seconds is answered from Redis."""
    try:
        await RuntimeView(services.redis).write_many([(view, plan)])
    except CacheUnavailable:
        services.metrics.count("redis_failures")
