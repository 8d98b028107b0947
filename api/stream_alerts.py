"""The alerts of one user as a live stream tells them: what is open at first, then each that begins, is acknowledged, or ends."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarm_kinds import FOR_EVERYBODY
from storage.models import Alert
from storage.repositories import alerts

# More than a person can look at; what is beyond is in `GET /alerts`.
MOST = 200


class AlertChanges:
    def __init__(self, *, user_id: str) -> None:
        self._sight = alerts.Sight(user_id, FOR_EVERYBODY)
        self._open: frozenset[str] = frozenset()

    async def read(self, session: AsyncSession) -> Sequence[Alert]:
        """What has changed since the last read, oldest first; at the first one whatever is open."""
        listed = await alerts.page(session, sight=self._sight, chosen=alerts.Filter(), before=None, limit=MOST)
        now_open = frozenset(alert.id for alert in listed)
        gone = self._open - now_open
        ended = (await session.scalars(select(Alert).where(Alert.id.in_(gone)))).all() if gone else ()
        begun = [alert for alert in listed if alert.id not in self._open]
        self._open = now_open
        return sorted([*begun, *ended], key=lambda alert: alert.id)
