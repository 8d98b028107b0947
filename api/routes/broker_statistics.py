"""What a broker's staff may see: their own broker in figures. Admins see every one."""

import hashlib
import hmac
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api import series
from api.declared import BODY, SIGNED_IN, errors
from api.deps import Caller, CurrentCaller, Platform
from api.errors import ApiError, ErrorCode
from api.routes.tags import BROKER
from api.schemas.statistics import BrokerHealth, BrokerStatistics, BrokerStatisticsList, OrderStatistics, RefusalAnswer
from api.schemas.system import SeriesName
from api.services import Services
from storage.models import Role
from storage.repositories import broker_statistics, measurements
from storage.repositories.broker_statistics import BrokerFigures, OrderFigures
from trading.accounts import BrokerName
from trading.sessions import trading_date

reading = APIRouter(prefix="/broker", tags=[BROKER])

_HEALTH = (SeriesName.BROKER_CALLS, SeriesName.BROKER_ERRORS, SeriesName.BROKER_LATENCY)
Days = Annotated[int, Query(ge=1, le=366, description="Days the figures of orders look back, today included")]


@reading.get("/stats", operation_id="brokerStatistics", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN))
async def statistics(caller: CurrentCaller, platform: Platform, days: Days = 1) -> BrokerStatisticsList:
    """Figures per broker: all of them for Admins, its own for a broker's staff. Users are masked."""
    only = _own(caller)
    now = platform.clock.now()
    today = trading_date(now)
    from_day = today - timedelta(days=days - 1)
    async with platform.database.unhurried() as session:
        rows = await broker_statistics.read(session, only=only, from_day=from_day, today=today, now=now)
    return BrokerStatisticsList(items=[_answer(platform, row, from_day, today) for row in rows])


@reading.get("/stats/health", operation_id="brokerHealth", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN))
async def health(
    caller: CurrentCaller,
    platform: Platform,
    broker: Annotated[BrokerName | None, Query(description="For Admins; staff see their own")] = None,
    minutes: Annotated[int, Query(ge=1, le=14 * 24 * 60, description="How far back; two weeks are kept")] = 60,
    step_minutes: Annotated[int | None, Query(ge=1, le=24 * 60)] = None,
) -> BrokerHealth:
    """The broker's API over time: calls, those that failed, and how long they took."""
    own = _own(caller)
    if own is not None and broker not in (None, own):
        raise ApiError(ErrorCode.FORBIDDEN)
    chosen = own or broker or BrokerName.ZERODHA
    span = series.span_of(platform.clock.now(), minutes=minutes, step_minutes=step_minutes)
    found = []
    async with platform.database.unhurried() as session:
        for name in _HEALTH:
            metric = series.SOURCES[name].metric
            rows = await measurements.read(session, metric, from_at=span.from_at, to_at=span.to_at)
            found.append(series.of(name, rows, span, only={"broker": chosen.value}))
    return BrokerHealth(
        broker=chosen,
        from_at=span.from_at,
        to_at=span.to_at,
        step_seconds=int(span.step.total_seconds()),
        series=found,
    )


def _own(caller: Caller) -> BrokerName | None:
    """The broker whose staff is asking; None: an Admin, who sees all. Raises ApiError FORBIDDEN."""
    if caller.role is Role.ADMIN:
        return None
    if caller.role is not Role.BROKER or caller.broker not in {broker.value for broker in BrokerName}:
        raise ApiError(ErrorCode.FORBIDDEN)
    return BrokerName(caller.broker)


def _answer(platform: Services, row: BrokerFigures, from_day: date, today: date) -> BrokerStatistics:
    return BrokerStatistics(
        broker=row.broker,
        accounts=row.accounts,
        connected=row.connected,
        users=row.users,
        open_runs=row.open_runs,
        strategies=row.strategies,
        orders_today=row.orders_today,
        orders_rejected_today=row.orders_rejected_today,
        from_day=from_day,
        orders=_orders(row.orders),
        errors=row.errors,
        recent_refusals=[
            RefusalAnswer(at=one.at, kind=one.kind, user=_masked(platform, one.user_id, today)) for one in row.refusals
        ],
    )


def _orders(figures: OrderFigures) -> OrderStatistics:
    return OrderStatistics(
        sent=figures.sent,
        refused=figures.refused,
        in_doubt=figures.in_doubt,
        success_rate=round(1 - figures.refused / figures.sent, 4) if figures.sent else None,
        filled_quantity=figures.filled_quantity,
        filled_value=figures.filled_value,
        p50_ms=figures.p50_ms,
        p95_ms=figures.p95_ms,
        p99_ms=figures.p99_ms,
    )


def _masked(platform: Services, user_id: str, today: date) -> str:
    """Under a key, and another one each day: nobody can try all ids, or follow a user over time."""
    key = platform.settings.aes_master_keys.get_secret_value().encode()
    return "user-" + hmac.new(key, f"{today}|{user_id}".encode(), hashlib.sha256).hexdigest()[:8]
