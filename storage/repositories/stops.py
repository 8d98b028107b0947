"""What the listener reads: the open runs with the exits that cover them, and the accounts that could carry the feed."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, bindparam, case, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import BrokerAccount, Order, Run, Setting
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.orders import Leg, OrderState
from trading.runs import ExitReason, RunState
from trading.trailing import Trail, trail_of

# Rows per statement: a millisecond or two of work (two hundred took up to 14), and ticks are taken between them.
PAGE_SIZE = 50
_OVER = frozenset({OrderState.FILLED, OrderState.SUPERSEDED, OrderState.HANDED_OVER})
_FEED_ACCOUNT = "feed_account"


@dataclass(frozen=True, slots=True)
class ExitRow:
    """The newest exit of a run. `armed_at`: when its stop was set. Prices in rupees, instants aware."""

    state: OrderState
    quantity: int
    stop_price: Decimal | None
    stop_version: int
    armed_at: datetime
    reason: ExitReason | None
    trigger_price: Decimal | None
    wanted_at: datetime | None
    target_price: Decimal | None = None
    backup_trigger: Decimal | None = None

    @property
    def is_watched(self) -> bool:
        """Armed; or resting at the broker as a backup, or dead as one, and nobody has wanted it as the exit yet."""
        is_backup = self.backup_trigger is not None and self.reason is None and self.state not in _OVER
        return (self.state is OrderState.ARMED or is_backup) and self.quantity > 0 and self.stop_price is not None


@dataclass(frozen=True, slots=True)
class OpenRun:
    run_id: str
    workflow_id: str
    account_id: str
    broker: BrokerName
    instrument: InstrumentId
    state: RunState
    trading_day: date
    exit: ExitRow | None
    trail: Trail | None = None
    highest_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FeedAccount:
    """An account with a token that has not expired. `is_chosen`: an admin wants the feed from it."""

    account_id: str
    broker: BrokerName
    session_version: int
    is_chosen: bool


def _open_runs() -> Select[Any]:
    newest_exit = (
        select(
            Order.state,
            Order.quantity,
            Order.stop_price,
            Order.stop_version,
            Order.created_at,
            Order.updated_at,
            Order.reason,
            Order.trigger_price,
            Order.wanted_at,
            Order.target_price,
            Order.backup_trigger,
        )
        .where(Order.run_id == Run.id, Order.leg == Leg.EXIT)
        .order_by(Order.attempt.desc())
        .limit(1)
        .lateral("newest_exit")
    )
    held = newest_exit.c
    return (
        select(
            Run.id,
            Run.workflow_id,
            Run.account_id,
            BrokerAccount.broker,
            Run.exchange,
            Run.symbol,
            Run.state,
            Run.trading_day,
            held.state.label("exit_state"),
            held.quantity,
            held.stop_price,
            held.stop_version,
            held.created_at,
            held.updated_at,
            held.reason,
            held.trigger_price,
            held.wanted_at,
            held.target_price,
            held.backup_trigger,
            Run.trailing_by,
            Run.trailing_percent,
            Run.highest_price,
        )
        .join(BrokerAccount, BrokerAccount.id == Run.account_id)
        .outerjoin(newest_exit, true())
        .where(
            Run.state != RunState.ENDED,
            Run.deleted_at.is_(None),
            Run.id > bindparam("after"),
            or_(
                (Run.state != RunState.SCHEDULED) & (Run.trading_day <= bindparam("today")),
                Run.buy_at <= bindparam("soon"),
                held.state.is_not(None),
            ),
        )
        .order_by(Run.id)
        .limit(PAGE_SIZE)
    )


# Built once: it is read every few seconds, and building it takes longer than running it.
_OPEN_RUNS = _open_runs()


async def open_runs_page(session: AsyncSession, *, after: str, today: date, soon: datetime) -> list[OpenRun]:
    """Runs of today that have begun to buy, or that buy before `soon`, or that hold something, by id; pass on the last id until a
    page is short."""
    rows = await session.execute(_OPEN_RUNS, {"after": after, "today": today, "soon": soon})
    return [_open_run(row) for row in rows.all()]


async def waiting_instruments(session: AsyncSession, *, today: date) -> list[tuple[BrokerName, InstrumentId]]:
    """What today's runs will buy later, each once: people who wait look at prices."""
    statement = (
        select(BrokerAccount.broker, Run.exchange, Run.symbol)
        .join(BrokerAccount, BrokerAccount.id == Run.account_id)
        .where(Run.state == RunState.SCHEDULED, Run.trading_day <= today, Run.deleted_at.is_(None))
        .distinct()
        .order_by(Run.exchange, Run.symbol)
    )
    rows = await session.execute(statement)
    return [(broker, InstrumentId(exchange, symbol)) for broker, exchange, symbol in rows]


def _open_run(row: Row[Any]) -> OpenRun:
    return OpenRun(
        run_id=row.id,
        workflow_id=row.workflow_id,
        account_id=row.account_id,
        broker=row.broker,
        instrument=InstrumentId(row.exchange, row.symbol),
        state=row.state,
        trading_day=row.trading_day,
        exit=_exit(row) if row.exit_state is not None else None,
        trail=trail_of(row.trailing_by, row.trailing_percent),
        highest_price=row.highest_price,
    )


def _exit(row: Row[Any]) -> ExitRow:
    return ExitRow(
        state=row.exit_state,
        quantity=row.quantity,
        stop_price=row.stop_price,
        stop_version=row.stop_version,
        # The first version is set when the row is made, a later one by a change of it.
        armed_at=row.created_at if row.stop_version == 1 else row.updated_at,
        reason=row.reason,
        trigger_price=row.trigger_price,
        wanted_at=row.wanted_at,
        target_price=row.target_price,
        backup_trigger=row.backup_trigger,
    )


async def feed_accounts(
    session: AsyncSession, *, broker: BrokerName, now: datetime, among: str | None = None, at_most: int | None = None
) -> list[FeedAccount]:
    """Accounts of that broker that could carry its feed, best first: the one an admin has chosen, then the newest login.

    `among`: only that account and the chosen one, as far as they could.
    """
    chosen = await _chosen_account(session, broker)
    statement = (
        select(BrokerAccount.id, BrokerAccount.broker, BrokerAccount.session_version)
        .where(
            BrokerAccount.broker == broker,
            BrokerAccount.deleted_at.is_(None),
            BrokerAccount.sealed_access_token.is_not(None),
            or_(BrokerAccount.token_expires_at.is_(None), BrokerAccount.token_expires_at > now),
        )
        .order_by(case((BrokerAccount.id == chosen, 0), else_=1), BrokerAccount.updated_at.desc(), BrokerAccount.id)
        .limit(at_most)
    )
    if among is not None:
        statement = statement.where(or_(BrokerAccount.id == among, BrokerAccount.id == chosen))
    rows = await session.execute(statement)
    return [FeedAccount(row.id, row.broker, row.session_version, row.id == chosen) for row in rows]


async def _chosen_account(session: AsyncSession, broker: BrokerName) -> str | None:
    """The setting `feed_account` holds an account id per broker; absent: the platform chooses."""
    value = await session.scalar(select(Setting.value).where(Setting.name == _FEED_ACCOUNT, Setting.deleted_at.is_(None)))
    chosen = value.get(broker.value) if value else None
    return chosen if isinstance(chosen, str) else None
