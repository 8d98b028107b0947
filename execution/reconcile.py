"""Reconcile: one account's rows compared with the broker's orders, trades and positions, by any process, beside the desk.

The desk follows what is under way; this finds what nobody follows: an order our rows never noted, fills they lack, shares sold or
bought by somebody else, a position that trades do not explain. The broker is read first and the rows after it, so that a row that
changed meanwhile is newer than the book, never older.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.findings import Findings
from execution.follow import Followed
from execution.position_rows import read_baselines
from execution.tools import Tools
from execution.views import holding_of
from storage.models import BrokerAccount, Order, Run
from trading.instruments import InstrumentId
from trading.ledger import LedgerKey
from trading.orders import LIVE_STATES, OrderState
from trading.ports.broker import Broker
from trading.reconciliation import (
    BaselineRead,
    Comparison,
    Finding,
    ForeignOrder,
    OrderUnknown,
    Ours,
    OwnOrder,
    OwnRun,
    Theirs,
    compare,
    needs_second_sight,
)
from trading.runs import RunState
from trading.sessions import day_ends_at, trading_date

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one comparison came to. `findings` are those that were recorded; `changed`: runs whose rows were corrected."""

    findings: tuple[Finding, ...]
    changed: tuple[str, ...]
    is_whole: bool

    @property
    def differences(self) -> int:
        return sum(not isinstance(finding, BaselineRead | ForeignOrder) for finding in self.findings)


async def reconcile_account(account: BrokerAccount, tools: Tools) -> Reconciled:
    """Compare, look again a settle time later where that decides, and record what was found.

    Raises what the broker's reads raise (BrokerError), LookupError and ValueError for an account that cannot be opened; then
    nothing is concluded.
    """
    broker = tools.accounts.broker_of(account)
    compared, theirs = await _compare(account, broker, tools)
    findings = list(compared.findings)
    if any(needs_second_sight(finding) for finding in findings):
        await asyncio.sleep(tools.settle_of(account).total_seconds())
        again, theirs = await _compare(account, broker, tools)
        findings = [finding for finding in again.findings if not needs_second_sight(finding) or finding in compared.findings]
        compared = again
    recording = Findings(account, tools, now=tools.clock.now())
    changed = await recording.record(findings, theirs)
    await recording.clear(compared)
    await _tell(account.id, changed, tools)
    return Reconciled(tuple(findings), tuple(followed.run_id for followed in changed), compared.is_whole)


async def _compare(account: BrokerAccount, broker: Broker, tools: Tools) -> tuple[Comparison, Theirs]:
    """Rows of a few accounts at a time: those of a whole batch at once would hold up the desks of the process, whose exits cannot
    wait. Books are read all at the same time: a broker that hangs holds up no other."""
    asked_at = tools.clock.now()
    theirs = await _read(broker, asked_at, settle=tools.settle_of(account))
    async with tools.comparing:
        await tools.rush.pass_by()
        async with tools.database.transaction() as session:
            ours = await _ours(session, account.id, asked_at)
            compared = compare(ours, theirs, day=trading_date(asked_at))
            elsewhere = await _written_elsewhere(session, account, compared)
    findings = tuple(
        finding for finding in compared.findings if not (isinstance(finding, OrderUnknown) and finding.tag in elsewhere)
    )
    return Comparison(findings, compared.agreed), theirs


async def _written_elsewhere(session: AsyncSession, account: BrokerAccount, compared: Comparison) -> set[str]:
    """Tags whose rows belong to another connection of the same account: of another user, or removed and made again."""
    tags = [finding.tag for finding in compared.findings if isinstance(finding, OrderUnknown)]
    if not tags:
        return set()
    same = select(BrokerAccount.id).where(
        BrokerAccount.broker == account.broker,
        BrokerAccount.broker_user_id == account.broker_user_id,
        BrokerAccount.id != account.id,
    )
    sent = Order.state.not_in([OrderState.ARMED, OrderState.SUPERSEDED])
    return set(await session.scalars(select(Order.tag).where(Order.account_id.in_(same), Order.tag.in_(tags), sent)))


async def _read(broker: Broker, asked_at: datetime, *, settle: timedelta) -> Theirs:
    """Trades before positions: a second reading with the same trades shows that the positions belonged to them."""
    book, trades, positions = await broker.orders(), await broker.trades(), await broker.positions()
    return Theirs(book.orders, trades, positions, listed_since=asked_at - settle)


async def _ours(session: AsyncSession, account_id: str, now: datetime) -> Ours:
    day = trading_date(now)
    orders = select(Order).where(Order.account_id == account_id, or_(Order.trading_day == day, Order.state.in_(LIVE_STATES)))
    runs = select(Run).where(Run.account_id == account_id, Run.trading_day == day, Run.bought > 0)
    return Ours(
        tuple(_own_order(order, now) for order in await session.scalars(orders.order_by(Order.id))),
        tuple(_own_run(run) for run in await session.scalars(runs.order_by(Run.created_at, Run.id))),
        await read_baselines(session, account_id, day),
    )


def _own_order(order: Order, now: datetime) -> OwnOrder:
    return OwnOrder(
        order_id=order.id,
        run_id=order.run_id,
        tag=order.tag,
        broker_order_id=order.broker_order_id,
        key=LedgerKey(InstrumentId(order.exchange, order.symbol), order.product),
        side=order.side,
        state=order.state,
        filled_quantity=order.filled_quantity,
        acknowledged_at=order.acknowledged_at,
        is_todays=order.trading_day == trading_date(now) and now < day_ends_at(order.trading_day),
    )


def _own_run(run: Run) -> OwnRun:
    holding = holding_of(run)
    key = LedgerKey(InstrumentId(run.exchange, run.symbol), run.product)
    return OwnRun(run.id, key, holding.open_quantity, run.taken_elsewhere, run.state is not RunState.ENDED)


async def _tell(account_id: str, changed: list[Followed], tools: Tools) -> None:
    """The listener hears what to watch, and the desk reads its rows again: hints, after the commit."""
    for followed in changed:
        await tools.notices.followed(followed)
    if changed:
        await tools.notices.account(account_id)
