"""Results as CSV, for spreadsheets: exact decimals, empty where something is not known."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from api.results import Results, figures, grouped
from api.schemas.analytics import GroupedBy
from api.schemas.common import PAISA
from trading.charges import Charges
from trading.results import RunResult, Sums, add_up

Line = Mapping[str, object]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
RUN_COLUMNS: Sequence[str] = (
    *("trading_day", "run_id", "strategy_id", "strategy", "broker_id", "account", "environment", "exchange", "symbol", "product"),
    *("state", "end_reason", "bought", "bought_value", "sold", "sold_value", "realised_pnl", "unsold_cost", "open_pnl"),
    *("brokerage", "transaction_tax", "exchange_fee", "regulator_fee", "stamp_duty", "depository_fee", "services_tax"),
    "estimated_charges",
    *("net_pnl", "slippage", "entry_late_ms", "exit_late_ms", "reconciled", "ended_at"),
)


def runs_csv(results: Results) -> str:
    """One line per run, oldest first."""
    return _csv(RUN_COLUMNS, (_run_line(results, result) for result in results.runs))


def groups_csv(results: Results, by: GroupedBy) -> str:
    """One line per group and a last one, `total`."""
    total = _group_line("total", "", add_up(results.runs))
    lines = [_group_line(key, results.name_of(by, key), sums) for key, sums in grouped(results, by)]
    return _csv(list(total), [*lines, total])


def _run_line(results: Results, result: RunResult) -> Line:
    facts, holding = result.facts, result.holding
    return {
        "trading_day": facts.trading_day,
        "run_id": facts.run_id,
        "strategy_id": facts.strategy_id,
        "strategy": results.strategy_names.get(facts.strategy_id),
        "broker_id": facts.account_id,
        "account": results.account_names.get(facts.account_id),
        "environment": facts.environment.value,
        "exchange": facts.exchange,
        "symbol": facts.symbol,
        "product": facts.product.value,
        "state": "ended" if facts.is_ended else "open",
        "end_reason": facts.end_reason.value if facts.end_reason else None,
        "bought": holding.bought,
        "bought_value": holding.buy_value,
        "sold": holding.sold,
        "sold_value": holding.sell_value,
        "realised_pnl": result.realised,
        "unsold_cost": result.unsold_cost,
        "open_pnl": result.open_pnl,
        **_charges(result.charges),
        "net_pnl": result.net,
        "slippage": result.slippage,
        "entry_late_ms": facts.entry_late_ms,
        "exit_late_ms": facts.exit_late_ms,
        "reconciled": "yes" if result.is_reconciled else "no",
        "ended_at": facts.ended_at.isoformat() if facts.ended_at else None,
    }


def _charges(charges: Charges | None) -> Line:
    if charges is None:
        return {}
    return {
        "brokerage": charges.brokerage,
        "transaction_tax": charges.transaction_tax,
        "exchange_fee": charges.exchange,
        "regulator_fee": charges.regulator,
        "stamp_duty": charges.stamp_duty,
        "depository_fee": charges.depository,
        "services_tax": charges.services_tax,
        "estimated_charges": charges.total,
    }


def _group_line(key: str, name: str, sums: Sums) -> Line:
    return {
        "key": key,
        "name": name,
        **figures(sums),
        "median_late_ms": sums.lateness.median_ms,
        "p95_late_ms": sums.lateness.p95_ms,
        "worst_late_ms": sums.lateness.worst_ms,
    }


def _csv(columns: Sequence[str], lines: Iterable[Line]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in line.items()} for line in lines)
    return out.getvalue()


def safe_cell(value: object) -> object:
    """At least two decimals for money; a text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    if isinstance(value, Decimal):
        rounded = value.quantize(PAISA)
        return format(rounded if rounded == value else value, "f")
    return value
