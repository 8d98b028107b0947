"""Results of a user's runs: read, priced, summed, and shown. As CSV: api/results_csv.py."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from api.errors import ApiError, ErrorCode
from api.schemas.analytics import CurvePoint, EquityCurve, GroupedBy, LatenessAnswer, Report, ResultGroup, ResultSums
from api.services import Services
from cache.connection import CacheUnavailable
from cache.prices import PriceCache
from storage.repositories import results as rows
from storage.repositories.results import Found, Wanted
from trading import charges
from trading.instruments import InstrumentId
from trading.results import RunResult, Sums, add_up, curve_of, result_of
from trading.sessions import trading_date

DEFAULT_DAYS = 30
LONGEST_DAYS = 366
# More than a user trades in a year; summing this many takes about a second of a thread.
MOST_RUNS = 20_000

KEYS: Mapping[GroupedBy, Callable[[RunResult], str]] = {
    GroupedBy.STRATEGY: lambda result: result.facts.strategy_id,
    GroupedBy.DAY: lambda result: result.facts.trading_day.isoformat(),
    GroupedBy.MONTH: lambda result: result.facts.trading_day.isoformat()[:7],
    GroupedBy.ACCOUNT: lambda result: result.facts.account_id,
    GroupedBy.SYMBOL: lambda result: f"{result.facts.exchange}:{result.facts.symbol}",
}


@dataclass(frozen=True, slots=True)
class Results:
    runs: Sequence[RunResult]
    strategy_names: Mapping[str, str]
    account_names: Mapping[str, str]

    def name_of(self, by: GroupedBy, key: str) -> str:
        if by is GroupedBy.STRATEGY:
            return self.strategy_names.get(key, "")
        return self.account_names.get(key, "") if by is GroupedBy.ACCOUNT else ""


def period(services: Services, from_day: date | None, to_day: date | None) -> tuple[date, date]:
    """The last 30 days unless said otherwise. Raises ApiError INVALID_VALUE beyond a year, or the wrong way round."""
    last = to_day or trading_date(services.clock.now())
    first = from_day or max(date.min + timedelta(days=DEFAULT_DAYS), last) - timedelta(days=DEFAULT_DAYS - 1)
    if first > last or (last - first).days > LONGEST_DAYS:
        raise ApiError(ErrorCode.INVALID_VALUE, f"from_day must be at most {LONGEST_DAYS} days before to_day")
    return first, last


async def read(services: Services, wanted: Wanted) -> Results:
    """Raises ApiError INVALID_VALUE when there are more runs than can be summed at once."""
    async with services.database.transaction() as session:
        found = await rows.read(session, wanted, most=MOST_RUNS + 1)
    if len(found.runs) > MOST_RUNS:
        raise ApiError(ErrorCode.INVALID_VALUE, f"There are more than {MOST_RUNS} runs in it: ask for fewer days")
    prices = await _prices(services, found)
    return Results(await asyncio.to_thread(_reckon, found, prices), found.strategy_names, found.account_names)


async def _prices(services: Services, found: Found) -> Mapping[InstrumentId, Decimal]:
    held = {InstrumentId(run.exchange, run.symbol) for run in found.runs if not run.is_ended}
    try:
        return {instrument: hot.price for instrument, hot in (await PriceCache(services.redis).read(held)).items()}
    except CacheUnavailable:
        return {}


def _reckon(found: Found, prices: Mapping[InstrumentId, Decimal]) -> list[RunResult]:
    return [result_of(replace(run, last_price=prices.get(InstrumentId(run.exchange, run.symbol)))) for run in found.runs]


def grouped(results: Results, by: GroupedBy) -> list[tuple[str, Sums]]:
    """In the order of their keys."""
    groups: dict[str, list[RunResult]] = {}
    for result in results.runs:
        groups.setdefault(KEYS[by](result), []).append(result)
    return [(key, add_up(groups[key])) for key in sorted(groups)]


def report_answer(results: Results, wanted: Wanted, by: GroupedBy) -> Report:
    return Report(
        from_day=wanted.from_day,
        to_day=wanted.to_day,
        by=by,
        environment=wanted.environment,
        total=ResultSums(**_shown(add_up(results.runs))),
        groups=[ResultGroup(**_shown(sums), key=key, name=results.name_of(by, key)) for key, sums in grouped(results, by)],
        charges_checked_on=charges.CHECKED_ON,
        charges_sources=list(charges.SOURCES),
    )


def figures(sums: Sums) -> dict[str, int | Decimal | None]:
    """What a group comes to, by the names that answers and files share, in the order of a file's columns."""
    return {
        "runs": sums.runs,
        "open_runs": sums.open_runs,
        "traded_runs": sums.traded_runs,
        "winning_runs": sums.winning_runs,
        "losing_runs": sums.losing_runs,
        "win_rate": None if sums.win_rate is None else round(sums.win_rate, 4),
        "bought_value": sums.bought_value,
        "sold_value": sums.sold_value,
        "realised_pnl": sums.realised,
        "unsold_cost": sums.unsold_cost,
        "open_pnl": sums.open_pnl,
        "estimated_charges": sums.charges,
        "net_pnl": sums.net,
        "slippage": sums.slippage,
        "slippage_runs": sums.slippage_runs,
        "unreconciled_runs": sums.unreconciled_runs,
        "uncharged_runs": sums.uncharged_runs,
        "unpriced_runs": sums.unpriced_runs,
    }


def _shown(sums: Sums) -> dict[str, object]:
    late = sums.lateness
    return {
        **figures(sums),
        "win_rate": None if sums.win_rate is None else round(float(sums.win_rate), 4),
        "lateness": LatenessAnswer(orders=late.orders, median_ms=late.median_ms, p95_ms=late.p95_ms, worst_ms=late.worst_ms),
        "end_reasons": {reason.value: count for reason, count in sums.end_reasons},
    }


def curve_answer(results: Results, wanted: Wanted) -> EquityCurve:
    curve = curve_of(results.runs)
    return EquityCurve(
        from_day=wanted.from_day,
        to_day=wanted.to_day,
        is_net=curve.is_net,
        worst_drawdown=curve.worst_drawdown,
        points=[
            CurvePoint(
                trading_day=point.trading_day, runs=point.runs, result=point.result, equity=point.equity, drawdown=point.drawdown
            )
            for point in curve.points
        ],
    )
