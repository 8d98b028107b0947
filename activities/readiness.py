"""Looking whether accounts are ready for the day, and telling their owners: once per account and time of checking."""

import asyncio
import hashlib
import secrets
from dataclasses import asdict
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from temporalio import activity

from activities.messages import AccountsChecked, CheckAccounts
from activities.signatures import ReadinessActivities
from execution.alarms import Alarm, clear_alarm, raise_alarm
from storage.database import Database
from storage.ids import new_id
from storage.models import BrokerAccount, ReadinessCheck, Severity
from trading.day_readiness import Check, CheckState, Verdict
from trading.sessions import ExchangeDay, TradingCalendar, day_ends_at

BATCH = 20
# The times of checking, in their order; a later one takes the place of an earlier one's alarm.
TIMES = ("08:45", "09:05")


class Found(Protocol):
    @property
    def verdict(self) -> Verdict: ...
    @property
    def checks(self) -> tuple[Check, ...]: ...
    @property
    def needs_login(self) -> bool: ...


class Look(Protocol):
    async def look(self, account: BrokerAccount, exchange_day: ExchangeDay) -> Found: ...


class RowReadinessActivities(ReadinessActivities):
    """`public_url`: where browsers reach the API."""

    def __init__(self, *, database: Database, calendar: TradingCalendar, look: Look, public_url: str) -> None:
        self._database = database
        self._calendar = calendar
        self._look = look
        self._public_url = public_url.rstrip("/")

    @activity.defn
    async def check_accounts(self, request: CheckAccounts) -> AccountsChecked:
        exchange_day = self._calendar.day(request.trading_day)
        if exchange_day is None:
            return AccountsChecked()
        async with self._database.transaction() as session:
            done = select(ReadinessCheck.account_id).where(
                ReadinessCheck.trading_day == request.trading_day, ReadinessCheck.check_time == request.check_time
            )
            page = select(BrokerAccount).where(
                BrokerAccount.id > request.after, BrokerAccount.deleted_at.is_(None), BrokerAccount.id.not_in(done)
            )
            accounts = list(await session.scalars(page.order_by(BrokerAccount.id).limit(BATCH)))
        activity.heartbeat()
        looked = await asyncio.gather(*(self._look.look(account, exchange_day) for account in accounts))
        for account, found in zip(accounts, looked, strict=True):
            activity.heartbeat()
            await self._note(account, found, request)
        not_ready = sum(found.verdict is Verdict.NOT_READY for found in looked)
        return AccountsChecked(len(looked), not_ready, accounts[-1].id if len(accounts) == BATCH else "")

    async def _note(self, account: BrokerAccount, found: Found, request: CheckAccounts) -> None:
        """The row and the alarm in one transaction: whoever dies before it looks again, whoever comes after it does nothing."""
        ticket = secrets.token_urlsafe(32) if found.needs_login and found.verdict is Verdict.NOT_READY else ""
        values = {
            "id": new_id(ReadinessCheck.id_prefix),
            "account_id": account.id,
            "user_id": account.user_id,
            "trading_day": request.trading_day,
            "check_time": request.check_time,
            "verdict": found.verdict,
            "checks": [{**asdict(check), "state": check.state.value} for check in found.checks],
            "ticket_hash": ticket_hash(ticket) if ticket else None,
            "ticket_until": day_ends_at(request.trading_day),
        }
        async with self._database.transaction() as session:
            statement = insert(ReadinessCheck).values(values).on_conflict_do_nothing().returning(ReadinessCheck.id)
            if (await session.execute(statement)).first() is None:
                return
            # The other time's of today, and the same one's of an earlier day: this finding takes their place.
            for time in TIMES:
                await clear_alarm(session, _key(account, time))
            if found.verdict in (Verdict.NOT_READY, Verdict.LOOK):
                await raise_alarm(session, self._alarm(account, found, request, ticket))

    def _alarm(self, account: BrokerAccount, found: Found, request: CheckAccounts, ticket: str) -> Alarm:
        return Alarm(
            _key(account, request.check_time),
            "not_ready",
            self._words(account, found, ticket),
            severity=Severity.CRITICAL if found.verdict is Verdict.NOT_READY else Severity.WARNING,
            user_id=account.user_id,
            account_id=account.id,
        )

    def _words(self, account: BrokerAccount, found: Found, ticket: str) -> str:
        # Until the first login its identity at the broker is not known.
        identity = "" if account.broker_user_id.startswith("pending:") else account.broker_user_id
        name = account.label or f"{account.broker.value} {identity}".strip()
        wrong = [check for check in found.checks if check.state is not CheckState.OK]
        wrong.sort(key=lambda check: check.state is not CheckState.FAILED)
        lines = [f"{check.found}. {check.advice}".rstrip() for check in wrong]
        if ticket:
            lines.insert(0, f"Log in: {self._public_url}/api/v1/readiness/login/{ticket}")
        return f"{name}: " + " · ".join(lines)


def _key(account: BrokerAccount, check_time: str) -> str:
    return f"not-ready:{account.id}:{check_time}"


def ticket_hash(ticket: str) -> str:
    """A plain hash suffices: the ticket is random."""
    return hashlib.sha256(ticket.encode()).hexdigest()
