"""The day's loss of the accounts whose desks are here: reckoned every two seconds and after each fill, tripped at the limit.

Tripping engages the account's kill switch on rows, in one transaction with the note that it has tripped: a process that dies on
the way has done all of it or nothing, and two workers that trip together engage one switch.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import structlog
from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, raise_alarm
from execution.desk import Desk, DeskHost
from execution.killing import Wanted, engage, loss_alarm_key
from execution.limits import limits_of
from execution.timeline import rupees
from execution.tools import Tools
from execution.views import holding_of
from storage.any_of import any_of
from storage.ids import new_id
from storage.models import KillScope, RiskLimit, Run
from storage.repositories import audit, safety
from trading.instruments import InstrumentId
from trading.ports.broker import Broker
from trading.risk import DayLoss, Limits, Marked, Verdict, day_loss, judge_loss
from trading.sessions import trading_date

_log = structlog.get_logger()

LOOK_EVERY = 2.0
# A price seen this lately is believed when there is no newer one; an older one is only assumed.
BELIEVED_FOR = timedelta(seconds=30)
# Who has engaged such a switch, where a person's id would stand.
TRIPPED_BY = "daily_loss_limit"


@dataclass(frozen=True, slots=True)
class _Watched:
    account_id: str
    user_id: str
    limits: Limits
    is_locked: bool


class LossWatch:
    """One per floor."""

    def __init__(self, tools: Tools, host: DeskHost, *, desks: Mapping[str, Desk]) -> None:
        self._tools = tools
        self._host = host
        self._desks = desks
        self._wanted = asyncio.Event()
        self._seen: dict[InstrumentId, tuple[Decimal, float]] = {}

    def look_soon(self) -> None:
        """A fill was stored: what is open, or realised, has changed."""
        self._wanted.set()

    async def run(self) -> None:
        """For a fifth of the time at most: the fills of a herd ask for a look each."""
        clock = self._tools.clock
        while True:
            await self._tools.rush.pass_by()
            self._wanted.clear()
            began = clock.monotonic()
            await self.look()
            await asyncio.sleep(4 * (clock.monotonic() - began))
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def look(self) -> list[str]:
        """Reckon once. Returns the accounts that tripped."""
        today = trading_date(self._tools.clock.now())
        watched, runs = await self._read(today)
        prices = await self._prices([run for run in runs if holding_of(run).open_quantity > 0])
        tripped = []
        for account in watched:
            loss = day_loss([self._mark(run, prices) for run in runs if run.account_id == account.account_id])
            verdict = judge_loss(account.limits, loss, is_locked=account.is_locked)
            if verdict is not Verdict.NOTHING and await self._trip(account, loss, today):
                tripped.append(account.account_id)
        return tripped

    async def _read(self, today: date) -> tuple[list[_Watched], Sequence[Run]]:
        account_ids = list(self._desks)
        async with self._tools.database.transaction() as session:
            rows = {row.account_id: row for row in await session.scalars(_limits_of(account_ids))}
            limits = {
                account_id: limits_of(rows.get(account_id), self._tools.default_limits, today=today) for account_id in account_ids
            }
            limited = [account_id for account_id in account_ids if limits[account_id].loss_allowed is not None]
            if not limited:
                return [], []
            locked = await safety.locked_accounts(session, account_ids=limited)
            of_day = select(Run).where(Run.account_id == any_of(limited), Run.trading_day == today, Run.bought > 0)
            runs = (await session.scalars(of_day.order_by(Run.id))).all()
        owners = {run.account_id: run.user_id for run in runs}
        return [
            _Watched(account_id, owners[account_id], limits[account_id], account_id in locked)
            for account_id in limited
            if account_id in owners
        ], runs

    async def _prices(self, holding: Sequence[Run]) -> dict[InstrumentId, Decimal]:
        wanted: dict[InstrumentId, Broker] = {}
        for run in holding:
            desk = self._desks.get(run.account_id)
            if desk is not None and desk.broker is not None:
                wanted.setdefault(InstrumentId(run.exchange, run.symbol), desk.broker)
        prices = await self._tools.prices.of(wanted)
        now = self._tools.clock.monotonic()
        self._seen |= {instrument: (price, now) for instrument, price in prices.items()}
        return prices

    def _mark(self, run: Run, prices: Mapping[InstrumentId, Decimal]) -> Marked:
        instrument = InstrumentId(run.exchange, run.symbol)
        last_seen, at = self._seen.get(instrument, (None, 0.0))
        price = prices.get(instrument)
        if price is None and self._tools.clock.monotonic() - at < BELIEVED_FOR.total_seconds():
            price = last_seen
        return Marked(holding_of(run), run.stop_loss, price, last_seen)

    async def _trip(self, account: _Watched, loss: DayLoss, today: date) -> bool:
        """Judged once more under the row's lock: another worker, or a person who changed the limit, may have been faster."""
        now = self._tools.clock.now()
        async with self._tools.database.transaction() as session:
            row = await _lock_limits(session, account)
            limits = limits_of(row, self._tools.default_limits, today=today)
            locked = await safety.locked_accounts(session, account_ids=[account.account_id])
            verdict = judge_loss(limits, loss, is_locked=account.account_id in locked)
            allowed = limits.loss_allowed
            if verdict is Verdict.NOTHING or allowed is None:
                return False
            reason = _words(loss, allowed)
            sells = verdict is Verdict.SELL
            engaged = await engage(session, Wanted(KillScope.ACCOUNT, account.account_id, sells, reason, by=TRIPPED_BY), now=now)
            if loss.assumed >= allowed:
                row.loss_tripped_on, row.loss_at_trip = today, loss.assumed
            alarm = Alarm(
                loss_alarm_key(account.account_id),
                "daily_loss_limit",
                f"The account is locked: {reason}. {'Its positions are sold' if sells else 'Its positions keep their stops'}",
                user_id=account.user_id,
                account_id=account.account_id,
            )
            await raise_alarm(session, alarm)
            await audit.append(
                session,
                actor_id=None,
                action="kill_switch.engage",
                subject_id=account.account_id,
                now=now,
                scope=KillScope.ACCOUNT.value,
                square_off=sells,
                reason=reason,
                tripped_by=TRIPPED_BY,
            )
            run_ids = [run.id for run in engaged.runs]
        _log.error("daily_loss_limit", account_id=account.account_id, loss=str(loss.assumed), sells=sells)
        for run_id in run_ids:
            self._host.mark(run_id)
        return True


def _limits_of(account_ids: Sequence[str]) -> Select[RiskLimit]:
    return select(RiskLimit).where(RiskLimit.account_id == any_of(account_ids))


async def _lock_limits(session: AsyncSession, account: _Watched) -> RiskLimit:
    """The account's row, made if the account has only the platform's limits."""
    values = {"id": new_id(RiskLimit.id_prefix), "account_id": account.account_id, "user_id": account.user_id}
    await session.execute(insert(RiskLimit).values(square_off_on_loss=False, **values).on_conflict_do_nothing())
    return (await session.scalars(_limits_of([account.account_id]).with_for_update())).one()


def _words(loss: DayLoss, allowed: Decimal) -> str:
    how = "" if loss.is_certain else ", with a price missing and assumed to be at its stop-loss"
    return f"today's loss is {rupees(loss.assumed)}{how}, the limit is {rupees(allowed)}"
