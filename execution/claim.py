"""The claim: `armed -> sending`, which one caller wins. Whoever holds it is the only one that will ever send that attempt.

Rows are locked in id order with SKIP LOCKED, many in one statement, and the statement itself states every condition under which
the order may leave. What it returns is what is sent; nothing is taken from memory. Entries of an account with risk limits are
judged before, under the account's lock and in the same transaction. An error during a claim is neither won nor lost: the row is
read again at the next sweep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import ARRAY, DateTime, Executable, Numeric, RowMapping, String, bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from execution.limits import DueEntry, admit_entries, have_own_limits, load_limits, lock_accounts
from storage.database import Database
from storage.single import Row, SingleStatement
from trading.instruments import InstrumentId, Product
from trading.orders import Leg, OrderRequest, Side
from trading.risk import NO_LIMITS, Limits, Refusal
from trading.runs import ExitReason
from trading.sessions import trading_date

_log = structlog.get_logger()

# A claimed order must be on the wire within this time; afterwards anyone may start to ask the broker's book about it.
SEND_WITHIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class WantedEntry:
    """An entry that is due. `reference` is the last price it is measured against, `limit` the protected price, rupees."""

    order_id: str
    limit: Decimal
    reference: Decimal
    fired_by: str
    band_step: int = 0


@dataclass(frozen=True, slots=True)
class WantedExit:
    """An exit whose condition came true at `wanted_at`. `trigger` is the price that crossed, for a stop or a target; else
    None."""

    order_id: str
    limit: Decimal
    reference: Decimal
    reason: ExitReason
    wanted_at: datetime
    fired_by: str
    trigger: Decimal | None = None
    band_step: int = 0


@dataclass(frozen=True, slots=True)
class ClaimedOrder:
    """An attempt that is ours to send. `send_until` is monotonic seconds: at or after it nothing may be written any more."""

    order_id: str
    run_id: str
    strategy_id: str
    user_id: str
    account_id: str
    leg: Leg
    attempt: int
    revision: int
    request: OrderRequest
    wanted_at: datetime
    fired_by: str
    reason: ExitReason | None
    trigger: Decimal | None
    send_until: float

    @property
    def is_backup(self) -> bool:
        """It goes to rest at the broker as a stop; nobody wants to leave yet."""
        return self.request.trigger_price is not None


_TEXTS, _NUMBERS, _INSTANTS = ARRAY(String), ARRAY(Numeric), ARRAY(DateTime(timezone=True))
_ENTRY_PARAMETERS = [
    bindparam("order_ids", type_=_TEXTS),
    bindparam("limits", type_=_NUMBERS),
    bindparam("reference_prices", type_=_NUMBERS),
    bindparam("band_steps", type_=_NUMBERS),
    bindparam("fired_bys", type_=_TEXTS),
]
_EXIT_PARAMETERS = [
    *_ENTRY_PARAMETERS,
    bindparam("reasons", type_=_TEXTS),
    bindparam("wanted_ats", type_=_INSTANTS),
    bindparam("triggers", type_=_NUMBERS),
]

# Entries stop at a kill switch; exits never do: reducing is always allowed.
_NO_KILL_SWITCH = """
    NOT EXISTS (
        SELECT 1 FROM kill_switches k
        WHERE k.released_at IS NULL AND (
            k.scope = 'platform'
            OR (k.scope = 'user' AND k.scope_id = o.user_id)
            OR (k.scope = 'account' AND k.scope_id = o.account_id)
            OR (k.scope = 'strategy' AND k.scope_id = o.strategy_id)))
"""

# Nor is anything bought for a user who is suspended; what they hold is sold as planned.
_USER_ACTIVE = """
    EXISTS (SELECT 1 FROM users u WHERE u.id = o.user_id AND u.state = 'active' AND u.deleted_at IS NULL)
"""

# An order with a tag of ours that no row knows may be this very purchase: nothing is bought until a person has looked.
_NO_UNKNOWN_ORDER = """
    NOT EXISTS (
        SELECT 1 FROM alerts l
        WHERE l.account_id = o.account_id AND l.kind = 'order_unknown' AND l.cleared_at IS NULL AND l.acknowledged_at IS NULL)
"""

# On another database server than the one the account was last compared on, rows may be missing or older than what was sent:
# nothing leaves, not even an exit, until the broker's book has been compared with them (execution/servers.py).
_COMPARED = """
    NOT EXISTS (
        SELECT 1 FROM desk_leases d
        WHERE d.account_id = o.account_id AND d.compared_server IS DISTINCT FROM (SELECT database_server()))
"""

_RETURNING = """
    RETURNING o.id, o.run_id, o.strategy_id, o.user_id, o.account_id, o.leg, o.attempt, o.revision, o.tag, o.exchange, o.symbol,
              o.product, o.side, o.quantity, o.price, o.wanted_at, o.reason, o.trigger_price, o.fired_by, o.backup_trigger
"""

_DUE_ENTRIES = f"""
    WITH wanted AS (
        SELECT * FROM unnest(:order_ids, :limits, :reference_prices, :band_steps, :fired_bys)
            AS w(order_id, limit_price, reference, band_step, fired_by)
    ), due AS (
        SELECT o.id, o.account_id, o.trading_day, o.quantity FROM orders o
        JOIN wanted w ON w.order_id = o.id
        JOIN runs r ON r.id = o.run_id
        WHERE o.state = 'armed' AND o.leg = 'entry'
          AND (o.fire_at <= :now OR o.wanted_at IS NOT NULL)
          AND o.deadline_at > :now
          AND w.reference > o.stop_price AND (o.target_price IS NULL OR w.reference < o.target_price)
          AND r.state <> 'ended' AND r.exit_wanted_at IS NULL AND NOT r.leave_open AND :now < r.hand_over_at
          AND {_NO_KILL_SWITCH}
          AND {_USER_ACTIVE}
          AND {_NO_UNKNOWN_ORDER}
          AND {_COMPARED}
        ORDER BY o.id
        FOR UPDATE OF o SKIP LOCKED
    )
"""  # noqa: S608 (constants only; every value is bound)

# Locks what may leave, for those whose account has limits: these are judged before the claim, in the same transaction.
_LOCK_DUE_ENTRIES = text(
    f"{_DUE_ENTRIES} SELECT id, account_id, trading_day, quantity FROM due ORDER BY id"  # noqa: S608 (constants only)
).bindparams(*_ENTRY_PARAMETERS)

_CLAIM_ENTRIES = SingleStatement(
    text(
        f"""
    {_DUE_ENTRIES}
    UPDATE orders o
    SET state = 'sending', owner = :owner, claimed_at = clock_timestamp(), send_by = clock_timestamp() + :send_within,
        price = w.limit_price, reference_price = w.reference, band_step = w.band_step::int,
        wanted_at = COALESCE(o.fire_at, o.wanted_at), fired_by = w.fired_by,
        revision = o.revision + 1, updated_at = clock_timestamp()
    FROM due JOIN wanted w ON w.order_id = due.id
    WHERE o.id = due.id
    {_RETURNING}
    """  # noqa: S608 (constants only; every value is bound)
    ).bindparams(*_ENTRY_PARAMETERS)
)

_CLAIM_EXITS = SingleStatement(
    text(
        f"""
    WITH wanted AS (
        SELECT * FROM unnest(:order_ids, :limits, :reference_prices, :band_steps, :fired_bys, :reasons, :wanted_ats, :triggers)
            AS w(order_id, limit_price, reference, band_step, fired_by, reason, wanted_at, trigger_price)
    ), due AS (
        SELECT o.id FROM orders o
        JOIN wanted w ON w.order_id = o.id
        JOIN runs r ON r.id = o.run_id
        WHERE o.state = 'armed' AND o.leg = 'exit' AND NOT r.leave_open AND :now < r.hand_over_at
          AND o.quantity BETWEEN 1 AND r.bought - r.sold - r.taken_elsewhere
          AND ((w.reason = 'stop_loss' AND o.stop_price >= w.trigger_price)
               OR (w.reason = 'target' AND o.target_price <= w.trigger_price)
               OR (w.reason = 'sell_time' AND o.fire_at <= :now)
               OR r.exit_wanted_at IS NOT NULL OR o.wanted_at IS NOT NULL)
          AND {_COMPARED}
        ORDER BY o.id
        FOR UPDATE OF o SKIP LOCKED
    )
    UPDATE orders o
    SET state = 'sending', owner = :owner, claimed_at = clock_timestamp(), send_by = clock_timestamp() + :send_within,
        price = w.limit_price, reference_price = w.reference, band_step = w.band_step::int,
        reason = w.reason, wanted_at = w.wanted_at, trigger_price = w.trigger_price, fired_by = w.fired_by,
        revision = o.revision + 1, updated_at = clock_timestamp()
    FROM due JOIN wanted w ON w.order_id = due.id
    WHERE o.id = due.id
    {_RETURNING}
    """  # noqa: S608 (constants only; every value is bound)
    ).bindparams(*_EXIT_PARAMETERS)
)


@dataclass(frozen=True, slots=True)
class EntriesClaimed:
    """`refused`: still armed, over a limit of their account; whoever claimed takes them back."""

    claimed: list[ClaimedOrder]
    refused: dict[str, Refusal]


async def claim_entries(
    database: Database,
    wanted: Sequence[WantedEntry],
    *,
    owner: str,
    now: datetime,
    monotonic: float,
    defaults: Limits = NO_LIMITS,
) -> EntriesClaimed:
    """Claim those that may leave. `now` and `monotonic` are read before the statement: `send_until` errs on the early side.

    `defaults`: the limits of accounts that have none of their own.
    """
    if not wanted:
        return EntriesClaimed([], {})
    if not defaults.is_any_set and not await have_own_limits(database, [entry.order_id for entry in wanted]):
        values = {**_entry_values(wanted), "owner": owner, "now": now, "send_within": SEND_WITHIN}
        rows = await database.fetch(_CLAIM_ENTRIES, values)
        return EntriesClaimed(_claimed(rows, now=now, monotonic=monotonic), {})
    async with database.transaction() as session:
        return await claim_judged(session, wanted, owner=owner, now=now, monotonic=monotonic, defaults=defaults)


async def claim_judged(
    session: AsyncSession,
    wanted: Sequence[WantedEntry],
    *,
    owner: str,
    now: datetime,
    monotonic: float,
    defaults: Limits = NO_LIMITS,
) -> EntriesClaimed:
    """Where some accounts have limits: judged and claimed in one transaction, which the caller ends."""
    limited = await load_limits(session, [entry.order_id for entry in wanted], defaults=defaults, today=trading_date(now))
    free = [entry for entry in wanted if entry.order_id not in limited.order_ids]
    refused: dict[str, Refusal] = {}
    if limited.order_ids:
        judged = [entry for entry in wanted if entry.order_id in limited.order_ids]
        await lock_accounts(session, list(limited.of_account))
        rows = await session.execute(_LOCK_DUE_ENTRIES, {**_entry_values(judged), "now": now})
        due = [DueEntry(row.id, row.account_id, row.trading_day, row.quantity) for row in rows]
        prices = {entry.order_id: entry.limit for entry in judged}
        admitted, refused = await admit_entries(session, due, prices=prices, limits=limited.of_account)
        free += [entry for entry in judged if entry.order_id in admitted]
    claimed = await _claim(session, _CLAIM_ENTRIES.clause, _entry_values(free), owner=owner, now=now, monotonic=monotonic)
    return EntriesClaimed(claimed, refused)


def _entry_values(wanted: Sequence[WantedEntry]) -> dict[str, Any]:
    return {
        "order_ids": [entry.order_id for entry in wanted],
        "limits": [entry.limit for entry in wanted],
        "reference_prices": [entry.reference for entry in wanted],
        "band_steps": [Decimal(entry.band_step) for entry in wanted],
        "fired_bys": [entry.fired_by for entry in wanted],
    }


async def claim_exits(
    database: Database, wanted: Sequence[WantedExit], *, owner: str, now: datetime, monotonic: float
) -> list[ClaimedOrder]:
    """As `claim_entries`, for exits, in one statement that commits by itself: at their stop, at their time, or because the run
    wants out."""
    if not wanted:
        return []
    values = {
        "order_ids": [leaving.order_id for leaving in wanted],
        "limits": [leaving.limit for leaving in wanted],
        "reference_prices": [leaving.reference for leaving in wanted],
        "band_steps": [Decimal(leaving.band_step) for leaving in wanted],
        "fired_bys": [leaving.fired_by for leaving in wanted],
        "reasons": [leaving.reason.value for leaving in wanted],
        "wanted_ats": [leaving.wanted_at for leaving in wanted],
        "triggers": [leaving.trigger for leaving in wanted],
    }
    rows = await database.fetch(_CLAIM_EXITS, {**values, "owner": owner, "now": now, "send_within": SEND_WITHIN})
    return _claimed(rows, now=now, monotonic=monotonic)


async def _claim(
    session: AsyncSession,
    statement: Executable,
    values: Mapping[str, Any],
    *,
    owner: str,
    now: datetime,
    monotonic: float,
) -> list[ClaimedOrder]:
    parameters = {**values, "owner": owner, "now": now, "send_within": SEND_WITHIN}
    rows = (await session.execute(statement, parameters)).mappings().all()
    return _claimed(rows, now=now, monotonic=monotonic)


async def prepare_claims(database: Database) -> None:
    """Have a connection that knows the claims, so that the first order of the day does not wait until the server has read and
    planned them. Claims nothing. Never raises for a database that is away: it is asked again by the first claim."""
    now, nothing = datetime.now(UTC), Decimal(0)
    entry = WantedEntry("", nothing, nothing, "nobody")
    leaving = WantedExit("", nothing, nothing, ExitReason.SELL_TIME, now, "nobody")
    try:
        await claim_exits(database, [leaving], owner="", now=now, monotonic=0.0)
        await claim_entries(database, [entry], owner="", now=now, monotonic=0.0)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        _log.warning("claims_not_prepared", error=str(error))


# The run is locked by the caller: a wish to leave that was committed is seen, and one that comes later finds the order sent.
_CLAIM_BACKUP = text(
    f"""
    UPDATE orders o
    SET state = 'sending', owner = :owner, claimed_at = clock_timestamp(), send_by = clock_timestamp() + :send_within,
        price = :limit, backup_trigger = :trigger, fired_by = 'backup',
        revision = o.revision + 1, updated_at = clock_timestamp()
    FROM runs r
    WHERE o.id = :order_id AND o.revision = :revision AND o.state = 'armed' AND o.leg = 'exit' AND o.wanted_at IS NULL
      AND r.id = o.run_id AND r.backup_stop AND r.state <> 'ended' AND r.exit_wanted_at IS NULL AND NOT r.leave_open
      AND r.handed_over_at IS NULL AND :now < r.hand_over_at
      AND o.stop_price > :trigger AND o.quantity BETWEEN 1 AND r.bought - r.sold - r.taken_elsewhere
      AND {_COMPARED}
    {_RETURNING}
    """  # noqa: S608 (constants only; every value is bound)
).bindparams(bindparam("limit", type_=Numeric), bindparam("trigger", type_=Numeric))


@dataclass(frozen=True, slots=True)
class WantedBackup:
    """An armed exit that shall rest at the broker. Prices in rupees."""

    order_id: str
    run_id: str
    revision: int
    trigger: Decimal
    limit: Decimal


async def claim_backup(
    session: AsyncSession, wanted: WantedBackup, *, owner: str, now: datetime, monotonic: float
) -> ClaimedOrder | None:
    """As `claim_exits`, for an exit that goes while nobody wants to leave. None: somebody does, or the row has moved on."""
    await session.execute(text("SELECT 1 FROM runs WHERE id = :run_id FOR UPDATE"), {"run_id": wanted.run_id})
    values = {"order_id": wanted.order_id, "revision": wanted.revision, "limit": wanted.limit, "trigger": wanted.trigger}
    claimed = await _claim(session, _CLAIM_BACKUP, values, owner=owner, now=now, monotonic=monotonic)
    return claimed[0] if claimed else None


def _claimed(rows: Sequence[RowMapping | Row], *, now: datetime, monotonic: float) -> list[ClaimedOrder]:
    return [_claimed_order(row, send_until=monotonic + SEND_WITHIN.total_seconds(), now=now) for row in rows]


def _claimed_order(row: RowMapping | Row, *, send_until: float, now: datetime) -> ClaimedOrder:
    request = OrderRequest(
        tag=row["tag"],
        instrument=InstrumentId(row["exchange"], row["symbol"]),
        product=Product(row["product"]),
        side=Side(row["side"]),
        quantity=row["quantity"],
        price=row["price"],
        trigger_price=row["backup_trigger"],
    )
    return ClaimedOrder(
        order_id=row["id"],
        run_id=row["run_id"],
        strategy_id=row["strategy_id"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        leg=Leg(row["leg"]),
        attempt=row["attempt"],
        revision=row["revision"],
        request=request,
        wanted_at=row["wanted_at"] or now,
        fired_by=row["fired_by"],
        reason=ExitReason(row["reason"]) if row["reason"] else None,
        trigger=row["trigger_price"],
        send_until=send_until,
    )


_GIVE_BACK = text(
    """
    UPDATE orders
    SET state = 'armed', owner = NULL, send_by = NULL, claimed_at = NULL, backup_trigger = NULL,
        revision = revision + 1, updated_at = clock_timestamp()
    WHERE id = :order_id AND state = 'sending' AND owner = :owner AND revision = :revision
    RETURNING id
    """
)


async def give_back(session: AsyncSession, claimed: ClaimedOrder, *, owner: str) -> bool:
    """The order was not sent and provably never will be under this claim: anyone may claim it again."""
    values = {"order_id": claimed.order_id, "owner": owner, "revision": claimed.revision}
    return (await session.execute(_GIVE_BACK, values)).first() is not None
