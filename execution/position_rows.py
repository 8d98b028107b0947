"""Rows of what was there before the day's trades, by account, instrument, product and day."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from sqlalchemy import Table, func, select
from sqlalchemy.dialects.postgresql import insert

from storage.database import Database
from storage.ids import new_id
from storage.models import BrokerAccount, PositionLedger
from trading.ledger import LedgerKey
from trading.sessions import trading_date

_LEDGER = cast("Table", PositionLedger.__table__)
_INSERTED = insert(_LEDGER)
# Made once: each `excluded` is a copy of the whole table, listeners of its columns included.
_KEEP_THE_FIRST = _INSERTED.on_conflict_do_update(
    index_elements=["account_id", "exchange", "symbol", "product", "trading_day"],
    set_={name: func.coalesce(_LEDGER.c[name], _INSERTED.excluded[name]) for name in ("baseline", "delivered")},
)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """`baseline`: the position; `delivered`: shares of earlier days. None: not known."""

    baseline: int | None = None
    delivered: int | None = None


async def read_ledger_row(database: Database, account_id: str, key: LedgerKey, day: date) -> LedgerRow:
    query = select(PositionLedger.baseline, PositionLedger.delivered).where(
        PositionLedger.account_id == account_id,
        PositionLedger.exchange == key.instrument.exchange,
        PositionLedger.symbol == key.instrument.symbol,
        PositionLedger.product == key.product.value,
        PositionLedger.trading_day == day,
    )
    async with database.transaction() as session:
        row = (await session.execute(query)).one_or_none()
    return LedgerRow() if row is None else LedgerRow(row.baseline, row.delivered)


async def store_ledger_row(
    database: Database,
    account_id: str,
    key: LedgerKey,
    *,
    baseline: int | None = None,
    delivered: int | None = None,
    now: datetime,
) -> None:
    """Each is written once a day; the first one stands."""
    values = {
        "id": new_id(PositionLedger.id_prefix),
        "account_id": account_id,
        "exchange": key.instrument.exchange,
        "symbol": key.instrument.symbol,
        "product": key.product.value,
        "trading_day": trading_date(now),
        "baseline": baseline,
        "delivered": delivered,
        "read_at": now,
    }
    async with database.transaction() as session:
        user_id = await session.scalar(select(BrokerAccount.user_id).where(BrokerAccount.id == account_id))
        await session.execute(_KEEP_THE_FIRST, {"user_id": user_id, **values})
