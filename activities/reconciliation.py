"""Comparing accounts with their brokers, a batch at a time, on whichever worker."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text
from temporalio import activity

from activities.messages import AccountsReconciled, ReconcileAccounts
from activities.signatures import ReconciliationActivities
from activities.waiting import HEARTBEAT_SECONDS
from execution.reconcile import Reconciled, reconcile_account
from execution.tasks import end
from execution.tools import Tools
from storage.models import BrokerAccount
from trading.sessions import TradingCalendar, UnknownDay, instant, trading_date

_log = structlog.get_logger()

# The books of so many accounts are read at the same time; `execution.reconcile` compares a few of them at once.
BATCH = 50
# They begin a few at a time, whose rows are read in one statement: all at once they would take some tenths of a second of a core,
# while a crossed stop waits. Apart by so much at most for each of them, and by less where many are to be compared, since a round
# ends within half a minute.
TOGETHER = 5
MOST_APART, APART_IN_ALL = timedelta(milliseconds=50), timedelta(seconds=6)
# Orders are placed from before the opening, and settle for a while after the close.
AROUND_THE_SESSION = timedelta(minutes=30)

# Accounts with something that may differ: an order at the broker or in doubt, shares held, or a difference that is up.
_TO_COMPARE = text(
    """
    SELECT id, count(*) OVER () AS listed FROM broker_credentials a
    WHERE a.id > :after AND (
        EXISTS (SELECT 1 FROM orders o WHERE o.account_id = a.id AND o.state IN ('sending', 'unknown', 'open'))
        OR EXISTS (SELECT 1 FROM runs r WHERE r.account_id = a.id AND r.state <> 'ended'
                   AND r.bought > r.sold + r.taken_elsewhere)
        OR EXISTS (SELECT 1 FROM alerts l WHERE l.account_id = a.id AND l.cleared_at IS NULL AND l.kind = 'reconcile_difference'))
    ORDER BY id LIMIT :most
    """
)


class BrokerReconciliationActivities(ReconciliationActivities):
    def __init__(self, *, tools: Tools, calendar: TradingCalendar) -> None:
        self._tools = tools
        self._calendar = calendar

    @activity.defn
    async def reconcile(self, request: ReconcileAccounts) -> AccountsReconciled:
        if not is_open(self._calendar, request.at):
            return AccountsReconciled()
        async with self._tools.database.transaction() as session:
            rows = (await session.execute(_TO_COMPARE, {"after": request.after, "most": BATCH})).all()
            batch = select(BrokerAccount).where(BrokerAccount.id.in_([row.id for row in rows]))
            accounts = list(await session.scalars(batch.order_by(BrokerAccount.id)))
        if not accounts:
            return AccountsReconciled()
        apart = min(MOST_APART, APART_IN_ALL / rows[0].listed)
        done = await self._compare(accounts, apart)
        left = rows[0].listed - len(rows)
        return AccountsReconciled(
            compared=len(done),
            differences=sum(reconciled.differences for reconciled in done),
            unread=len(accounts) - len(done),
            last=accounts[-1].id if left else "",
            left=left,
        )

    async def _compare(self, accounts: Sequence[BrokerAccount], apart: timedelta) -> list[Reconciled]:
        """Those that could be compared; one that could not is compared in the next round, and nothing is concluded of it."""
        comparing = [
            asyncio.create_task(self._compare_one(account, place // TOGETHER * TOGETHER * apart))
            for place, account in enumerate(accounts)
        ]
        pending = set(comparing)
        try:
            while pending:
                _, pending = await asyncio.wait(pending, timeout=HEARTBEAT_SECONDS)
                activity.heartbeat()
        finally:
            await end(pending)
        return [reconciled for task in comparing if (reconciled := task.result()) is not None]

    async def _compare_one(self, account: BrokerAccount, after: timedelta) -> Reconciled | None:
        await asyncio.sleep(after.total_seconds())
        try:
            return await reconcile_account(account, self._tools)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with one account, the others of the batch are compared)
            _log.warning("not_compared", account_id=account.id, error=repr(error))
            return None


def is_open(calendar: TradingCalendar, at: datetime) -> bool:
    """Whether orders may be alive at that moment. A day the calendar does not know may be one: reading harms nobody."""
    try:
        day = calendar.day(trading_date(at))
    except UnknownDay:
        return True
    if day is None:
        return False
    return instant(day.day, day.opens) - AROUND_THE_SESSION <= at <= instant(day.day, day.closes) + AROUND_THE_SESSION
