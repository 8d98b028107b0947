"""Every place the running platform leaves something, read in full, and searched for secrets in whatever form."""

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
from redis.asyncio import Redis
from temporalio.client import Client

from local.parts.redis import redis_url
from local.sockets import socket_folder

# Postgres' own files hold what the dump shows, and the exchange knows its own accounts.
_NOT_LOGS = ("postgres", "redis", "secrets.env", "simulator")


def forms_of(secret: str) -> dict[str, bytes]:
    """How it could be written: as it is, in an address, in base64 at each of the three offsets, and in hex."""
    raw = secret.encode()
    forms = {
        "plain": raw,
        "address": quote(secret, safe="").encode(),
        "hex": raw.hex().encode(),
        "json": json.dumps(secret)[1:-1].encode(),
    }
    for offset in range(3):
        # Whatever stands before and after changes the outer characters of base64, never the inner ones.
        encoded = base64.b64encode(b"\0" * offset + raw)
        forms[f"base64+{offset}"] = encoded[4 if offset else 0 : len(encoded) - 4]
    return forms


def found_in(content: bytes, secrets: Mapping[str, str]) -> list[str]:
    """`refresh token as hex`."""
    return [
        f"{name} as {form}"
        for name, secret in secrets.items()
        for form, written in forms_of(secret).items()
        if written in content
    ]


def logs(state: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the stack's state but the servers' own."""
    for path in sorted(state.rglob("*")):
        if path.is_file() and not any(part.startswith(_NOT_LOGS) for part in path.relative_to(state).parts[:1]):
            yield str(path.relative_to(state)), path.read_bytes()


async def tables(state: Path) -> AsyncIterator[tuple[str, bytes]]:
    connection = await asyncpg.connect(host=str(socket_folder(state)), user="postgres", database="algo_trading")
    try:
        for (name,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            rows = await connection.fetch(f'SELECT row_to_json(t)::text FROM "{name}" t')  # noqa: S608 (a name Postgres gave)
            yield name, "\n".join(row[0] for row in rows).encode()
    finally:
        await connection.close()


async def redis_values(state: Path) -> AsyncIterator[tuple[str, bytes]]:
    async with Redis.from_url(redis_url(socket_folder(state))) as redis:
        readers: dict[bytes, Any] = {
            b"string": redis.get,
            b"hash": redis.hgetall,
            b"set": redis.smembers,
            b"list": lambda key: redis.lrange(key, 0, -1),
            b"zset": lambda key: redis.zrange(key, 0, -1),
            b"stream": redis.xrange,
        }
        async for key in redis.scan_iter("*"):
            kind = await redis.type(key)
            if kind != b"none":
                yield key.decode(errors="replace"), key + repr(await readers[kind](key)).encode()


async def histories(client: Client, *, task_queue: str) -> AsyncIterator[tuple[str, bytes]]:
    """Of every workflow of that queue, with what its payloads hold."""
    async for found in client.list_workflows(f"TaskQueue = '{task_queue}'"):
        history = await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        recorded = history.to_json_dict()
        yield found.id, json.dumps(recorded).encode() + b"\n".join(_payloads(recorded))


def _payloads(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        if isinstance(value.get("data"), str) and "metadata" in value:
            yield base64.b64decode(value["data"])
        for inner in value.values():
            yield from _payloads(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _payloads(inner)
