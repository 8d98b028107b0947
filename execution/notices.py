"""Telling others that rows have changed: hints only, sent after the commit. Redis may be gone; Postgres has it all."""

import asyncio

import structlog
from redis.asyncio import Redis

from cache.channels import ArmedStop, Disarmed, publish_armed, publish_order_hint
from cache.connection import CacheUnavailable
from execution.follow import Followed
from execution.views import armed_stop

_log = structlog.get_logger()


class Notices:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._changes: list[ArmedStop | Disarmed] = []
        self._telling: asyncio.Task[None] | None = None

    async def armed(self, changes: list[ArmedStop | Disarmed]) -> None:
        """Returns when they were told. What comes while others are being told goes together: a herd is covered all at once."""
        self._changes += changes
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_armed())
        await asyncio.shield(self._telling)

    async def _tell_armed(self) -> None:
        while self._changes:
            changes, self._changes = self._changes, []
            try:
                await publish_armed(self._redis, changes)
            except CacheUnavailable:
                _log.debug("notice_lost", what="armed")

    async def followed(self, followed: Followed) -> None:
        """Tell the listener what to watch from now on, or to stop watching."""
        if followed.armed_exit is not None and followed.armed_for is not None:
            await self.armed([armed_stop(followed.armed_for, armed_at=followed.armed_exit.created_at)])
        elif followed.disarmed:
            await self.armed([Disarmed(followed.run_id)])

    async def account(self, account_id: str) -> None:
        """Nudge whoever runs the account's desk to read its rows again."""
        try:
            await publish_order_hint(self._redis, account_id)
        except CacheUnavailable:
            _log.debug("notice_lost", what="account")
