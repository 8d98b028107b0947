"""Results: sums over runs that have ended, before the broker's charges."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from fastapi import APIRouter

from api.declared import BODY, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform
from api.errors import ApiError, ErrorCode
from api.routes.tags import ANALYTICS
from api.schemas.common import Day
from api.schemas.trading import Pnl, PnlOfDay, Summary
from storage.repositories import order_list
from storage.repositories.order_list import DaySum
from trading.runs import EndReason
from trading.sessions import trading_date

router = APIRouter(prefix="/analytics", tags=[ANALYTICS])

DEFAULT_DAYS = 30
LONGEST_DAYS = 366


@router.get("/summary", operation_id="getSummary", responses=errors(SIGNED_IN))
async def summary(caller: CurrentCaller, platform: Platform) -> Summary:
    """How the user's strategies have done so far."""
    today = trading_date(platform.clock.now())
    async with platform.database.transaction() as session:
        totals = await order_list.totals(session, user_id=caller.user_id, today=today)
    return Summary(
        strategies=totals.strategies,
        open_runs=totals.open_runs,
        ended_runs=totals.ended_runs,
        traded_runs=totals.traded_runs,
        winning_runs=totals.winning_runs,
        losing_runs=totals.losing_runs,
        win_rate=round(totals.winning_runs / totals.traded_runs, 4) if totals.traded_runs else None,
        realised_pnl=totals.realised_pnl,
        realised_pnl_today=totals.realised_pnl_today,
        stopped_by_stop_loss=totals.end_reasons.get(EndReason.STOP_LOSS, 0),
        end_reasons={reason.value: count for reason, count in sorted(totals.end_reasons.items())},
    )


@router.get("/pnl", operation_id="getPnl", responses=errors(SIGNED_IN, BODY))
async def pnl(caller: CurrentCaller, platform: Platform, from_day: Day | None = None, to_day: Day | None = None) -> Pnl:
    """Realised profit and loss by trading day; the last 30 days unless said otherwise, at most a year."""
    last = to_day or trading_date(platform.clock.now())
    first = from_day or max(date.min + timedelta(days=DEFAULT_DAYS), last) - timedelta(days=DEFAULT_DAYS - 1)
    if first > last or (last - first).days > LONGEST_DAYS:
        raise ApiError(ErrorCode.INVALID_VALUE, f"from_day must be at most {LONGEST_DAYS} days before to_day")
    async with platform.database.transaction() as session:
        days = await order_list.pnl_by_day(session, user_id=caller.user_id, from_day=first, to_day=last)
    return Pnl(
        from_day=first, to_day=last, realised_pnl=sum((day.realised_pnl for day in days), Decimal(0)), days=_cumulated(days)
    )


def _cumulated(days: Sequence[DaySum]) -> list[PnlOfDay]:
    total = Decimal(0)
    shown = []
    for day in days:
        total += day.realised_pnl
        shown.append(PnlOfDay(trading_day=day.trading_day, runs=day.runs, realised_pnl=day.realised_pnl, cumulative_pnl=total))
    return shown
