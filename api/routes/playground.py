"""The playground: prices brought along, one plan over one day, plans over many days. Nothing here is ever traded."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from api import playing, price_files, price_history
from api.declared import BODY, BROKER_CALL, IDEMPOTENT, SIGNED_IN, Responses, errors
from api.deps import CurrentCaller, DataId, Platform, ResultId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, Limit, read_id_cursor, read_number_cursor
from api.playground_answers import csv_header, csv_lines, data_answer, day_answer, full_answer, result_answer
from api.routes.strategies import PLAN_PROBLEMS
from api.routes.tags import PLAYGROUND
from api.schemas.broker import Deleted
from api.schemas.common import Exchange, Page, Symbol, storable
from api.schemas.playground import (
    DISCLAIMER,
    Accepted,
    Backtest,
    DataAnswer,
    DayResult,
    FetchPrices,
    FullResult,
    ResultAnswer,
    Simulate,
)
from api.services import Services
from storage.models import JobKind, JobState, PlaygroundData, PlaygroundJob
from storage.repositories import playground
from trading.instruments import InstrumentId

router = APIRouter(prefix="/playground", tags=[PLAYGROUND], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/playground", tags=[PLAYGROUND])

EXPORT_PAGE = 1_000
_STARTS = (
    PLAN_PROBLEMS,
    ErrorCode.STRATEGY_NOT_FOUND,
    ErrorCode.PLAYGROUND_DATA_NOT_FOUND,
    ErrorCode.TOO_MANY_COMBINATIONS,
    ErrorCode.PLAYGROUND_BUSY,
    ErrorCode.PLAYGROUND_FULL,
    ErrorCode.TEMPORAL_UNAVAILABLE,
)
_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "time,open,high,low,close\n2026-11-20 09:15:00,100,101,99.5,100.5\n",
            },
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_CSV: Responses = {
    200: {"description": "Comma-separated values", "content": {"text/csv": {"example": "number,symbol,trading_day,...\r\n"}}}
}


@router.post(
    "/simulate",
    status_code=202,
    operation_id="simulate",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, *_STARTS, ErrorCode.NO_SUCH_DAY),
)
async def simulate(body: Simulate, caller: CurrentCaller, platform: Platform) -> Accepted:
    """One plan over one day, order by order: the platform's own decisions at the simulator's own exchange, in memory and in the
    day's time; shown at the chosen speed. Ask `/playground/results/{result_id}` for what has happened so far."""
    return _accepted(await playing.start_simulation(platform, caller, body))


@router.post("/backtest", status_code=202, operation_id="backtest", responses=errors(SIGNED_IN, BODY, IDEMPOTENT, *_STARTS))
async def backtest(body: Backtest, caller: CurrentCaller, platform: Platform) -> Accepted:
    """Plans, or every combination of a sweep, over many days of prices. Hypothetical, and each answer says so."""
    return _accepted(await playing.start_backtest(platform, caller, body))


@reading.get("/results", operation_id="listPlaygroundResults", responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR))
async def list_results(
    caller: CurrentCaller, platform: Platform, kind: JobKind | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[ResultAnswer]:
    """The user's simulations and backtests, newest first."""
    before = read_id_cursor(cursor, prefix=PlaygroundJob.id_prefix)
    async with platform.database.transaction() as session:
        rows = await playground.job_page(session, user_id=caller.user_id, kind=kind, before=before, limit=limit + 1)
    shown, now = rows[:limit], platform.clock.now()
    return Page(items=[result_answer(job, now) for job in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@reading.get(
    "/results/{result_id}",
    operation_id="getPlaygroundResult",
    responses=errors(SIGNED_IN, ErrorCode.PLAYGROUND_RESULT_NOT_FOUND),
)
async def get_result(result_id: ResultId, caller: CurrentCaller, platform: Platform) -> FullResult:
    """How far it is, what came of it, and why not to believe it too easily."""
    return full_answer(await _job(platform, caller.user_id, result_id), platform.clock.now())


@reading.get(
    "/results/{result_id}/days",
    operation_id="listPlaygroundDays",
    responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR, ErrorCode.PLAYGROUND_RESULT_NOT_FOUND),
)
async def list_days(
    result_id: ResultId,
    caller: CurrentCaller,
    platform: Platform,
    number: Annotated[int | None, Query(ge=0, le=10_000, description="Only this plan")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DayResult]:
    """What came of each plan on each day of a backtest, in the order of days."""
    after = read_number_cursor(cursor)
    await _job(platform, caller.user_id, result_id)
    async with platform.database.transaction() as session:
        rows = await playground.day_page(
            session, job_id=result_id, user_id=caller.user_id, variant=number, after=after, limit=limit + 1
        )
    shown = rows[:limit]
    following = str(shown[-1].sequence) if len(rows) > limit else None
    return Page(items=[day_answer(day) for day in shown], next_cursor=following)


@reading.get(
    "/results/{result_id}/days.csv",
    operation_id="exportPlaygroundDays",
    response_class=StreamingResponse,
    responses={**errors(SIGNED_IN, ErrorCode.PLAYGROUND_RESULT_NOT_FOUND), **_CSV},
)
async def export_days(result_id: ResultId, caller: CurrentCaller, platform: Platform) -> StreamingResponse:
    """The same as CSV, all of it. Texts that a spreadsheet would take for formulas are made harmless."""
    job = await _job(platform, caller.user_id, result_id)
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.csv"', "X-Disclaimer": DISCLAIMER}
    return StreamingResponse(_export(platform, job), media_type="text/csv", headers=headers)


@router.post(
    "/results/{result_id}/cancel",
    operation_id="cancelPlayground",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.PLAYGROUND_RESULT_NOT_FOUND, ErrorCode.RESULT_OVER),
)
async def cancel(result_id: ResultId, caller: CurrentCaller, platform: Platform) -> ResultAnswer:
    """Reckon and show no further. What was reckoned stays. Works while Temporal is away."""
    now = platform.clock.now()
    await _job(platform, caller.user_id, result_id)
    async with platform.database.transaction() as session:
        if not await playground.end(session, job_id=result_id, state=JobState.CANCELLED, failure="", now=now):
            raise ApiError(ErrorCode.RESULT_OVER)
    await playing.tell_cancelled(platform, result_id)
    return result_answer(await _job(platform, caller.user_id, result_id), now)


@router.delete(
    "/results/{result_id}",
    operation_id="deletePlaygroundResult",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.PLAYGROUND_RESULT_NOT_FOUND, ErrorCode.RESULT_NOT_OVER),
)
async def delete_result(result_id: ResultId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """Gone with all its days. Refused while it is not over."""
    await _job(platform, caller.user_id, result_id)
    async with platform.database.transaction() as session:
        if not await playground.delete_job(session, job_id=result_id, user_id=caller.user_id):
            raise ApiError(ErrorCode.RESULT_NOT_OVER)
    return Deleted(id=result_id)


# --- prices -----------------------------------------------------------------------------------------------------------


@router.post(
    "/data",
    status_code=201,
    operation_id="uploadPrices",
    openapi_extra=_FILE,
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.BAD_DATA_FILE, ErrorCode.PLAYGROUND_FULL),
)
async def upload(
    request: Request,
    caller: CurrentCaller,
    platform: Platform,
    symbol: Annotated[Symbol, Query(pattern=r"^[A-Za-z0-9 &._-]+$")],
    exchange: Annotated[Exchange, Query(pattern=r"^[A-Za-z]+$")] = "NSE",
    name: Annotated[str, Query(max_length=120)] = "",
    bar_seconds: Annotated[int | None, Query(ge=1, le=3_600, description="Left out: found from the rows")] = None,
    stamp: Annotated[str, Query(pattern="^(start|end)$", description="Whether a bar's time is its start or its end")] = "start",
) -> DataAnswer:
    """A CSV or Parquet file as the body: bars (`time,open,high,low,close`) or ticks (`time,price`), at most 16 MiB and 500,000
    rows. Times without an offset are Indian. What is wrong with a file is told line by line."""
    storable(name)
    wanted = {"kind": "read", "bar_seconds": bar_seconds, "stamp": stamp}
    file = price_files.PriceFile(exchange, symbol, name)
    return data_answer(await price_files.keep(platform, caller, file, wanted, read=request.body))


@router.post(
    "/data/from-broker",
    status_code=201,
    operation_id="fetchPrices",
    responses=errors(
        SIGNED_IN,
        BODY,
        IDEMPOTENT,
        BROKER_CALL,
        ErrorCode.BROKER_NOT_FOUND,
        ErrorCode.BROKER_NOT_CONNECTED,
        ErrorCode.HISTORY_NOT_KEPT,
        ErrorCode.NO_SUCH_DAY,
        ErrorCode.BAD_DATA_FILE,
        ErrorCode.PLAYGROUND_FULL,
    ),
)
async def fetch(body: FetchPrices, caller: CurrentCaller, platform: Platform) -> DataAnswer:
    """Minute bars of at most thirty days from one of the user's own broker accounts, kept like a file that was uploaded. Brokers
    sell history as a plan of its own: an account without it is refused in the broker's words."""
    instrument = InstrumentId(body.exchange, body.symbol)
    content = partial(price_history.fetch, platform, caller, body.broker_id, instrument, first=body.from_day, last=body.to_day)
    file = price_files.PriceFile(body.exchange, body.symbol, body.name)
    return data_answer(
        await price_files.keep(platform, caller, file, {"kind": "read", "bar_seconds": 60, "stamp": "start"}, read=content)
    )


@reading.get("/data", operation_id="listPrices", responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR))
async def list_data(caller: CurrentCaller, platform: Platform, limit: Limit = 50, cursor: Cursor = None) -> Page[DataAnswer]:
    """The user's files of prices, newest first."""
    before = read_id_cursor(cursor, prefix=PlaygroundData.id_prefix)
    async with platform.database.transaction() as session:
        rows = await playground.data_page(session, user_id=caller.user_id, before=before, limit=limit + 1)
    shown = rows[:limit]
    return Page(items=[data_answer(data) for data in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@router.delete(
    "/data/{data_id}",
    operation_id="deletePrices",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.PLAYGROUND_DATA_NOT_FOUND),
)
async def delete_data(data_id: DataId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """Gone for good; results that were reckoned from them stay."""
    async with platform.database.transaction() as session:
        if not await playground.delete_data(session, data_id=data_id, user_id=caller.user_id):
            raise ApiError(ErrorCode.PLAYGROUND_DATA_NOT_FOUND)
    return Deleted(id=data_id)


# --- small parts --------------------------------------------------------------------------------------------------------


def _accepted(job: PlaygroundJob) -> Accepted:
    return Accepted(result_id=job.id, status=job.state, total=job.total)


async def _job(platform: Services, user_id: str, result_id: str) -> PlaygroundJob:
    async with platform.database.transaction() as session:
        job = await playground.find_job(session, job_id=result_id, user_id=user_id)
    if job is None:
        raise ApiError(ErrorCode.PLAYGROUND_RESULT_NOT_FOUND)
    return job


async def _export(platform: Services, job: PlaygroundJob) -> AsyncIterator[str]:
    yield csv_header()
    after: int | None = None
    while True:
        async with platform.database.transaction() as session:
            days = await playground.day_page(
                session, job_id=job.id, user_id=job.user_id, variant=None, after=after, limit=EXPORT_PAGE
            )
        if not days:
            return
        yield csv_lines(job, days)
        after = days[-1].sequence
