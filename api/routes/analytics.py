"""Results: sums over runs that have ended, reports by group with estimated charges, the equity curve, and all of it as CSV."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import results, results_csv
from api.declared import BODY, SIGNED_IN, Responses, errors
from api.deps import CurrentCaller, Platform
from api.paging import FilterText
from api.routes.tags import ANALYTICS
from api.schemas.analytics import EquityCurve, GroupedBy, Report
from api.schemas.common import Day
from api.schemas.trading import Pnl, PnlOfDay, Summary
from storage.repositories import order_list
from storage.repositories.order_list import DaySum
from storage.repositories.results import Wanted
from trading.accounts import Environment
from trading.runs import EndReason
from trading.sessions import trading_date

router = APIRouter(prefix="/analytics", tags=[ANALYTICS])

_CSV_EXAMPLE = "key,name,runs,...\r\n2026-11-20,,3,...\r\ntotal,,3,...\r\n"
_CSV: Responses = {200: {"description": "Comma-separated values", "content": {"text/csv": {"example": _CSV_EXAMPLE}}}}
By = Annotated[GroupedBy, Query(description="What a line is about")]


async def wanted_runs(
    caller: CurrentCaller,
    platform: Platform,
    from_day: Day | None = None,
    to_day: Day | None = None,
    strategy_id: FilterText | None = None,
    broker_id: FilterText | None = None,
    environment: Annotated[Environment | None, Query(description="Only live, or only simulated runs; left out: both")] = None,
) -> Wanted:
    """The last 30 trading days unless said otherwise, at most a year. Raises ApiError INVALID_VALUE."""
    first, last = results.period(platform, from_day, to_day)
    return Wanted(caller.user_id, first, last, strategy_id, broker_id, environment)


WantedRuns = Annotated[Wanted, Depends(wanted_runs)]


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
    first, last = results.period(platform, from_day, to_day)
    async with platform.database.transaction() as session:
        days = await order_list.pnl_by_day(session, user_id=caller.user_id, from_day=first, to_day=last)
    return Pnl(
        from_day=first, to_day=last, realised_pnl=sum((day.realised_pnl for day in days), Decimal(0)), days=_cumulated(days)
    )


@router.get("/report", operation_id="getReport", responses=errors(SIGNED_IN, BODY))
async def report(platform: Platform, wanted: WantedRuns, by: By = GroupedBy.DAY) -> Report:
    """Realised and open results, estimated charges, wins, slippage, lateness and endings, by group and in all.

    Money is summed from the fills, so that it reconciles with them to the paisa.
    """
    return results.report_answer(await results.read(platform, wanted), wanted, by)


@router.get("/equity", operation_id="getEquityCurve", responses=errors(SIGNED_IN, BODY))
async def equity(platform: Platform, wanted: WantedRuns) -> EquityCurve:
    """The sum of results day by day, and how far it fell below its highest point."""
    return results.curve_answer(await results.read(platform, wanted), wanted)


@router.get("/report.csv", operation_id="exportReport", response_class=Response, responses={**_CSV, **errors(SIGNED_IN, BODY)})
async def report_csv(platform: Platform, wanted: WantedRuns, by: By = GroupedBy.DAY) -> Response:
    """The report as CSV: a line per group, and the total."""
    return _download(results_csv.groups_csv(await results.read(platform, wanted), by), f"report-by-{by.value}")


@router.get("/runs.csv", operation_id="exportRuns", response_class=Response, responses={**_CSV, **errors(SIGNED_IN, BODY)})
async def runs_csv(platform: Platform, wanted: WantedRuns) -> Response:
    """Every run as a line of CSV, with each part of its estimated charges."""
    return _download(results_csv.runs_csv(await results.read(platform, wanted)), "runs")


def _download(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _cumulated(days: Sequence[DaySum]) -> list[PnlOfDay]:
    total = Decimal(0)
    shown = []
    for day in days:
        total += day.realised_pnl
        shown.append(PnlOfDay(trading_day=day.trading_day, runs=day.runs, realised_pnl=day.realised_pnl, cumulative_pnl=total))
    return shown
