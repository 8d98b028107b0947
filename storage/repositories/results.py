"""What a user's runs did, read from their rows and fills, ready to be summed (trading/results.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import BrokerAccount, FillRow, Order, Run, Strategy
from trading.accounts import Environment
from trading.charges import Executed
from trading.orders import Side
from trading.results import OrderFills, RunFacts
from trading.runs import RunState
from trading.sessions import trading_date


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs: always one user's own, of trading days from and to, both included."""

    user_id: str
    from_day: date
    to_day: date
    strategy_id: str | None = None
    account_id: str | None = None
    environment: Environment | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        chosen = [Run.user_id == self.user_id, Run.trading_day >= self.from_day, Run.trading_day <= self.to_day]
        if self.strategy_id is not None:
            chosen.append(Run.strategy_id == self.strategy_id)
        if self.account_id is not None:
            chosen.append(Run.account_id == self.account_id)
        if self.environment is not None:
            chosen.append(Run.environment == self.environment)
        return chosen


@dataclass(frozen=True, slots=True)
class Found:
    """Runs in the order of their days. Names are what their owner calls things, by id; they may be empty."""

    runs: Sequence[RunFacts]
    strategy_names: dict[str, str]
    account_names: dict[str, str]


async def years(session: AsyncSession, *, user_id: str) -> range:
    """From the year of the user's first run to that of the last; empty before the first."""
    span = select(func.min(Run.trading_day), func.max(Run.trading_day)).where(Run.user_id == user_id)
    first, last = (await session.execute(span)).one()
    return range(0) if first is None else range(first.year, last.year + 1)


async def strategy_count(session: AsyncSession, *, user_id: str) -> int:
    found = select(func.count()).where(Strategy.user_id == user_id, Strategy.deleted_at.is_(None))
    return (await session.scalar(found)) or 0


async def read(session: AsyncSession, wanted: Wanted, *, most: int | None) -> Found:
    """At most so many runs; one that asks for one more learns that there are too many. None: all of them."""
    listed = (
        select(Run, Strategy.name, BrokerAccount.broker, BrokerAccount.label)
        .join(Strategy, Strategy.id == Run.strategy_id)
        .join(BrokerAccount, BrokerAccount.id == Run.account_id)
        .where(*wanted.conditions())
        .order_by(Run.trading_day, Run.id)
        .limit(most)
    )
    rows = (await session.execute(listed)).all()
    orders: dict[str, list[OrderFills]] = {}
    for row in (await session.execute(_orders(wanted))).all():
        day = trading_date(row.filled_at) if row.filled_at is not None else None
        executed = Executed(row.side, int(row.quantity), Decimal(row.value), day)
        price = row.trigger_price if row.trigger_price is not None else row.reference_price
        orders.setdefault(row.run_id, []).append(OrderFills(executed, row.filled_quantity, row.average_price, price))
    return Found(
        [
            RunFacts(
                run_id=run.id,
                strategy_id=run.strategy_id,
                account_id=run.account_id,
                broker=broker,
                environment=run.environment,
                trading_day=run.trading_day,
                exchange=run.exchange,
                symbol=run.symbol,
                product=run.product,
                is_ended=run.state is RunState.ENDED,
                end_reason=run.end_reason,
                taken_elsewhere=run.taken_elsewhere,
                orders=tuple(orders.get(run.id, ())),
                entry_late_ms=run.entry_late_ms,
                exit_late_ms=run.exit_late_ms,
                ended_at=run.ended_at,
            )
            for run, _, broker, _ in rows
        ],
        {run.strategy_id: name for run, name, _, _ in rows},
        {run.account_id: label or broker.value for run, _, broker, label in rows},
    )


def _orders(wanted: Wanted) -> Select[str, Side, int, Decimal, Decimal | None, Decimal | None, int, int, datetime | None]:
    """Each order that filled anything, with the sums of its fills: a trade is stored once however often it was seen."""
    return (
        select(
            Order.run_id,
            Order.side,
            Order.filled_quantity,
            Order.average_price,
            Order.trigger_price,
            Order.reference_price,
            func.coalesce(func.sum(FillRow.quantity), 0).label("quantity"),
            func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0).label("value"),
            func.coalesce(func.max(FillRow.filled_at), Order.filled_at).label("filled_at"),
        )
        .join(Run, Run.id == Order.run_id)
        .outerjoin(FillRow, FillRow.order_id == Order.id)
        .where(*wanted.conditions(), Order.filled_quantity > 0)
        .group_by(Order.id)
        .order_by(Order.id)
    )
