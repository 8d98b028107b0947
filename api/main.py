"""`uvicorn api.main:app`: the HTTP API. Holds no state; any number of processes may serve the same users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api import declared, error_handlers
from api.access import PREFIX, admit
from api.live.stream import live_streams
from api.middleware import BodyLimit, Edge
from api.renewing import renewing
from api.routes import (
    administration,
    alerts,
    analytics,
    auth,
    broker,
    broker_statistics,
    callbacks,
    day_readiness,
    devices,
    notifications,
    operation,
    orders,
    own_security,
    paper,
    playground,
    running,
    safety,
    strategies,
    streams,
)
from api.services import Replacements, Services, open_services
from runtime.garbage import collect_seldom
from runtime.logging import configure_logging
from runtime.records import Records
from runtime.settings import Settings
from runtime.version import VERSION
from trading.ports.metrics import Metrics

DESCRIPTION = """Strategies as data: buy at a time, sell at a time, sell earlier at the stop-loss.

Times are `HH:MM:SS` Indian time, prices rupees. Every error has the shape `{"error", "message", "details"}`:
422 a field is missing or of the wrong type, 400 it is well-formed but unacceptable, 409 the state does not allow it.
Mutations accept an `Idempotency-Key`. Live streams resume with `Last-Event-ID`."""


# Order matters where a fixed word and an id share a place: the fixed words come first. They are included one by one, without a
# router around them: FastAPI matches a router within a router once more at each level, for each request.
ROUTERS: tuple[APIRouter, ...] = (
    # What is asked most is found first.
    running.reading,
    auth.router,
    broker_statistics.reading,
    own_security.router,
    broker.reading,
    broker.router,
    paper.reading,
    paper.router,
    callbacks.router,
    orders.instruments,
    running.router,
    strategies.reading,
    strategies.router,
    streams.router,
    orders.router,
    analytics.router,
    day_readiness.router,
    playground.router,
    playground.reading,
    notifications.router,
    notifications.reading,
    devices.router,
    devices.reading,
    safety.router,
    safety.reading,
    alerts.router,
    alerts.reading,
    administration.router,
    administration.reading,
    operation.router,
)


def create_app(
    settings: Settings | None = None, *, replaced: Replacements | None = None, records: Records | None = None
) -> FastAPI:
    """The application. Nothing is opened before its lifespan begins; `replaced` is what tests bring along."""
    chosen = settings or Settings()
    kept = records or Records(chosen, kind="api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        brought = replaced or Replacements()
        async with (
            open_services(chosen, brought, kept) as services,
            live_streams(services),
            renewing(services, wanted=brought.watching),
        ):
            app.state.services = services
            yield

    app = FastAPI(
        title="Algo trading",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        dependencies=[Depends(admit)],
    )
    declared.document(app)
    error_handlers.install(app)
    _add_middleware(app, chosen)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    # The same three at the root, where probes and scrapers look; documented once, under the prefix.
    app.include_router(operation.router, include_in_schema=False)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the outermost."""

    def metrics() -> Metrics:
        services: Services = app.state.services
        return services.metrics

    app.add_middleware(BodyLimit)
    if settings.cors_origin_list:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origin_list),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Idempotency-Replayed"],
        )
    app.add_middleware(Edge, metrics=metrics, https=settings.public_url.startswith("https://"))


def __getattr__(name: str) -> FastAPI:
    """`app`, made when uvicorn asks for it: importing this module reads no settings and configures nothing."""
    if name != "app":
        raise AttributeError(name)
    settings = Settings()
    records = Records(settings, kind="api")
    configure_logging(settings, process="api", keep=records.book.keep_event)
    app = globals().setdefault("app", create_app(settings, records=records))
    collect_seldom()
    return app  # type: ignore[no-any-return]
