"""The live report of a kill switch: where each run in its scope stands, flat runs compared with the broker's position."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.services import Services
from execution.killing import in_scope
from execution.rows import load_runs
from execution.views import holding_of
from storage.models import Alert, BrokerAccount, KillSwitch, Order, PositionLedger, Run
from trading.instruments import InstrumentId
from trading.ledger import LedgerKey
from trading.orders import BrokerPosition, Leg, OrderState
from trading.ports.broker import BrokerError
from trading.runs import RunState
from trading.standing import Position, Standing, StandingFacts, stand

log = structlog.get_logger()

# A report over the whole platform shows this many runs, the newest; positions of this many accounts are read, for this long.
MOST_RUNS = 500
MOST_ACCOUNTS = 20
READ_SECONDS = 3.0
_PERSON_NEEDED = ("handed_over", "run_needs_person")
_WORKING = (OrderState.SENDING, OrderState.UNKNOWN, OrderState.OPEN)


@dataclass(frozen=True, slots=True)
class Line:
    run: Run
    standing: Standing
    message: str


async def report(services: Services, switch: KillSwitch, *, user_id: str | None) -> list[Line]:
    """Runs in the scope that are open, or have ended since; of that user, or of everybody. Reads positions for flat ones."""
    async with services.database.transaction() as session:
        runs = await _runs(session, switch, user_id)
        needed = await _person_needed(session, [run.id for run, _ in runs])
        flat = [run for run, _ in runs if run.bought and holding_of(run).is_flat]
        accounts = await _accounts(session, flat)
        explained = await _explained(session, flat)
    positions = await _read_positions(services, accounts)
    lines = []
    for run, orders in runs:
        position = _position(run, positions.get(run.account_id), explained)
        lines.append(Line(run, *stand(_facts(run, orders, needed.get(run.id, ""), position))))
    return lines


async def _runs(session: AsyncSession, switch: KillSwitch, user_id: str | None) -> list[tuple[Run, list[Order]]]:
    concerned = or_(Run.state != RunState.ENDED, Run.ended_at >= switch.engaged_at)
    statement = select(Run.id).where(concerned, *in_scope(switch.scope, switch.scope_id))
    if user_id is not None:
        statement = statement.where(Run.user_id == user_id)
    return await load_runs(session, list(await session.scalars(statement.order_by(Run.id.desc()).limit(MOST_RUNS))))


async def _person_needed(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, str]:
    open_alarms = select(Alert.run_id, Alert.message).where(
        Alert.run_id.in_(run_ids), Alert.kind.in_(_PERSON_NEEDED), Alert.cleared_at.is_(None)
    )
    return {run_id: message for run_id, message in await session.execute(open_alarms) if run_id is not None}


async def _accounts(session: AsyncSession, flat: Sequence[Run]) -> Sequence[BrokerAccount]:
    ids = sorted({run.account_id for run in flat})[:MOST_ACCOUNTS]
    return (await session.scalars(select(BrokerAccount).where(BrokerAccount.id.in_(ids)))).all()


async def _explained(session: AsyncSession, flat: Sequence[Run]) -> dict[tuple[str, LedgerKey], int]:
    """What all our runs of the day hold in those accounts, and what was there before, where that was ever read."""
    accounts, days = {run.account_id for run in flat}, {run.trading_day for run in flat}
    found: dict[tuple[str, LedgerKey], int] = {}
    for run in await session.scalars(select(Run).where(Run.account_id.in_(accounts), Run.trading_day.in_(days))):
        of_account = (run.account_id, _key(run))
        found[of_account] = found.get(of_account, 0) + holding_of(run).open_quantity
    rows = select(PositionLedger).where(PositionLedger.account_id.in_(accounts), PositionLedger.trading_day.in_(days))
    before = {(row.account_id, row.exchange, row.symbol, row.product): row.baseline or 0 for row in await session.scalars(rows)}
    for account_id, key in found:
        instrument = key.instrument
        found[account_id, key] += before.get((account_id, instrument.exchange, instrument.symbol, key.product.value), 0)
    return found


async def _read_positions(services: Services, accounts: Sequence[BrokerAccount]) -> Mapping[str, Sequence[BrokerPosition]]:
    """By account; one whose broker cannot be read now is absent: that proves nothing."""

    async def read(account: BrokerAccount) -> tuple[str, Sequence[BrokerPosition]] | None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                return account.id, await services.accounts.broker_of(account).positions()
        except (BrokerError, LookupError, ValueError, TimeoutError) as error:
            log.warning("position_not_read", account_id=account.id, error=str(error))
            return None

    return dict(found for found in await asyncio.gather(*(read(account) for account in accounts)) if found is not None)


def _position(
    run: Run, positions: Sequence[BrokerPosition] | None, explained: Mapping[tuple[str, LedgerKey], int]
) -> Position | None:
    if positions is None:
        return None
    key = _key(run)
    seen = sum(row.net_quantity for row in positions if row.instrument == key.instrument and row.product is key.product)
    return Position(seen, explained.get((run.account_id, key), 0))


def _key(run: Run) -> LedgerKey:
    return LedgerKey(InstrumentId(run.exchange, run.symbol), run.product)


def _facts(run: Run, orders: Sequence[Order], person_needed_for: str, position: Position | None) -> StandingFacts:
    is_selling = run.exit_wanted_at is not None
    # A filled entry stays open until book and trades agree: that alone is nothing that still works.
    working = any(
        order.state in _WORKING and (order.leg is Leg.EXIT or order.filled_quantity < order.quantity) for order in orders
    )
    return StandingFacts(
        symbol=run.symbol,
        bought=run.bought,
        open_quantity=holding_of(run).open_quantity,
        end_reason=run.end_reason,
        is_open=run.state is not RunState.ENDED,
        is_selling=is_selling,
        has_working_order=working,
        person_needed_for=person_needed_for,
        position=position,
    )
