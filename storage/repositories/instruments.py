"""The instruments table: stored in bulk from a broker's master, read in portions."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import InstrumentRow, Setting
from trading.accounts import BrokerName
from trading.ports.broker import ListedInstrument

# Rows per statement: large enough to be fast, small enough for the statement timeout on a busy machine.
STORE_ROWS = 4_000
READ_ROWS = 2_000
_LOADED = "instruments.loaded"
# Two processes that load together would only do the work twice; any constant will do.
_LOAD_LOCK = 7_203_114_552

# What one broker's list does not say (circuit limits, freeze quantities) another's of the same day has said.
_STORE = text("""
    INSERT INTO instruments (id, exchange, symbol, name, segment, tick_size, lot_size, freeze_quantity, has_derivatives,
                             lower_circuit, upper_circuit, broker_tokens, listed_on)
    SELECT r.id, r.exchange, r.symbol, r.name, r.segment, r.tick_size, r.lot_size, r.freeze_quantity, r.has_derivatives,
           r.lower_circuit, r.upper_circuit, jsonb_build_object(CAST(:broker AS text), r.token), :listed_on
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        id text, exchange text, symbol text, name text, segment text, tick_size numeric, lot_size integer,
        freeze_quantity integer, has_derivatives boolean, lower_circuit numeric, upper_circuit numeric, token text)
    ON CONFLICT (exchange, symbol) DO UPDATE SET
        name = excluded.name, segment = excluded.segment, tick_size = excluded.tick_size, lot_size = excluded.lot_size,
        freeze_quantity = coalesce(excluded.freeze_quantity, instruments.freeze_quantity),
        has_derivatives = excluded.has_derivatives
            OR (instruments.has_derivatives AND instruments.listed_on = excluded.listed_on),
        lower_circuit = coalesce(excluded.lower_circuit,
            CASE WHEN instruments.listed_on = excluded.listed_on THEN instruments.lower_circuit END),
        upper_circuit = coalesce(excluded.upper_circuit,
            CASE WHEN instruments.listed_on = excluded.listed_on THEN instruments.upper_circuit END),
        broker_tokens = instruments.broker_tokens || excluded.broker_tokens,
        listed_on = excluded.listed_on, updated_at = now()
""")

# Rows this transaction has written carry its own instant; the others are not in the broker's list any more.
_FORGET_TOKENS = text("""
    UPDATE instruments SET broker_tokens = broker_tokens - CAST(:broker AS text)
    WHERE updated_at < now() AND jsonb_exists(broker_tokens, :broker)
""")


@dataclass(frozen=True, slots=True)
class NewestLoad:
    """The newest list of any broker, and when each broker's own was stored last."""

    listed_on: date
    loaded_at: datetime
    by_broker: Mapping[str, datetime]


async def store(
    session: AsyncSession, *, broker: BrokerName, listed: Sequence[ListedInstrument], listed_on: date, now: datetime
) -> None:
    """Insert or update every row of a broker's list, and mark it as the newest load."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOAD_LOCK)))
    # A master may list a symbol twice; the last one stands, for one statement cannot touch a row twice.
    rows = list({entry.instrument.id: _row(entry) for entry in listed}.values())
    for start in range(0, len(rows), STORE_ROWS):
        portion = json.dumps(rows[start : start + STORE_ROWS])
        await session.execute(_STORE, {"rows": portion, "broker": broker.value, "listed_on": listed_on})
    await session.execute(_FORGET_TOKENS, {"broker": broker.value})
    await _mark(session, broker=broker, listed_on=listed_on, now=now)


async def _mark(session: AsyncSession, *, broker: BrokerName, listed_on: date, now: datetime) -> None:
    """The lock of `store` is held: nobody else marks meanwhile."""
    newest = await newest_load(session)
    loads = {**(newest.by_broker if newest else {}), broker.value: now}
    by_broker = {name: at.isoformat() for name, at in loads.items()}
    value = {"listed_on": listed_on.isoformat(), "loaded_at": now.isoformat(), "by_broker": by_broker}
    statement = insert(Setting).values(id=new_id(Setting.id_prefix), name=_LOADED, value=value)
    await session.execute(statement.on_conflict_do_update(index_elements=[Setting.name], set_={"value": value}))


async def newest_load(session: AsyncSession) -> NewestLoad | None:
    """When a list was stored last, or None if never."""
    value = await session.scalar(select(Setting.value).where(Setting.name == _LOADED))
    if value is None:
        return None
    by_broker = {name: datetime.fromisoformat(at) for name, at in value.get("by_broker", {}).items()}
    return NewestLoad(date.fromisoformat(value["listed_on"]), datetime.fromisoformat(value["loaded_at"]), by_broker)


async def listed_rows(session: AsyncSession) -> AsyncIterator[list[Row[Any]]]:
    """Rows that the newest list of at least one broker names, in portions, so that a process with orders in hand never stalls on
    them. A broker whose list could not be read this morning keeps the one before."""
    columns = (
        InstrumentRow.exchange,
        InstrumentRow.symbol,
        InstrumentRow.name,
        InstrumentRow.segment,
        InstrumentRow.tick_size,
        InstrumentRow.lot_size,
        InstrumentRow.freeze_quantity,
        InstrumentRow.has_derivatives,
        InstrumentRow.lower_circuit,
        InstrumentRow.upper_circuit,
        InstrumentRow.broker_tokens,
    )
    stream = await session.stream(select(*columns).where(InstrumentRow.broker_tokens != {}))
    async for rows in stream.partitions(READ_ROWS):
        yield list(rows)


def _row(entry: ListedInstrument) -> dict[str, object]:
    instrument = entry.instrument
    return {
        "id": new_id(InstrumentRow.id_prefix),
        "exchange": instrument.id.exchange,
        "symbol": instrument.id.symbol,
        "name": instrument.name,
        "segment": instrument.segment.value,
        "tick_size": str(instrument.tick_size),
        "lot_size": instrument.lot_size,
        "freeze_quantity": instrument.freeze_quantity,
        "has_derivatives": instrument.has_derivatives,
        "lower_circuit": None if instrument.lower_circuit is None else str(instrument.lower_circuit),
        "upper_circuit": None if instrument.upper_circuit is None else str(instrument.upper_circuit),
        "token": entry.token,
    }
