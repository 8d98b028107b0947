"""Signs of life: each process writes one every second, readiness and operators read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias, cast

import orjson
from redis.asyncio import Redis

from cache.connection import answering
from cache.keys import HEARTBEAT_NAMES, heartbeat_key

HEARTBEAT_LIFE_SECONDS = 5
# The active listener's name; a standby and each worker have names of their own.
LISTENER = "listener"
STANDBY_LISTENER = "listener-standby"
WORKER_PREFIX = "worker:"
API_PREFIX = "api:"
# A name that has not beaten for this long is forgotten.
_NAME_LIFE_SECONDS = 3_600

Fact: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Beat:
    """`at` is when it was written, by the writer's clock, aware."""

    name: str
    at: datetime
    data: Mapping[str, Fact]


async def beat(redis: Redis, name: str, data: Mapping[str, Fact]) -> None:
    """Alive now, e.g. `listener` or `worker:<name>`. Raises CacheUnavailable."""
    now = datetime.now(UTC)
    async with answering(), redis.pipeline(transaction=False) as pipeline:
        pipeline.set(heartbeat_key(name), orjson.dumps({"at": now, "data": dict(data)}), ex=HEARTBEAT_LIFE_SECONDS)
        pipeline.zadd(HEARTBEAT_NAMES, {name: now.timestamp()})
        pipeline.zremrangebyscore(HEARTBEAT_NAMES, "-inf", now.timestamp() - _NAME_LIFE_SECONDS)
        await pipeline.execute()


async def read_beats(redis: Redis, prefix: str = "") -> dict[str, Beat]:
    """Those alive within the last seconds, by name. Raises CacheUnavailable."""
    async with answering():
        listed = cast(list[bytes], await redis.zrange(HEARTBEAT_NAMES, 0, -1))
        wanted = [name for name in map(bytes.decode, listed) if name.startswith(prefix)]
        values = await redis.mget([heartbeat_key(name) for name in wanted]) if wanted else []
        return {name: _decode(name, value) for name, value in zip(wanted, values, strict=True) if value is not None}


def _decode(name: str, value: bytes | str) -> Beat:
    read = orjson.loads(value)
    try:
        return Beat(name, datetime.fromisoformat(read["at"]), read["data"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a heartbeat: {value!r}") from error
