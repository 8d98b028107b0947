"""The ledger: sees when somebody else has sold a run's shares, and takes them off the run before it sells what is not there.

A difference must be explained by foreign trades and be seen twice, a settle time apart. While an order of ours in that instrument
is in doubt nothing is concluded: its trades would look foreign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, raise_alarm
from execution.follow import Followed, cover
from execution.rows import lock_run
from execution.timeline import tell
from execution.views import holding_of
from storage.database import Database
from storage.ids import new_id
from storage.models import Order, PositionLedger, Run
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey, OpenRun, baseline_of, net_of, shortfall, taken_from
from trading.orders import IN_DOUBT_STATES, BrokerTrade
from trading.ports.broker import Broker
from trading.runs import RunState
from trading.sessions import trading_date

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Account:
    """What our rows say of one account: open runs by key (oldest first), our broker order ids, keys with an order in doubt."""

    runs: dict[LedgerKey, list[Run]]
    own_orders: frozenset[str]
    in_doubt: frozenset[LedgerKey]


class Ledger:
    """The ledger of one account. Remembers a difference between looks, so that only one seen twice counts."""

    def __init__(self, account_id: str, *, database: Database, settle: timedelta) -> None:
        self._account_id = account_id
        self._database = database
        self._settle = settle
        self._first_seen: dict[LedgerKey, tuple[int, datetime]] = {}

    async def has_positions(self) -> bool:
        async with self._database.transaction() as session:
            holding = select(Run.id).where(
                Run.account_id == self._account_id, Run.state != RunState.ENDED, Run.bought > Run.sold + Run.taken_elsewhere
            )
            return (await session.execute(holding.limit(1))).first() is not None

    async def compare(self, broker: Broker, trades: Sequence[BrokerTrade], *, now: datetime) -> list[Followed]:
        """Take off runs what foreign trades have sold. Raises what the broker's reads raise, and then concludes nothing."""
        async with self._database.transaction() as session:
            ours = await self._ours(session, now)
        changed: list[Followed] = []
        for key, runs in ours.runs.items():
            # Delivered shares may come from older holdings, which a position does not show: the broker itself guards those.
            if key in ours.in_doubt or key.product is Product.CNC:
                continue
            missing = await self._missing(broker, trades, key, ours, now)
            already = sum(run.taken_elsewhere for run in runs)
            if self._is_confirmed(key, missing - already, now):
                changed += await self._take(key, runs, missing - already, now)
        return changed

    async def _ours(self, session: AsyncSession, now: datetime) -> _Account:
        day = trading_date(now)
        holding = Run.bought > Run.sold
        query = (
            select(Run)
            .where(Run.account_id == self._account_id, Run.trading_day == day, holding)
            .order_by(Run.created_at, Run.id)
        )
        runs: dict[LedgerKey, list[Run]] = {}
        for run in await session.scalars(query):
            runs.setdefault(LedgerKey(InstrumentId(run.exchange, run.symbol), run.product), []).append(run)
        orders = list(await session.scalars(select(Order).where(Order.account_id == self._account_id, Order.trading_day == day)))
        return _Account(
            runs,
            frozenset(order.broker_order_id for order in orders if order.broker_order_id is not None),
            frozenset(
                LedgerKey(InstrumentId(order.exchange, order.symbol), order.product)
                for order in orders
                if order.state in IN_DOUBT_STATES
            ),
        )

    async def _missing(self, broker: Broker, trades: Sequence[BrokerTrade], key: LedgerKey, ours: _Account, now: datetime) -> int:
        foreign = net_of(trades, key, without=ours.own_orders)
        if foreign >= 0:
            return 0
        baseline = await self._baseline(broker, key, now)
        return 0 if baseline is None else shortfall(baseline=baseline, foreign=foreign)

    async def _baseline(self, broker: Broker, key: LedgerKey, now: datetime) -> int | None:
        """What was there before the day's trades; read once a day. None: position and trades did not show the same moment."""
        async with self._database.transaction() as session:
            known = await session.scalar(self._row(key, now))
        if known is not None and known.baseline is not None:
            return known.baseline
        before = await broker.trades()
        positions = await broker.positions()
        after = await broker.trades()
        if {trade.trade_id for trade in before} != {trade.trade_id for trade in after}:
            return None
        baseline = baseline_of(positions, after, key)
        await self._store(key, baseline, now)
        return baseline

    def _row(self, key: LedgerKey, now: datetime) -> Select[PositionLedger]:
        return select(PositionLedger).where(
            PositionLedger.account_id == self._account_id,
            PositionLedger.exchange == key.instrument.exchange,
            PositionLedger.symbol == key.instrument.symbol,
            PositionLedger.product == key.product.value,
            PositionLedger.trading_day == trading_date(now),
        )

    async def _store(self, key: LedgerKey, baseline: int, now: datetime) -> None:
        values = {
            "id": new_id(PositionLedger.id_prefix),
            "account_id": self._account_id,
            "exchange": key.instrument.exchange,
            "symbol": key.instrument.symbol,
            "product": key.product.value,
            "trading_day": trading_date(now),
            "baseline": baseline,
            "read_at": now,
        }
        async with self._database.transaction() as session:
            user_id = await session.scalar(select(func.min(Run.user_id)).where(Run.account_id == self._account_id))
            await session.execute(insert(PositionLedger).values(user_id=user_id, **values).on_conflict_do_nothing())

    def _is_confirmed(self, key: LedgerKey, missing: int, now: datetime) -> bool:
        if missing <= 0:
            self._first_seen.pop(key, None)
            return False
        seen, since = self._first_seen.setdefault(key, (missing, now))
        if seen != missing:
            self._first_seen[key] = (missing, now)
            return False
        return now - since >= self._settle

    async def _take(self, key: LedgerKey, runs: Sequence[Run], missing: int, now: datetime) -> list[Followed]:
        self._first_seen.pop(key, None)
        open_runs = [OpenRun(run.id, holding_of(run).open_quantity) for run in runs if run.state is not RunState.ENDED]
        changed = []
        for run_id, quantity in taken_from(open_runs, missing).items():
            followed = Followed(run_id, changed=True, filled_more=True)
            async with self._database.transaction() as session:
                locked = await lock_run(session, run_id)
                if locked is None:
                    continue
                run, orders = locked
                taken = min(quantity, holding_of(run).open_quantity)
                if taken <= 0:
                    continue
                run.taken_elsewhere += taken
                message = f"{taken} {run.symbol} of this run were sold by somebody else; they are not sold again"
                tell(session, run, "taken_elsewhere", message, quantity=taken)
                await raise_alarm(session, _alarm(run, message))
                await session.flush()
                cover(session, run, orders, now=now, followed=followed)
            _log.warning("shares_taken", run_id=run_id, quantity=taken)
            changed.append(followed)
        return changed


def _alarm(run: Run, message: str) -> Alarm:
    # Each sale is told, and each is acknowledged by itself.
    key = f"foreign-sale:{run.id}:{run.taken_elsewhere}"
    return Alarm(key, "reconcile_difference", message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)
