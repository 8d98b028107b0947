"""What our rows say of an account's day, for a comparison with its broker: orders, runs that bought, what was there before.

In columns, and for many accounts at once: while a thousand of them hold shares, a hundred are compared every second.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from sqlalchemy import text

from execution.read_together import ReadTogether
from storage.database import Database
from storage.single import Row, SingleStatement
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import OrderState, Side
from trading.reconciliation import Ours, OwnOrder, OwnRun
from trading.runs import Holding, RunState


@dataclass(frozen=True, slots=True)
class AccountDay:
    account_id: str
    day: date


@dataclass(frozen=True, slots=True)
class DayRows:
    """`has_differences`: an alarm tells of one that an earlier comparison found."""

    ours: Ours
    has_differences: bool = False


# States are written out: only so can Postgres use an index of live orders in a plan that it keeps.
_ORDERS = SingleStatement(
    text(
        """
        SELECT account_id, id, run_id, tag, broker_order_id, exchange, symbol, product, side, state, filled_quantity,
               acknowledged_at, trading_day
        FROM orders
        WHERE account_id = ANY(CAST(:account_ids AS text[]))
          AND (trading_day = :day OR state IN ('armed', 'sending', 'unknown', 'open'))
        ORDER BY id
        """
    )
)
_RUNS = SingleStatement(
    text(
        """
        SELECT account_id, id, exchange, symbol, product, state, bought, sold, taken_elsewhere
        FROM runs
        WHERE account_id = ANY(CAST(:account_ids AS text[])) AND trading_day = :day AND bought > 0
        ORDER BY created_at, id
        """
    )
)
_BASELINES = SingleStatement(
    text(
        """
        SELECT account_id, exchange, symbol, product, baseline
        FROM position_ledger
        WHERE account_id = ANY(CAST(:account_ids AS text[])) AND trading_day = :day AND baseline IS NOT NULL
        """
    )
)
_DIFFERENCES = SingleStatement(
    text(
        """
        SELECT DISTINCT account_id FROM alerts
        WHERE account_id = ANY(CAST(:account_ids AS text[])) AND kind = 'reconcile_difference' AND cleared_at IS NULL
        """
    )
)


class DaysRows(ReadTogether[AccountDay, DayRows]):
    """By account and day."""

    def __init__(self, database: Database) -> None:
        super().__init__(partial(read_days, database))


async def read_days(database: Database, asked: Sequence[AccountDay]) -> dict[AccountDay, DayRows]:
    """Orders of that day and live ones of any, runs of that day that bought, oldest first."""
    accounts_of: defaultdict[date, list[str]] = defaultdict(list)
    for one in asked:
        accounts_of[one.day].append(one.account_id)
    found: dict[AccountDay, DayRows] = {}
    for day, account_ids in accounts_of.items():
        rows = await _read(database, account_ids, day)
        found |= {AccountDay(account_id, day): rows[account_id] for account_id in account_ids}
    return found


async def _read(database: Database, account_ids: list[str], day: date) -> Mapping[str, DayRows]:
    values = {"account_ids": account_ids, "day": day}
    orders: defaultdict[str, list[OwnOrder]] = defaultdict(list)
    for row in await database.fetch(_ORDERS, values):
        orders[row["account_id"]].append(_own_order(row, day))
    runs: defaultdict[str, list[OwnRun]] = defaultdict(list)
    for row in await database.fetch(_RUNS, values):
        runs[row["account_id"]].append(_own_run(row))
    baselines: defaultdict[str, dict[LedgerKey, int]] = defaultdict(dict)
    for row in await database.fetch(_BASELINES, values):
        baselines[row["account_id"]][_key(row)] = row["baseline"]
    differing = {row["account_id"] for row in await database.fetch(_DIFFERENCES, {"account_ids": account_ids})}
    return {
        account_id: DayRows(
            Ours(tuple(orders[account_id]), tuple(runs[account_id]), baselines[account_id]), account_id in differing
        )
        for account_id in account_ids
    }


def _own_order(row: Row, day: date) -> OwnOrder:
    return OwnOrder(
        order_id=row["id"],
        run_id=row["run_id"],
        tag=row["tag"],
        broker_order_id=row["broker_order_id"],
        key=_key(row),
        side=Side(row["side"]),
        state=OrderState(row["state"]),
        filled_quantity=row["filled_quantity"],
        acknowledged_at=row["acknowledged_at"],
        is_todays=row["trading_day"] == day,
    )


def _own_run(row: Row) -> OwnRun:
    holding = Holding(bought=row["bought"], sold=row["sold"], taken_elsewhere=row["taken_elsewhere"])
    is_open = RunState(row["state"]) is not RunState.ENDED
    return OwnRun(row["id"], _key(row), holding.open_quantity, holding.taken_elsewhere, is_open)


def _key(row: Row) -> LedgerKey:
    return LedgerKey(InstrumentId(row["exchange"], row["symbol"]), Product(row["product"]))
