"""Finds what is new for everybody who reads a live stream, and offers it: one reader of Postgres, however many streams.

Lines of the timeline come in their order, each once, settled (storage/repositories/timeline.py). Everything else is compared with
what was told before, so that a lost hint, a restart of Redis or a missed round costs time and nothing else.
"""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from api.live.doorkeeper import Doorkeeper
from api.live.notices import AlertNews, ReadinessNews
from api.live.strategies import StrategyNews
from api.live.told import line_event
from api.services import Services
from storage.repositories.timeline import SettledEvents, newest_settled
from trading.sessions import trading_date

_log = structlog.get_logger()

# How often somebody looks without having been told; and for what nobody is told of, while hints come and while they do not.
LOOK_SECONDS = 1.0
SWEEP_SECONDS = 5.0
SWEEP_WITHOUT_HINTS_SECONDS = 1.0
ALERTS_SECONDS = 0.5
# News of a herd are gathered for so long.
GATHER_SECONDS = 0.02
PAGE = 200
# While something written is not settled yet: longer each time, and then the rest of the round goes first.
SETTLE_PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)


class Tail:
    def __init__(self, platform: Services) -> None:
        self._hub = platform.hub
        self._database = platform.database
        self._clock = platform.clock
        self._door = Doorkeeper(platform.hub, platform.database, platform.clock)
        self.strategies = StrategyNews(platform.database, platform.redis)
        self._alerts = AlertNews(platform.database)
        self._readiness = ReadinessNews(platform.database)
        self._known: set[str] = set()
        self._lines: SettledEvents | None = None
        self._position = 0
        # Strategies of which more may have to be told than was, and those that have a new line.
        self._touched: set[str] = set()
        self._with_lines: set[str] = set()
        self._swept_at = self._alerts_at = float("-inf")

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                self._touched |= await self._hub.wait(LOOK_SECONDS)
                await self.round()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.info("streams_wait", error=type(error).__name__)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001 (supervised loop: everybody else's streams go on whatever one row holds)
                _log.error("streams_broken", error=repr(error), exc_info=True)
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(GATHER_SECONDS)

    async def round(self) -> None:
        """Everything that is new now."""
        users = set(self._hub.users)
        self._forget_all_but(users)
        if not users:
            return
        if self._lines is None:
            self._position = await newest_settled(self._database, pause_seconds=SETTLE_PAUSES[-1])
            self._lines = SettledEvents(after=self._position)
        await self._welcome(users - self._known)
        await self._tell_lines(self._lines)
        now = asyncio.get_running_loop().time()
        if now - self._swept_at >= (SWEEP_SECONDS if self._hub.hears_hints else SWEEP_WITHOUT_HINTS_SECONDS):
            self._touched |= await self._sweep()
            self._swept_at = now
        for user_id, event in await self.strategies.news(self._touched, standing_of=self._with_lines):
            self._hub.offer(user_id, event)
        self._touched.clear()
        self._with_lines.clear()
        if now - self._alerts_at >= ALERTS_SECONDS:
            await self._tell_alerts()
            self._alerts_at = now

    def _forget_all_but(self, users: set[str]) -> None:
        if self._known - users:
            self._known &= users
            for news in (self.strategies, self._alerts, self._readiness):
                news.keep_only(self._known)
        if not users:
            self._lines = None
            self._touched.clear()
            self._with_lines.clear()

    async def _welcome(self, new: set[str]) -> None:
        """What is there is in the snapshots of those who have come; what changes from now on is told."""
        if new:
            day = trading_date(self._clock.now())
            await self.strategies.begin(new)
            await self._alerts.begin(new)
            await self._readiness.begin(new, day)
            self._known |= new
        for reader in self._hub.readers(self._known):
            if not reader.has_joined:
                reader.join(self._position)

    async def _tell_lines(self, lines: SettledEvents) -> None:
        """Between reading a page and offering it nothing may fail: it is read once."""
        waited = 0
        while waited <= len(SETTLE_PAUSES):
            async with self._database.unhurried() as session:
                page = await lines.read(session, limit=PAGE)
            if page:
                await self._door.look({line.user_id for line in page})
                for line in page:
                    if line.user_id in self._hub.users:
                        self._hub.offer(line.user_id, line_event(line))
                        self._with_lines.add(line.strategy_id)
                self._position = page[-1].sequence
            if not lines.is_waiting:
                break
            waited = 0 if page else waited + 1
            await asyncio.sleep(SETTLE_PAUSES[min(waited, len(SETTLE_PAUSES) - 1)])

    async def _sweep(self) -> set[str]:
        """Whoever may not stay any more, findings before the open, and strategies that changed without a word."""
        await self._door.look()
        for user_id, event in await self._readiness.news(self._known, trading_date(self._clock.now())):
            self._hub.offer(user_id, event)
        return await self.strategies.changed(self._known)

    async def _tell_alerts(self) -> None:
        for user_id, event in await self._alerts.news(self._known):
            if user_id is None:
                self._hub.offer_everybody(event)
            else:
                self._hub.offer(user_id, event)
