"""What a comparison with the broker found, recorded: rows corrected under their locks, the rest told and alarmed.

Everything here may be done by any process and more than once: rows are locked, fills only grow, and an alarm is raised once.
"""

from collections.abc import Iterable
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.follow import Followed, Sight, record_look
from execution.ledger import take_shortfall
from execution.position_rows import store_ledger_row
from execution.rows import lock_run
from execution.timeline import tell
from execution.tools import Tools
from storage.any_of import any_of
from storage.models import Alert, BrokerAccount, Run, RunEvent
from trading.fills import trades_of
from trading.ledger import LedgerKey
from trading.orders import BrokerOrder, OrderState
from trading.reconciliation import (
    BaselineRead,
    Comparison,
    FillsMissing,
    Finding,
    ForeignOrder,
    Missed,
    OrderMissing,
    OrderUnknown,
    PositionDiffers,
    SoldElsewhere,
    Theirs,
)
from trading.runs import RunState
from trading.sessions import trading_date

_log = structlog.get_logger()


class Findings:
    """Records what was found about one account."""

    def __init__(self, account: BrokerAccount, tools: Tools, *, now: datetime) -> None:
        self._account = account
        self._tools = tools
        self._now = now

    async def record(self, findings: Iterable[Finding], theirs: Theirs) -> list[Followed]:
        """Correct, tell or alarm; answers the runs that changed."""
        changed: list[Followed] = []
        for finding in findings:
            match finding:
                case Missed():
                    changed += await self._adopt(finding, theirs)
                case SoldElsewhere():
                    changed += await take_shortfall(
                        self._tools.database, self._account.id, finding.key, finding.total, now=self._now
                    )
                case BaselineRead():
                    await store_ledger_row(
                        self._tools.database, self._account.id, finding.key, baseline=finding.quantity, now=self._now
                    )
                case ForeignOrder():
                    await self._tell_foreign(finding)
                case _:
                    await self._alarm(finding)
        return changed

    async def clear(self, compared: Comparison) -> None:
        """End the alarms whose difference this comparison no longer finds. One it proves nothing about stays up."""
        still = {self._subject(finding) for finding in compared.findings}
        agreed = {self._position(key) for key in compared.agreed}
        up = select(Alert).where(
            Alert.account_id == self._account.id, Alert.kind == "reconcile_difference", Alert.cleared_at.is_(None)
        )
        async with self._tools.database.transaction() as session:
            for alert in await session.scalars(up):
                is_of_an_order = alert.key.startswith("order:")
                # A broker's trades are of one day: what differed yesterday cannot be compared any more.
                is_old = trading_date(alert.raised_at) < trading_date(self._now)
                if alert.key not in still and (is_of_an_order or is_old or alert.key in agreed):
                    await clear_alarm(session, alert.key)

    # --- orders -------------------------------------------------------------------------------------------------------

    async def _adopt(self, finding: Missed, theirs: Theirs) -> list[Followed]:
        seen = next(order for order in theirs.orders if order.broker_order_id == finding.broker_order_id)
        trades = trades_of(seen.broker_order_id, theirs.trades)
        async with self._tools.database.transaction() as session:
            if finding.was_armed and not await self._admit_sent(session, finding, seen):
                return []
            sight = Sight(finding.order_id, finding.run_id, seen, trades)
            followed = await record_look(session, sight, now=self._now)
            for oddity in followed.oddities:
                await raise_alarm(session, self._alarm_of(f"order_oddity:{finding.order_id}", "order_oddity", oddity))
        return [followed] if followed.changed else []

    async def _admit_sent(self, session: AsyncSession, finding: Missed, seen: BrokerOrder) -> bool:
        """An armed row whose order the broker has: our rows are older than the world. It becomes claimed by nobody who sends."""
        locked = await lock_run(session, finding.run_id)
        order = next((row for row in locked[1] if row.id == finding.order_id), None) if locked else None
        if locked is None or order is None or order.state is not OrderState.ARMED:
            return False
        order.state, order.owner, order.claimed_at, order.send_by = OrderState.SENDING, "reconcile", self._now, self._now
        order.price, order.quantity, order.backup_trigger = seen.price, seen.quantity, seen.trigger_price
        order.revision += 1
        message = (
            f"The {order.leg.value} order is at the broker already, though it was not noted as sent: it is followed from here"
        )
        tell(session, locked[0], "order_found", message, data={"order_id": order.id})
        await session.flush()
        _log.error("armed_order_was_sent", order_id=order.id, tag=order.tag)
        return True

    async def _tell_foreign(self, finding: ForeignOrder) -> None:
        """One line in the timeline of each run that trades the instrument, once."""
        message = (
            f"Another {finding.side.value.lower()} order for {finding.quantity} {finding.instrument.symbol} is in this account, "
            "not placed by the platform"
        )
        async with self._tools.database.transaction() as session:
            runs = select(Run).where(
                Run.account_id == self._account.id,
                Run.state != RunState.ENDED,
                Run.exchange == finding.instrument.exchange,
                Run.symbol == finding.instrument.symbol,
                Run.bought > 0,
            )
            for run in await session.scalars(runs.order_by(Run.id).with_for_update()):
                told = select(RunEvent.id).where(
                    RunEvent.run_id == run.id,
                    RunEvent.kind == "foreign_order",
                    RunEvent.data["broker_order_id"].astext == finding.broker_order_id,
                )
                if await session.scalar(told.limit(1)) is None:
                    data = {"broker_order_id": finding.broker_order_id}
                    tell(session, run, "foreign_order", message, quantity=finding.quantity, data=data)

    # --- alarms -------------------------------------------------------------------------------------------------------

    async def _alarm(self, finding: Finding) -> None:
        kind = "order_unknown" if isinstance(finding, OrderUnknown) else "reconcile_difference"
        async with self._tools.database.transaction() as session:
            raised = await raise_alarm(session, self._alarm_of(self._subject(finding), kind, _words(finding)))
            if raised:
                await self._tell_runs(session, finding)
        if raised:
            _log.error("reconcile_found", account_id=self._account.id, what=_words(finding))

    async def _tell_runs(self, session: AsyncSession, finding: Finding) -> None:
        run_ids: tuple[str, ...] = ()
        if isinstance(finding, PositionDiffers):
            run_ids = finding.run_ids
        elif isinstance(finding, OrderMissing | FillsMissing):
            run_ids = (finding.run_id,)
        for run in await session.scalars(select(Run).where(Run.id == any_of(run_ids)).order_by(Run.id)):
            tell(session, run, "difference", _words(finding))

    def _alarm_of(self, key: str, kind: str, message: str) -> Alarm:
        return Alarm(key, kind, message, user_id=self._account.user_id, account_id=self._account.id)

    def _position(self, key: LedgerKey) -> str:
        return f"position:{self._account.id}:{key.instrument}:{key.product.value}"

    def _subject(self, finding: Finding) -> str:
        """What an alarm is about; the same difference has the same subject."""
        match finding:
            case OrderUnknown():
                return f"order-unknown:{self._account.id}:{finding.broker_order_id}"
            case OrderMissing():
                return f"order:missing:{finding.order_id}"
            case FillsMissing():
                return f"order:fills:{finding.order_id}"
            case PositionDiffers():
                return self._position(finding.key)
            case _:
                return ""


def _words(finding: Finding) -> str:
    match finding:
        case OrderUnknown():
            return (
                f"The broker lists order {finding.broker_order_id} for {finding.instrument} with a tag of this platform "
                f"({finding.tag}) of which nothing is written down: nothing is bought in this account until somebody has looked"
            )
        case OrderMissing():
            return "The broker no longer lists an order that it had acknowledged; nothing is concluded from it"
        case FillsMissing():
            return f"Of an order {finding.ours} shares are filled as we know, and {finding.theirs} in the broker's trade book"
        case PositionDiffers():
            much = "short of" if finding.actual < finding.expected else "above"
            return (
                f"The broker's position in {finding.key.instrument} {finding.key.product.value} is {finding.actual}, "
                f"{abs(finding.actual - finding.expected)} {much} what its own trades make it; nothing is sold for it"
            )
        case _:
            return ""
