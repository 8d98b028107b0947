"""Reconcile: one account's rows compared with the broker's orders, trades and positions, by any process, beside the desk.

The desk follows what is under way; this finds what nobody follows: an order our rows never noted, fills they lack, shares sold or
bought by somebody else, a position that trades do not explain. The broker is read first and the rows after it, so that a row that
changed meanwhile is newer than the book, never older.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from execution.day_rows import AccountDay
from execution.findings import Findings
from execution.follow import Followed
from execution.tools import Tools
from storage.models import BrokerAccount, Order
from trading.orders import OrderState
from trading.ports.broker import Broker
from trading.reconciliation import (
    BaselineRead,
    Comparison,
    Finding,
    ForeignOrder,
    OrderUnknown,
    Theirs,
    compare,
    needs_second_sight,
)
from trading.sessions import trading_date

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
    compared, theirs, has_differences = await _compare(account, broker, tools)
    findings = list(compared.findings)
    if any(needs_second_sight(finding) for finding in findings):
        await asyncio.sleep(tools.settle_of(account).total_seconds())
        again, theirs, has_differences = await _compare(account, broker, tools)
        findings = [finding for finding in again.findings if not needs_second_sight(finding) or finding in compared.findings]
        compared = again
    recording = Findings(account, tools, now=tools.clock.now())
    changed = await recording.record(findings, theirs)
    if has_differences:
        await recording.clear(compared)
    await _tell(account.id, changed, tools)
    return Reconciled(tuple(findings), tuple(followed.run_id for followed in changed), compared.is_whole)


async def _compare(account: BrokerAccount, broker: Broker, tools: Tools) -> tuple[Comparison, Theirs, bool]:
    """Also whether alarms of an earlier comparison are up. Books are read all at the same time, since one may hang; rows together
    with those of others, and after a herd of exits, which cannot wait."""
    asked_at = tools.clock.now()
    day = trading_date(asked_at)
    theirs = await _read(broker, asked_at, settle=tools.settle_of(account))
    await tools.rush.pass_by()
    rows = await tools.days.read(AccountDay(account.id, day))
    compared = compare(rows.ours, theirs, day=day)
    elsewhere = await _written_elsewhere(account, compared, tools)
    findings = tuple(
        finding for finding in compared.findings if not (isinstance(finding, OrderUnknown) and finding.tag in elsewhere)
    )
    return Comparison(findings, compared.agreed), theirs, rows.has_differences


async def _written_elsewhere(account: BrokerAccount, compared: Comparison, tools: Tools) -> set[str]:
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
    async with tools.database.transaction() as session:
        return set(await session.scalars(select(Order.tag).where(Order.account_id.in_(same), Order.tag.in_(tags), sent)))


async def _read(broker: Broker, asked_at: datetime, *, settle: timedelta) -> Theirs:
    """Trades before positions: a second reading with the same trades shows that the positions belonged to them."""
    book, trades, positions = await broker.orders(), await broker.trades(), await broker.positions()
    return Theirs(book.orders, trades, positions, listed_since=asked_at - settle)


async def _tell(account_id: str, changed: list[Followed], tools: Tools) -> None:
    """The listener hears what to watch, and the desk reads its rows again: hints, after the commit."""
    for followed in changed:
        await tools.notices.followed(followed)
    if changed:
        await tools.notices.account(account_id)
