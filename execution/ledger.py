"""The ledger: sees when somebody else has sold a run's shares, and takes them off the run before it sells what is not there.

A difference must be explained by foreign trades and be seen twice, a settle time apart. While an order of ours in that instrument
is in doubt nothing is concluded: its trades would look foreign. Of a delivery product shares of earlier days are sold first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, raise_alarm
from execution.day_rows import AccountDay, DaysRows
from execution.delivered import Delivered
from execution.follow import Followed, cover
from execution.position_rows import read_ledger_row, store_ledger_row
from execution.rows import lock_run
from execution.seen_twice import SeenTwice
from execution.timeline import tell
from execution.views import holding_of
from storage.database import Database
from storage.models import Run
from trading.instruments import Product
from trading.ledger import LedgerKey, OpenRun, baseline_of, missing_shares, net_of, taken_from
from trading.orders import IN_DOUBT_STATES, BookSnapshot, BrokerTrade
from trading.ports.broker import Broker
from trading.reconciliation import OwnRun
from trading.runs import RunState
from trading.sessions import trading_date

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Account:
    """What our rows say of one account: runs with shares by key (oldest first), our broker order ids, keys with an order in
    doubt."""

    runs: dict[LedgerKey, list[OwnRun]]
    own_orders: frozenset[str]
    in_doubt: frozenset[LedgerKey]


class Ledger:
    """The ledger of one account. Remembers a difference between looks, so that only one seen twice counts."""

    def __init__(self, account_id: str, *, database: Database, days: DaysRows, settle: timedelta) -> None:
        self._account_id = account_id
        self._database = database
        self._days = days
        # Shares that are missing, and what was there before the day's trades.
        self._missing_seen = SeenTwice[LedgerKey](settle)
        self._baseline_seen = SeenTwice[LedgerKey](settle)
        self._delivered = Delivered(account_id, database=database, settle=settle)

    @property
    def is_unsettled(self) -> bool:
        """Whether a second look, a settle time after the first, would decide something."""
        return bool(self._missing_seen) or bool(self._baseline_seen) or self._delivered.is_unsettled

    async def compare(
        self, broker: Broker, book: BookSnapshot, trades: Sequence[BrokerTrade], *, now: datetime
    ) -> list[Followed]:
        """Take off runs what foreign trades have sold. Raises what the broker's reads raise, and then concludes nothing."""
        ours = await self._ours(book, now)
        changed: list[Followed] = []
        for seen in (self._missing_seen, self._baseline_seen, self._delivered):
            seen.keep(ours.runs.keys())
        for key, runs in ours.runs.items():
            if key in ours.in_doubt:
                continue
            total = await self._missing(broker, trades, key, ours, now=now)
            already = sum(run.taken_elsewhere for run in runs)
            if total <= already:
                self._missing_seen.forget(key)
            elif self._missing_seen.sees(key, total, now):
                changed += await take_shortfall(self._database, self._account_id, key, total, now=now)
        return changed

    async def _ours(self, book: BookSnapshot, now: datetime) -> _Account:
        ours = (await self._days.read(AccountDay(self._account_id, trading_date(now)))).ours
        runs: dict[LedgerKey, list[OwnRun]] = {}
        for run in ours.runs:
            if run.open_quantity + run.taken_elsewhere > 0:
                runs.setdefault(run.key, []).append(run)
        # By tag as well: rows of a restored database do not know that they were sent.
        tags = {order.tag for order in ours.orders}
        own = [order.broker_order_id for order in ours.orders if order.broker_order_id is not None]
        own += [seen.broker_order_id for seen in book.orders if seen.tag in tags]
        in_doubt = frozenset(order.key for order in ours.orders if order.state in IN_DOUBT_STATES)
        return _Account(runs, frozenset(own), in_doubt)

    async def _missing(
        self, broker: Broker, trades: Sequence[BrokerTrade], key: LedgerKey, ours: _Account, *, now: datetime
    ) -> int:
        """How many shares of our runs foreign trades have sold today; 0 also while that cannot be told."""
        delivered: int | None = 0
        if key.product is Product.CNC:
            delivered = await self._delivered.in_the_morning(broker, trades, key, own=ours.own_orders, now=now)
        if net_of(trades, key, without=ours.own_orders) >= 0:
            self._baseline_seen.forget(key)
            return 0
        baseline = await self._baseline(broker, key, now)
        if baseline is None or delivered is None:
            return 0
        runs = ours.runs[key]
        left_open = sum(max(run.open_quantity, 0) for run in runs if not run.is_open)

        def missing(delivered: int) -> int:
            return missing_shares(trades, key, own=ours.own_orders, baseline=baseline, delivered=delivered, left_open=left_open)

        total = missing(delivered)
        if key.product is not Product.CNC or total <= sum(run.taken_elsewhere for run in runs):
            return total
        # A list that left the instrument out in the morning must not cost a run its shares.
        listed = await self._delivered.listed_now(broker, key)
        return 0 if listed is None else missing(max(delivered, listed))

    async def _baseline(self, broker: Broker, key: LedgerKey, now: datetime) -> int | None:
        """What was there before the day's trades, once it was read twice. None: not known yet."""
        known = await read_ledger_row(self._database, self._account_id, key, trading_date(now))
        if known.baseline is not None:
            return known.baseline
        before = await broker.trades()
        positions = await broker.positions()
        after = await broker.trades()
        baseline = baseline_of(positions, after, key)
        if baseline is None or {trade.trade_id for trade in before} != {trade.trade_id for trade in after}:
            return None
        if not self._baseline_seen.sees(key, baseline, now):
            return None
        await store_ledger_row(self._database, self._account_id, key, baseline=baseline, now=now)
        return baseline


async def take_shortfall(database: Database, account_id: str, key: LedgerKey, total: int, *, now: datetime) -> list[Followed]:
    """Take off the newest runs what is missing today in all, less what was taken already.

    Safe to be asked by several at once, and twice: the runs are locked, and what was taken already is counted under the lock.
    """
    todays = (
        select(Run)
        .where(
            Run.account_id == account_id,
            Run.trading_day == trading_date(now),
            Run.exchange == key.instrument.exchange,
            Run.symbol == key.instrument.symbol,
            Run.product == key.product,
            Run.bought > Run.sold,
        )
        .order_by(Run.id)
        .with_for_update()
    )
    changed = []
    async with database.transaction() as session:
        runs = sorted(await session.scalars(todays), key=lambda run: (run.created_at, run.id))
        missing = total - sum(run.taken_elsewhere for run in runs)
        open_runs = [OpenRun(run.id, holding_of(run).open_quantity) for run in runs if run.state is not RunState.ENDED]
        for run_id, quantity in taken_from(open_runs, missing).items():
            taken = await _take(session, run_id, quantity, now)
            changed += [] if taken is None else [taken]
    return changed


async def _take(session: AsyncSession, run_id: str, quantity: int, now: datetime) -> Followed | None:
    """None when an order of the run is in doubt: an exit may have left since the books were read, and may sell these shares."""
    locked = await lock_run(session, run_id)
    if locked is None:
        raise LookupError(f"run {run_id} is gone")
    run, orders = locked
    if any(order.state in IN_DOUBT_STATES for order in orders):
        return None
    run.taken_elsewhere += quantity
    message = f"{quantity} {run.symbol} of this run were sold by somebody else; they are not sold again"
    tell(session, run, "taken_elsewhere", message, quantity=quantity)
    await raise_alarm(session, _alarm(run, message))
    await session.flush()
    followed = Followed(run_id, changed=True, filled_more=True)
    cover(session, run, orders, now=now, followed=followed)
    _log.warning("shares_taken", run_id=run_id, quantity=quantity)
    return followed


def _alarm(run: Run, message: str) -> Alarm:
    # Each sale is told, and each is acknowledged by itself.
    key = f"sold-elsewhere:{run.id}:{run.taken_elsewhere}"
    return Alarm(key, "sold_elsewhere", message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)
