"""Streams end with what they were opened with: access token, session, API key, and with a suspension of their user."""

from collections.abc import Collection

from sqlalchemy.exc import SQLAlchemyError

from api.live.hub import Hub
from storage.database import Database
from storage.repositories import api_keys, sessions
from trading.ports.clock import Clock


class Doorkeeper:
    def __init__(self, hub: Hub, database: Database, clock: Clock) -> None:
        self._hub = hub
        self._database = database
        self._clock = clock

    async def look(self, users: Collection[str] | None = None) -> None:
        """Cut off who may not stay, of these users or of all. A database that is away ends no stream."""
        now = self._clock.now()
        for reader in self._hub.readers(users):
            if reader.admission.expires_at <= now:
                reader.cut()
        present = [reader.admission for reader in self._hub.readers(users) if not reader.is_over]
        families = {one.session_family for one in present if one.api_key_id is None}
        keys = {one.api_key_id for one in present if one.api_key_id is not None}
        try:
            async with self._database.unhurried() as session:
                good_families = await sessions.admitted(session, families) if families else set()
                good_keys = await api_keys.admitted(session, keys, now=now) if keys else set()
        except (SQLAlchemyError, OSError, TimeoutError):
            return
        ended = (families - good_families) | (keys - good_keys)
        for reader in self._hub.readers(users):
            if (reader.admission.api_key_id or reader.admission.session_family) in ended:
                reader.cut()
