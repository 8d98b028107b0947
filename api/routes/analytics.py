"""Results: sums over runs that have ended, reports by group with estimated charges, the equity curve, and all of it as CSV."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api import results, results_csv
from api.declared import BODY, SIGNED_IN, Responses, errors
from api.deps import CurrentCaller, Platform
from api.paging import FilterText
from api.routes.tags import ANALYTICS
from api.schemas.analytics import EquityCurve, GroupedBy, Report
from api.schemas.common import Day
from api.schemas.trading import Pnl, Summary
from storage.repositories import results as rows
from storage.repositories.results import Wanted
from trading.accounts import Environment
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
    async with platform.database.transaction() as session:
        strategies = await rows.strategy_count(session, user_id=caller.user_id)
    runs = await results.read_all(platform, user_id=caller.user_id)
    return results.summary_answer(runs, strategies=strategies, today=trading_date(platform.clock.now()))


@router.get("/pnl", operation_id="getPnl", responses=errors(SIGNED_IN, BODY))
async def pnl(caller: CurrentCaller, platform: Platform, from_day: Day | None = None, to_day: Day | None = None) -> Pnl:
    """Profit and loss by trading day; the last 30 days unless said otherwise, at most a year."""
    first, last = results.period(platform, from_day, to_day)
    wanted = Wanted(caller.user_id, first, last)
    return results.pnl_answer(await results.read(platform, wanted), wanted)


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
