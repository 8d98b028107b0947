"""Health, readiness, metrics: at the root and under /api/v1."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.declared import errors
from api.deps import Platform
from api.readiness import Part, PartState, read_parts
from api.routes.tags import OPERATION
from api.schemas.operation import Health, PartAnswer, Readiness
from api.services import Services
from runtime.version import VERSION

router = APIRouter(tags=[OPERATION])


@router.get("/health", operation_id="getHealth", responses=errors())
async def health(platform: Platform) -> Health:
    """Whether this process lives. Asks nobody else."""
    return Health(version=VERSION, timestamp=platform.clock.now())


@router.get(
    "/ready",
    operation_id="getReadiness",
    responses={**errors(), 503: {"model": Readiness, "description": "A needed part is down"}},
)
async def ready(platform: Platform, response: Response) -> Readiness:
    """Each part with its state and lag. Stops and kill switches work whatever this says."""
    readiness = await read_readiness(platform)
    if readiness.status == "not_ready":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return readiness


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={**errors(), 200: {"description": "Prometheus text", "content": {"text/plain": {}}}},
)
async def metrics(platform: Platform) -> Response:
    """Measurements of this process, for Prometheus."""
    platform.metrics.gauge("streams_open", platform.hub.open_streams)
    platform.metrics.gauge("instruments", platform.instruments.count)
    return Response(platform.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def _lag(part: Part) -> float | None:
    return None if part.lag_ms is None else round(part.lag_ms, 1)


async def read_readiness(platform: Services) -> Readiness:
    parts = await read_parts(platform)
    down = any(part.needed and part.state is PartState.DOWN for part in parts)
    whole = all(part.state is PartState.OK for part in parts)
    answers = [
        PartAnswer(name=part.name, state=part.state, needed=part.needed, lag_ms=_lag(part), detail=part.detail) for part in parts
    ]
    return Readiness(
        status="not_ready" if down else "ready" if whole else "degraded",
        version=VERSION,
        timestamp=platform.clock.now(),
        parts=answers,
    )
