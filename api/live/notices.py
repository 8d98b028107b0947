"""Alerts and looks before the open: what has been told of them, so that each beginning, end and finding is told once."""

from collections.abc import Collection
from datetime import date

from api.live.event import LiveEvent
from api.live.told import SeenAlert, alert_event, readiness_event
from execution.alarm_kinds import FOR_EVERYBODY
from storage.database import Database
from storage.repositories import live

# More than people can look at; what is beyond is in `GET /alerts`.
MOST = 5_000


class AlertNews:
    def __init__(self, database: Database) -> None:
        self._database = database
        # Whose each open one is; None: the platform's.
        self._open: dict[str, str | None] | None = None

    async def begin(self, users: Collection[str]) -> None:
        """What is open of theirs is in their snapshots."""
        seen = await self._read(users)
        if self._open is None:
            self._open = {one.alert.id: one.alert.user_id for one in seen}
        self._open |= {one.alert.id: one.alert.user_id for one in seen if one.alert.user_id is not None}

    def keep_only(self, users: Collection[str]) -> None:
        """Forget those who have left."""
        if not users:
            self._open = None
        elif self._open is not None:
            self._open = {key: owner for key, owner in self._open.items() if owner is None or owner in users}

    async def news(self, users: Collection[str]) -> list[tuple[str | None, LiveEvent]]:
        """What has begun, was acknowledged or has ended, each with whose it is, oldest first; None: everybody's."""
        before = self._open or {}
        now_open = {one.alert.id: one for one in await self._read(users)}
        gone = before.keys() - now_open.keys()
        over = [one for one in await self._by_id(gone) if one.alert.cleared_at or one.alert.acknowledged_at] if gone else []
        begun = [one for key, one in now_open.items() if key not in before]
        self._open = {key: one.alert.user_id for key, one in now_open.items()}
        told = sorted([*begun, *over], key=lambda one: one.alert.id)
        return [(one.alert.user_id, alert_event(one)) for one in told]

    async def _read(self, users: Collection[str]) -> list[SeenAlert]:
        async with self._database.unhurried() as session:
            return [SeenAlert(*row) for row in await live.open_alerts(session, users, everybody=FOR_EVERYBODY, most=MOST)]

    async def _by_id(self, alert_ids: Collection[str]) -> list[SeenAlert]:
        async with self._database.unhurried() as session:
            return [SeenAlert(*row) for row in await live.alerts_by_id(session, alert_ids)]


class ReadinessNews:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: dict[str, str] = {}

    async def begin(self, users: Collection[str], day: date) -> None:
        """What was found of their accounts is in their snapshots."""
        async with self._database.unhurried() as session:
            self._told |= {check.id: check.user_id for check in await live.readiness_since(session, users, day)}

    def keep_only(self, users: Collection[str]) -> None:
        self._told = {key: owner for key, owner in self._told.items() if owner in users}

    async def news(self, users: Collection[str], day: date) -> list[tuple[str, LiveEvent]]:
        async with self._database.unhurried() as session:
            found = await live.readiness_since(session, users, day)
        new = [check for check in found if check.id not in self._told]
        self._told = {check.id: check.user_id for check in found}
        return [(check.user_id, readiness_event(check)) for check in new]
