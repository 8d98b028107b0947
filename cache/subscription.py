"""Listening to channels: every message while connected, and an error the moment that is no longer sure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from cache.connection import CacheUnavailable, answering

# An idle subscription asks for a sign of life this often, and is given up after this long without one (seconds).
PING_SECONDS = 1.0
SILENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Message:
    channel: str
    data: bytes


@asynccontextmanager
async def listen(
    redis: Redis, *, channels: Sequence[str] = (), patterns: Sequence[str] = ()
) -> AsyncIterator[AsyncIterator[Message]]:
    """Subscribed once entered: nothing published after that is missed without CacheUnavailable being raised."""
    pubsub = redis.pubsub()
    try:
        async with answering(SILENCE_SECONDS):
            await _subscribe(pubsub, channels, patterns)
        yield _messages(pubsub)
    finally:
        # The connection is thrown away either way; a dead one may complain.
        with suppress(RedisError, OSError):
            await pubsub.aclose()  # type: ignore[no-untyped-call]


async def _subscribe(pubsub: PubSub, channels: Sequence[str], patterns: Sequence[str]) -> None:
    if channels:
        await pubsub.subscribe(*channels)
    if patterns:
        await pubsub.psubscribe(*patterns)
    waiting = len(channels) + len(patterns)
    while waiting:
        answer = await pubsub.get_message(timeout=SILENCE_SECONDS)
        if answer is not None and answer["type"] in ("subscribe", "psubscribe"):
            waiting -= 1


async def _messages(pubsub: PubSub) -> AsyncIterator[Message]:
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    while True:
        async with answering(SILENCE_SECONDS):
            received = await pubsub.get_message(timeout=PING_SECONDS)
            if received is None:
                if loop.time() - heard_at > SILENCE_SECONDS:
                    raise CacheUnavailable("a Redis subscription has gone silent")
                await pubsub.ping()
                continue
        heard_at = loop.time()
        # Confirmed again: the library has reconnected behind our back, and what was published meanwhile is lost.
        if received["type"] in ("subscribe", "psubscribe"):
            raise CacheUnavailable("a Redis subscription was interrupted")
        if received["type"] in ("message", "pmessage"):
            yield Message(received["channel"].decode(), received["data"])
