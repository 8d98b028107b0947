"""The connection to Redis, and the one error its users ever see."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

# Redis is on the same machine or network; whoever waits longer has a slower path that needs no Redis (seconds).
CONNECT_TIMEOUT_SECONDS = 0.5
ANSWER_TIMEOUT_SECONDS = 1.0
MAX_CONNECTIONS = 200


class CacheUnavailable(Exception):
    """Redis did not answer, or answered with something unreadable. Nothing is lost: take the path that needs no Redis."""


def connect(redis_url: str) -> Redis:
    """A client that connects at its first call; `redis://`, `rediss://` and `unix://` work. A failed call fails at once.

    It has no timeout of its own for answers: use it inside `answering`, as everything in this package does.
    """
    return Redis.from_url(
        redis_url,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        # Not the library's: under Python 3.11 a cancellation that meets its write timeout is lost, and the task goes on for ever.
        # `answering` has a timeout of its own.
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
        protocol=2,
        # Without the library's word to the server about itself: it would look its own version up in the file system for each
        # connection, half a millisecond to ten, and a crowd that opens some makes the next crowd.
        driver_info=None,
    )


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turns whatever the library or the network raises into CacheUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise CacheUnavailable(f"Redis is not available: {type(error).__name__}: {error}") from error
    except ValueError as error:  # orjson, Decimal and datetime all raise a ValueError for text they cannot read
        raise CacheUnavailable(f"Redis holds something unreadable: {error}") from error


@asynccontextmanager
async def answering(seconds: float = ANSWER_TIMEOUT_SECONDS) -> AsyncIterator[None]:
    """Around every use of Redis: gives up after `seconds`, and raises CacheUnavailable and nothing else."""
    with cache_errors():
        async with asyncio.timeout(seconds):
            yield
