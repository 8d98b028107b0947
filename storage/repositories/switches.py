"""What an administrator switches while the platform runs: maintenance, brokers, features. Rows of `settings`.

All of them are about what is new. Nothing here ever stops an exit, a stop-loss, or a run that has been started: for that there is
the kill switch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import Setting
from trading.accounts import BrokerName

MAINTENANCE = "maintenance"
_BROKER, _FLAG = "broker:", "flag:"


class Flag(str, Enum):
    """Features that can be switched off; all are on until somebody does."""

    REGISTRATION = "registration"
    START_NOW = "start_now"
    REPEATING = "repeating"
    LIVE_TRADING = "live_trading"


MEANINGS: Mapping[Flag, str] = {
    Flag.REGISTRATION: "People may register themselves",
    Flag.START_NOW: "A strategy may be started at once, without waiting for its buy time",
    Flag.REPEATING: "Strategies that repeat are started every morning",
    Flag.LIVE_TRADING: "Strategies may be started with live accounts",
}


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that somebody has used. `reason` is shown to those it concerns."""

    is_on: bool
    reason: str
    changed_at: datetime
    changed_by: str | None


@dataclass(frozen=True, slots=True)
class Switches:
    """As they are now; what nobody has touched is absent."""

    used: Mapping[str, Switch] = field(default_factory=dict)

    @property
    def maintenance(self) -> Switch | None:
        """None: there is none."""
        switch = self.used.get(MAINTENANCE)
        return switch if switch is not None and switch.is_on else None

    @property
    def brokers_off(self) -> frozenset[BrokerName]:
        return frozenset(broker for broker in BrokerName if not self._is_on(_BROKER + broker.value))

    def is_on(self, flag: Flag) -> bool:
        return self._is_on(_FLAG + flag.value)

    def of_broker(self, broker: BrokerName) -> Switch | None:
        return self.used.get(_BROKER + broker.value)

    def of_flag(self, flag: Flag) -> Switch | None:
        return self.used.get(_FLAG + flag.value)

    @property
    def why_maintenance(self) -> str:
        reason = self.maintenance.reason if self.maintenance else ""
        return f"maintenance: {reason}" if reason else "maintenance: nothing new is started"

    def why_broker_is_off(self, broker: BrokerName) -> str:
        switch = self.of_broker(broker)
        why = f": {switch.reason}" if switch and switch.reason else ""
        return f"an administrator has switched {broker.value} off{why}"

    def _is_on(self, name: str) -> bool:
        switch = self.used.get(name)
        return switch is None or switch.is_on


async def load(session: AsyncSession) -> Switches:
    rows = await session.scalars(select(Setting).execution_options(populate_existing=True))
    return Switches({row.name: _switch(row) for row in rows if _is_switch(row.name)})


async def set_maintenance(session: AsyncSession, *, on: bool, reason: str, by: str, now: datetime) -> None:
    await _set(session, MAINTENANCE, on=on, reason=reason, by=by, now=now)


async def set_broker(session: AsyncSession, broker: BrokerName, *, on: bool, reason: str, by: str, now: datetime) -> None:
    await _set(session, _BROKER + broker.value, on=on, reason=reason, by=by, now=now)


async def set_flag(session: AsyncSession, flag: Flag, *, on: bool, reason: str, by: str, now: datetime) -> None:
    await _set(session, _FLAG + flag.value, on=on, reason=reason, by=by, now=now)


async def _set(session: AsyncSession, name: str, *, on: bool, reason: str, by: str, now: datetime) -> None:
    """Two administrators at once: the later one counts."""
    values = {"value": {"on": on, "reason": reason}, "updated_at": now, "updated_by": by}
    statement = insert(Setting).values(id=new_id(Setting.id_prefix), name=name, created_by=by, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _is_switch(name: str) -> bool:
    return name == MAINTENANCE or name.startswith((_BROKER, _FLAG))


def _switch(row: Setting) -> Switch:
    """A row that cannot be read as a switch is off for what it names: nothing new is started on a guess."""
    on, reason = row.value.get("on"), row.value.get("reason")
    readable = on if isinstance(on, bool) else row.name == MAINTENANCE
    return Switch(readable, reason if isinstance(reason, str) else "", row.updated_at, row.updated_by)
