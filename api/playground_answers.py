"""From rows of the playground to what clients see: nothing before its time, and never a figure without its cautions."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from api.playing import symbols
from api.results_csv import safe_cell
from api.schemas.playground import (
    BacktestResult,
    Caution,
    DataAnswer,
    DayResult,
    FullResult,
    PlanResult,
    ResultAnswer,
    SimulatedEvent,
    SimulationResult,
)
from storage.models import JobKind, JobState, PlaygroundData, PlaygroundDay, PlaygroundJob

FEW_DAYS = 30
_WAYS_OUT = ("target_price", "target_percent", "trailing_by", "trailing_percent")
NOT_JUDGED = ("no_data", "no_entry_price", "no_exit_price", "no_price_for_stop", "closed", "unknown_day", "does_not_fit")


def data_answer(data: PlaygroundData) -> DataAnswer:
    return DataAnswer(
        data_id=data.id,
        name=data.name,
        exchange=data.exchange,
        symbol=data.symbol,
        format="parquet" if data.format == "parquet" else "csv",
        bar_seconds=data.bar_seconds,
        rows=data.row_count,
        days=data.day_count,
        first_day=data.first_day,
        last_day=data.last_day,
        created_at=data.created_at,
    )


def result_answer(job: PlaygroundJob, now: datetime) -> ResultAnswer:
    return ResultAnswer(
        result_id=job.id,
        kind=job.kind,
        status=job.state,
        name=job.name,
        data_id=job.data_id,
        total=job.total,
        finished=job.finished,
        progress=_progress(job, now),
        failure=job.failure,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def full_answer(job: PlaygroundJob, now: datetime) -> FullResult:
    has_result = bool(job.result)
    is_backtest = job.kind is JobKind.BACKTEST
    return FullResult(
        **dict(result_answer(job, now)),
        request=job.request,
        cautions=_cautions(job),
        backtest=_backtest(job.result) if has_result and is_backtest else None,
        simulation=_simulation(job, now) if has_result and not is_backtest else None,
    )


def day_answer(day: PlaygroundDay) -> DayResult:
    return DayResult(
        sequence=day.sequence,
        number=day.variant,
        trading_day=day.trading_day,
        outcome=day.outcome,
        is_judged=day.is_judged,
        quantity=day.quantity,
        stop_loss=day.stop_loss,
        bought_at=day.bought_at,
        buy_price=day.buy_price,
        sold_at=day.sold_at,
        sell_price=day.sell_price,
        has_gap=day.has_gap,
        gross=day.gross,
        charges=day.charges,
        net=day.net,
    )


# --- progress and what may be shown ---------------------------------------------------------------------------------------


def _progress(job: PlaygroundJob, now: datetime) -> float:
    if job.state is JobState.COMPLETED:
        return 1.0
    span = _span(job)
    if job.playing_since is not None and span is not None:
        begins, ends = span
        return min(max((_shown_until(job, now, begins) - begins) / max(ends - begins, timedelta(milliseconds=1)), 0.0), 1.0)
    return min(job.finished / max(job.total, 1), 1.0)


def _span(job: PlaygroundJob) -> tuple[datetime, datetime] | None:
    begins, ends = job.result.get("starts_at"), job.result.get("ends_at")
    return None if begins is None or ends is None else (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


def _shown_until(job: PlaygroundJob, now: datetime, begins: datetime) -> datetime:
    """The moment of the simulated day that is shown; after a cancellation the one at which it was cancelled."""
    if job.playing_since is None:
        return begins
    return begins + ((job.ended_at or now) - job.playing_since) * float(job.request["speed"])


def _simulation(job: PlaygroundJob, now: datetime) -> SimulationResult:
    span = _span(job)
    until = None if span is None else _shown_until(job, now, span[0])
    is_whole = job.state is JobState.COMPLETED or span is None or (until is not None and until >= span[1])
    events = [_event(event) for event in job.result["events"]]
    shown = events if is_whole or until is None else [event for event in events if event.at <= until]
    result = job.result
    gross = result.get("gross")
    return SimulationResult(
        day=date.fromisoformat(job.request["day"]),
        outcome=result["outcome"] if is_whole else None,
        detail=result.get("detail", "") if is_whole else "",
        bought=result.get("bought") if is_whole else None,
        sold=result.get("sold") if is_whole else None,
        gross=Decimal(gross) if is_whole and gross is not None else None,
        shown_until=span[1] if is_whole and span else until,
        events=shown,
    )


def _event(event: dict[str, Any]) -> SimulatedEvent:
    price = event["price"]
    return SimulatedEvent(
        at=datetime.fromisoformat(event["at"]),
        kind=event["kind"],
        message=event["message"],
        price=None if price is None else Decimal(price),
        quantity=event["quantity"],
    )


def _backtest(result: dict[str, Any]) -> BacktestResult:
    plans = [_plan(rank, plan) for rank, plan in enumerate(result["plans"], start=1)]
    return BacktestResult(
        days=result["days"],
        first_day=result["first_day"],
        last_day=result["last_day"],
        held_back_from=result["held_back_from"],
        has_charges=result["has_charges"],
        plans=plans,
    )


def _plan(rank: int, plan: dict[str, Any]) -> PlanResult:
    # Results of before there were targets and trails do not name them.
    return PlanResult.model_validate({**dict.fromkeys(_WAYS_OUT), **plan, "rank": rank})


# --- cautions -----------------------------------------------------------------------------------------------------------


def _cautions(job: PlaygroundJob) -> list[Caution]:
    plans = job.result.get("plans", [])
    instrument = job.request["instrument"]["symbol"]
    others = [symbol for symbol in symbols(job.request) if symbol != instrument]
    found = [
        (job.data_id is None, "MADE_UP_PRICES", "The prices are made up by a random walk: no profit in them means anything"),
        (bool(others), "OTHER_SYMBOL", f"The prices are of {instrument}, the plans are for {', '.join(others)}"),
        (
            not job.request["is_listed"],
            "NOT_LISTED",
            f"{instrument} is not listed here: taken for a share with a tick of {job.request['instrument']['tick_size']}",
        ),
    ]
    if job.kind is JobKind.BACKTEST and job.result:
        tried, days = len(plans), job.result["days"]
        not_judged = sum(count for plan in plans for why, count in plan["outcomes"].items() if why in NOT_JUDGED)
        gaps = sum(plan["days_with_gaps"] for plan in plans)
        found += [
            (
                tried > 1,
                "MANY_COMBINATIONS",
                f"{tried} plans were tried: the best of many looks good by chance alone. Look at the days that were held back",
            ),
            (days < FEW_DAYS, "FEW_DAYS", f"{days} days are too few to tell skill from luck"),
            (not_judged > 0, "DAYS_NOT_JUDGED", f"{not_judged} plan-days say nothing and are in no sum; `outcomes` says why"),
            (gaps > 0, "GAPS_WHILE_HOLDING", f"On {gaps} plan-days prices are missing while shares were held"),
            (not job.result["has_charges"], "NO_CHARGES", "Nothing was taken off for brokerage, taxes and fees"),
        ]
    elif job.kind is JobKind.SIMULATE:
        found.append((True, "NO_CHARGES", "Nothing was taken off for brokerage, taxes and fees"))
    return [Caution.model_validate({"code": code, "message": message}) for applies, code, message in found if applies]


# --- CSV ----------------------------------------------------------------------------------------------------------------

COLUMNS: Sequence[str] = (
    *("number", "symbol", "trading_day", "outcome", "is_judged", "quantity", "stop_loss", "bought_at", "buy_price"),
    *("sold_at", "sell_price", "has_gap", "gross", "charges", "net", "note"),
)


def csv_header() -> str:
    return _line(COLUMNS)


def csv_lines(job: PlaygroundJob, days: Iterable[PlaygroundDay]) -> str:
    """Exact decimals; every line says what it is, because lines are copied without their surroundings."""
    names = {variant["number"]: variant["symbol"] for variant in job.request["variants"]}
    return "".join(_line(_cells(day, names[day.variant])) for day in days)


def _cells(day: PlaygroundDay, symbol: str) -> list[object]:
    instants = [None if moment is None else moment.isoformat() for moment in (day.bought_at, day.sold_at)]
    return [
        *(
            day.variant,
            symbol,
            day.trading_day,
            day.outcome,
            day.is_judged,
            day.quantity,
            day.stop_loss,
            instants[0],
            day.buy_price,
        ),
        *(instants[1], day.sell_price, day.has_gap, day.gross, day.charges, day.net, "hypothetical"),
    ]


def _line(cells: Iterable[object]) -> str:
    into = io.StringIO()
    csv.writer(into).writerow([safe_cell(cell) for cell in cells])
    return into.getvalue()
