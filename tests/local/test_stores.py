"""The embedded Postgres and Redis as tests get them."""

import asyncpg
from redis.asyncio import Redis


async def test_each_test_gets_a_database_of_its_own(database_url: str) -> None:
    await _creates_the_same_table(database_url)


async def test_and_sees_nothing_of_the_test_before(database_url: str) -> None:
    await _creates_the_same_table(database_url)


async def test_postgres_listens_on_no_port(postgres_server: str) -> None:
    connection = await asyncpg.connect(_plain(postgres_server))
    try:
        assert await connection.fetchval("SHOW listen_addresses") == ""
    finally:
        await connection.close()


async def test_redis_is_empty_and_keeps_everything_it_is_given(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "for the next test")
        assert (await client.config_get("maxmemory-policy")) == {"maxmemory-policy": "noeviction"}


async def test_redis_is_empty_again_in_the_next_test(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0


async def _creates_the_same_table(database_url: str) -> None:
    connection = await asyncpg.connect(_plain(database_url))
    try:
        await connection.execute("CREATE TABLE only_here (id int)")
    finally:
        await connection.close()


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")
