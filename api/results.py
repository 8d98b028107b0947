"""Results of a user's runs: read, priced, summed, and shown. As CSV: api/results_csv.py."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from api.errors import ApiError, ErrorCode
from api.schemas.analytics import ChargeRates, CurvePoint, EquityCurve, GroupedBy, LatenessAnswer, Report, ResultGroup, ResultSums
from api.schemas.trading import Pnl, PnlOfDay, Summary
from api.services import Services
from cache.connection import CacheUnavailable
from cache.prices import PriceCache
from storage.repositories import results as rows
from storage.repositories.results import Found, Wanted
from trading import charges
from trading.instruments import InstrumentId
from trading.results import RunResult, Sums, add_up, curve_of, result_of
from trading.runs import EndReason
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
    return await _read(services, wanted, most=MOST_RUNS)


async def read_all(services: Services, *, user_id: str) -> list[RunResult]:
    """Every run the user has ever had, a year at a time."""
    async with services.database.transaction() as session:
        years = await rows.years(session, user_id=user_id)
    found: list[RunResult] = []
    for year in years:
        found += (await _read(services, Wanted(user_id, date(year, 1, 1), date(year, 12, 31)), most=None)).runs
    return found


async def _read(services: Services, wanted: Wanted, *, most: int | None) -> Results:
    async with services.database.transaction() as session:
        found = await rows.read(session, wanted, most=None if most is None else most + 1)
    if most is not None and len(found.runs) > most:
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
        charges_sources=list(charges.sources()),
        charges_rates=[
            ChargeRates(broker=broker, source=rates.source, speaks_of=rates.speaks_of, unconfirmed=rates.unconfirmed)
            for broker, rates in charges.RATES.items()
        ],
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


def summary_answer(runs: Sequence[RunResult], *, strategies: int, today: date) -> Summary:
    """Money over runs that have ended; what is still open may yet turn."""
    ended = [result for result in runs if result.facts.is_ended]
    sums, todays = add_up(ended), add_up([result for result in ended if result.facts.trading_day == today])
    reasons = {reason.value: count for reason, count in sums.end_reasons}
    return Summary(
        strategies=strategies,
        open_runs=len(runs) - len(ended),
        ended_runs=len(ended),
        traded_runs=sums.traded_runs,
        winning_runs=sums.winning_runs,
        losing_runs=sums.losing_runs,
        win_rate=None if sums.win_rate is None else round(float(sums.win_rate), 4),
        realised_pnl=sums.realised,
        realised_pnl_today=todays.realised,
        estimated_charges=sums.charges,
        net_pnl=sums.net,
        net_pnl_today=todays.net,
        unreconciled_runs=sums.unreconciled_runs,
        stopped_by_stop_loss=reasons.get(EndReason.STOP_LOSS.value, 0),
        end_reasons=dict(sorted(reasons.items())),
    )


def pnl_answer(results: Results, wanted: Wanted) -> Pnl:
    """Days on which a run that has ended bought something."""
    ended = [result for result in results.runs if result.facts.is_ended and result.is_traded]
    cumulative = Decimal(0)
    days = []
    for key, sums in grouped(replace(results, runs=ended), GroupedBy.DAY):
        cumulative += sums.realised
        days.append(
            PnlOfDay(
                trading_day=date.fromisoformat(key),
                runs=sums.runs,
                realised_pnl=sums.realised,
                cumulative_pnl=cumulative,
                estimated_charges=sums.charges,
                net_pnl=sums.net,
            )
        )
    total = add_up(ended)
    return Pnl(
        from_day=wanted.from_day,
        to_day=wanted.to_day,
        realised_pnl=total.realised,
        estimated_charges=total.charges,
        net_pnl=total.net,
        days=days,
    )


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
