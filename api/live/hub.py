"""Who reads live streams in this process, and what waits for each of them. `api/live/tail.py` fills it.

A reader that is behind holds nobody up: what waits for it is limited, and a reader with more than that is cut off. It comes back
with `Last-Event-ID`, and finds in Postgres what it has missed.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from redis.asyncio import Redis

from api.live.event import LiveEvent
from cache.channels import listen_run_events
from cache.connection import CacheUnavailable

_log = structlog.get_logger()

RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """`waiting`: events that may wait for one reader. `send_seconds`: a reader that takes nothing for so long is dropped."""

    waiting: int = 1_000
    send_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What a stream was opened with. It ends when that is over."""

    user_id: str
    expires_at: datetime
    session_family: str
    api_key_id: str | None


class Reader:
    """One open stream. `about`: ids of which one must be among an event's; None: everything of its user."""

    def __init__(self, admission: Admission, *, about: frozenset[str] | None, most: int) -> None:
        self.admission = admission
        self._about = about
        self._most = most
        self._waiting: deque[LiveEvent] = deque()
        self._newest: dict[str, LiveEvent] = {}
        self._changed = asyncio.Event()
        self._position: int | None = None
        self.is_over = False

    @property
    def has_joined(self) -> bool:
        return self._position is not None

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._newest)

    def wants(self, event: LiveEvent) -> bool:
        return self._about is None or not self._about.isdisjoint(event.about)

    def join(self, position: int) -> None:
        """From now on every line after `position` is offered; whatever is not after it can be read from Postgres."""
        self._position = position
        self._changed.set()

    def offer(self, event: LiveEvent) -> None:
        """Never waits, and never keeps more than allowed."""
        if self.is_over or not self.wants(event):
            return
        if event.newest_of is not None:
            self._newest[event.newest_of] = event
        elif len(self._waiting) < self._most:
            self._waiting.append(event)
        else:
            _log.warning("stream_reader_too_slow", user_id=self.admission.user_id, waiting=self.waiting)
            self.cut()
        self._changed.set()

    def cut(self) -> None:
        """Nothing more is told; what waits is forgotten at once, however long its connection takes to end."""
        self.is_over = True
        self._waiting.clear()
        self._newest.clear()
        self._changed.set()

    async def joined(self) -> int | None:
        """The position it has joined at; None when it is over before."""
        while self._position is None and not self.is_over:
            await self._wait()
        return None if self.is_over else self._position

    async def take(self) -> Sequence[LiveEvent]:
        """Everything that waits, at least one; nothing when it is over."""
        while not self.waiting and not self.is_over:
            await self._wait()
        taken = [*self._waiting, *self._newest.values()]
        self._waiting.clear()
        self._newest.clear()
        return taken

    async def _wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()


class Hub:
    """One Redis subscription and one set of readers for all streams of this process."""

    def __init__(self, redis: Redis, limits: StreamLimits, *, per_user: int) -> None:
        self.limits = limits
        self._per_user = per_user
        self._places: Counter[str] = Counter()
        self._redis = redis
        self._readers: dict[str, set[Reader]] = {}
        self._hinted: set[str] = set()
        self._news = asyncio.Event()
        self.hears_hints = False

    @property
    def users(self) -> Collection[str]:
        return self._readers.keys()

    @property
    def open_streams(self) -> int:
        return sum(map(len, self._readers.values()))

    @contextmanager
    def place(self, user_id: str) -> Iterator[bool]:
        """False: the user's places are all taken. One is held from before its stream begins until its connection is done with,
        so that a thousand requests at once are no way around the limit."""
        is_free = self._places[user_id] < self._per_user
        self._places[user_id] += is_free
        try:
            yield is_free
        finally:
            self._places[user_id] -= is_free
            if not self._places[user_id]:
                del self._places[user_id]

    def readers(self, users: Collection[str] | None = None) -> list[Reader]:
        """Of these users; of all when none are named."""
        chosen = self._readers if users is None else users
        return [reader for user_id in chosen for reader in self._readers.get(user_id, ())]

    @contextmanager
    def reading(self, admission: Admission, *, about: frozenset[str] | None) -> Iterator[Reader]:
        """It is offered whatever is found while the block lasts, and what was found before once it has joined."""
        reader = Reader(admission, about=about, most=self.limits.waiting)
        self._readers.setdefault(admission.user_id, set()).add(reader)
        self._news.set()
        try:
            yield reader
        finally:
            reader.cut()
            left = self._readers.get(admission.user_id, set())
            left.discard(reader)
            if not left:
                self._readers.pop(admission.user_id, None)

    def offer(self, user_id: str, event: LiveEvent) -> None:
        for reader in self._readers.get(user_id, ()):
            reader.offer(event)

    def offer_everybody(self, event: LiveEvent) -> None:
        for user_id in self._readers:
            self.offer(user_id, event)

    async def wait(self, seconds: float) -> set[str]:
        """Returns at news, or after `seconds`; the strategies that something was said of."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()
        hinted, self._hinted = self._hinted, set()
        return hinted

    async def run(self) -> None:
        """Listen for as long as the process lives; Redis may come and go, and readers are served all the same."""
        while True:
            try:
                await self._listen()
            except CacheUnavailable as error:
                if self.hears_hints:
                    _log.warning("streams_without_redis", error=str(error))
            self.hears_hints = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with listen_run_events(self._redis) as hints:
            self.hears_hints = True
            # Whatever was published before this subscription may have been missed.
            self._news.set()
            async for hint in hints:
                if hint.user_id in self._readers:
                    self._hinted.add(hint.strategy_id)
                    self._news.set()
