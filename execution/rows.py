"""What the floor reads of the order tables, many rows at a time, without locks. Decisions are made again under a lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from cache.channels import RunEventHint
from execution.armed import ArmedOrder
from storage.any_of import any_of
from storage.database import Database
from storage.models import BrokerAccount, KillScope, KillSwitch, Order, Run, RunEvent, User, UserState
from storage.single import SingleStatement
from trading.accounts import Environment
from trading.instruments import InstrumentId
from trading.orders import Leg
from trading.runs import RunState


def armed_order(order: Order) -> ArmedOrder:
    return ArmedOrder(
        order.id,
        order.run_id,
        order.account_id,
        order.leg,
        order.revision,
        InstrumentId(order.exchange, order.symbol),
        order.fire_at,
        order.stop_price,
        order.stop_version,
        order.band_step,
        order.target_price,
    )


# Asked for every desk every few seconds: what an order is, only of those that memory lacks.
_ARMED_REVISIONS = SingleStatement(
    text("SELECT id, revision FROM orders WHERE account_id = ANY(CAST(:account_ids AS text[])) AND state = 'armed'")
)
_ARMED = SingleStatement(
    text(
        """
        SELECT id, run_id, account_id, leg, revision, exchange, symbol, fire_at, stop_price, stop_version, band_step, target_price
        FROM orders WHERE id = ANY(CAST(:order_ids AS text[])) AND state = 'armed'
        """
    )
)


async def armed_revisions(database: Database, account_ids: Sequence[str]) -> dict[str, int]:
    """Every armed order of those accounts."""
    rows = await database.fetch(_ARMED_REVISIONS, {"account_ids": list(account_ids)})
    return {row["id"]: row["revision"] for row in rows}


async def load_armed(database: Database, order_ids: Sequence[str]) -> list[ArmedOrder]:
    """Those of the orders that are armed."""
    rows = await database.fetch(_ARMED, {"order_ids": list(order_ids)}) if order_ids else []
    return [
        ArmedOrder(
            row["id"],
            row["run_id"],
            row["account_id"],
            Leg(row["leg"]),
            row["revision"],
            InstrumentId(row["exchange"], row["symbol"]),
            row["fire_at"],
            row["stop_price"],
            row["stop_version"],
            row["band_step"],
            row["target_price"],
        )
        for row in rows
    ]


# Runs that may need a step: something works at the broker, somebody wants out, an entry is wanted or too late, the last moment
# has come, an exit may go to rest at the broker, or shares are not covered by any exit.
_TO_PLAN = SingleStatement(
    text(
        """
        SELECT o.run_id FROM orders o JOIN runs r ON r.id = o.run_id
        WHERE o.account_id = ANY(CAST(:account_ids AS text[]))
          AND (o.state = 'open'
               OR (o.state IN ('armed', 'sending', 'unknown') AND r.hand_over_at <= :now)
               OR (o.state = 'armed' AND (o.wanted_at IS NOT NULL OR o.deadline_at <= :now OR o.fire_at <= :now
                                          OR r.exit_wanted_at IS NOT NULL OR r.leave_open
                                          OR (r.backup_stop AND o.leg = 'exit'))))
        UNION
        SELECT r.id FROM runs r
        WHERE r.account_id = ANY(CAST(:account_ids AS text[])) AND r.bought - r.sold - r.taken_elsewhere > 0 AND NOT r.leave_open
          AND r.handed_over_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.run_id = r.id AND o.leg = 'exit'
                          AND o.state IN ('armed', 'sending', 'unknown', 'open'))
        """
    )
)


async def runs_to_plan(database: Database, account_ids: Sequence[str], *, now: datetime) -> list[str]:
    return [row["run_id"] for row in await database.fetch(_TO_PLAN, {"account_ids": list(account_ids), "now": now})]


async def traded_instruments(session: AsyncSession, account_ids: Sequence[str]) -> dict[Environment, set[InstrumentId]]:
    """What those accounts have open runs in, by environment."""
    traded = (
        select(BrokerAccount.environment, Run.exchange, Run.symbol)
        .join(BrokerAccount, BrokerAccount.id == Run.account_id)
        .where(Run.account_id == any_of(account_ids), Run.state != RunState.ENDED)
        .distinct()
    )
    found: dict[Environment, set[InstrumentId]] = {}
    for environment, exchange, symbol in await session.execute(traded):
        found.setdefault(environment, set()).add(InstrumentId(exchange, symbol))
    return found


_OTHER_LOGINS = SingleStatement(
    text(
        """
        SELECT a.id FROM unnest(CAST(:account_ids AS text[]), CAST(:versions AS int[])) AS known (account_id, version)
        JOIN broker_credentials a ON a.id = known.account_id
        WHERE a.session_version <> known.version
        """
    )
)


async def other_logins(database: Database, versions: Mapping[str, int]) -> list[str]:
    """Those of the accounts whose login has another version."""
    values = {"account_ids": list(versions), "versions": list(versions.values())}
    return [row["id"] for row in await database.fetch(_OTHER_LOGINS, values)]


async def load_runs(session: AsyncSession, run_ids: Sequence[str]) -> list[tuple[Run, list[Order]]]:
    """Those runs with all of their orders, in one statement: a run and its orders always belong to the same moment."""
    rows = await session.execute(
        select(Run, Order).outerjoin(Order, Order.run_id == Run.id).where(Run.id == any_of(run_ids)).order_by(Run.id, Order.id)
    )
    found: dict[str, tuple[Run, list[Order]]] = {}
    for run, order in rows:
        orders = found.setdefault(run.id, (run, []))[1]
        if order is not None:
            orders.append(order)
    return list(found.values())


async def lock_run(session: AsyncSession, run_id: str) -> tuple[Run, list[Order]] | None:
    """The run, then its orders, locked in this order by everyone."""
    run = await session.scalar(select(Run).where(Run.id == run_id).with_for_update())
    if run is None:
        return None
    orders = list(await session.scalars(select(Order).where(Order.run_id == run_id).order_by(Order.id).with_for_update()))
    return run, orders


async def lock_unheld(session: AsyncSession, run_ids: Iterable[str]) -> dict[str, Run]:
    """Those of the runs that nobody holds, by id, locked in the order of their ids without waiting; their orders are not."""
    free = select(Run).where(Run.id == any_of(sorted(run_ids))).order_by(Run.id)
    return {run.id: run for run in await session.scalars(free.with_for_update(skip_locked=True))}


async def lock_orders(session: AsyncSession, runs: Mapping[str, Run]) -> dict[str, tuple[Run, list[Order]]]:
    """Runs that are locked, by id, each with its orders, locked without waiting.

    Raises DBAPIError when somebody holds an order without its run.
    """
    locked: dict[str, tuple[Run, list[Order]]] = {run_id: (run, []) for run_id, run in runs.items()}
    theirs = select(Order).where(Order.run_id == any_of(locked)).order_by(Order.run_id, Order.id)
    for order in await session.scalars(theirs.with_for_update(nowait=True)):
        locked[order.run_id][1].append(order)
    return locked


async def lock_free_runs(session: AsyncSession, run_ids: Iterable[str]) -> dict[str, tuple[Run, list[Order]]]:
    """Those of the runs that nobody holds, by id, each with its orders, locked without waiting. Raises as `lock_orders` does."""
    return await lock_orders(session, await lock_unheld(session, run_ids))


class Switchable(Protocol):
    """What a switch may be about."""

    @property
    def user_id(self) -> str: ...

    @property
    def account_id(self) -> str: ...

    @property
    def strategy_id(self) -> str: ...


class KillSwitches:
    """The engaged switches of a moment, and the users who are suspended."""

    def __init__(self, engaged: Sequence[tuple[KillScope, str]], suspended: Sequence[str] = ()) -> None:
        self._engaged = frozenset(engaged)
        self._suspended = frozenset(suspended)

    def lock(self, run: "Switchable") -> bool:
        """Whether this run, or the run of this order, may not buy."""
        if not self._engaged:
            return False
        scopes = (
            (KillScope.PLATFORM, ""),
            (KillScope.USER, run.user_id),
            (KillScope.ACCOUNT, run.account_id),
            (KillScope.STRATEGY, run.strategy_id),
        )
        return any(scope in self._engaged for scope in scopes)

    def suspend(self, run: "Switchable") -> bool:
        """Whether its user is suspended: it may not buy, as if locked."""
        return run.user_id in self._suspended


async def load_kill_switches(session: AsyncSession) -> KillSwitches:
    rows = await session.execute(select(KillSwitch.scope, KillSwitch.scope_id).where(KillSwitch.released_at.is_(None)))
    trades = exists().where(Run.user_id == User.id, Run.state != RunState.ENDED)
    suspended = await session.scalars(select(User.id).where(User.state != UserState.ACTIVE, trades))
    return KillSwitches([(row.scope, row.scope_id) for row in rows], suspended.all())


async def newest_events(session: AsyncSession, strategy_ids: Sequence[str]) -> list[RunEventHint]:
    """How far the timelines of those strategies have come."""
    newest = select(RunEvent.user_id, RunEvent.strategy_id, func.max(RunEvent.sequence)).where(
        RunEvent.strategy_id == any_of(strategy_ids)
    )
    rows = await session.execute(newest.group_by(RunEvent.user_id, RunEvent.strategy_id))
    return [RunEventHint(user_id, strategy_id, sequence) for user_id, strategy_id, sequence in rows]


_OPEN_POSITIONS = SingleStatement(
    text(
        """
        SELECT account_id, count(*) AS held FROM runs
        WHERE account_id = ANY(CAST(:account_ids AS text[])) AND state <> 'ended' AND bought > sold + taken_elsewhere
        GROUP BY account_id
        """
    )
)


async def open_positions(database: Database, account_ids: Sequence[str]) -> dict[str, int]:
    """How many runs of each account hold shares; accounts without any are absent."""
    rows = await database.fetch(_OPEN_POSITIONS, {"account_ids": list(account_ids)})
    return {row["account_id"]: row["held"] for row in rows}
