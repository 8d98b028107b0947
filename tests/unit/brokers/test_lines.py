"""Several connections as one feed, judged by a server that counts them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from brokers.lines import Lines
from brokers.sockets import AttentiveConnection, open_socket
from tests.unit.brokers.raw_server import eventually
from trading.ports.broker import BrokerRefused, BrokerUnavailable


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, list[ServerConnection]]]:
    met: list[ServerConnection] = []

    async def meet(connection: ServerConnection) -> None:
        met.append(connection)
        await connection.wait_closed()

    async with serve(meet, "127.0.0.1", 0) as listening:
        (socket,) = listening.sockets
        yield f"ws://127.0.0.1:{socket.getsockname()[1]}", met


def lines(url: str, *, keys_per_line: int = 2, most_lines: int = 3) -> Lines[int]:
    async def one_more() -> AttentiveConnection:
        return await open_socket(url, headers={}, open_seconds=5, ping_seconds=3600)

    return Lines(one_more, keys_per_line=keys_per_line, most_lines=most_lines)


async def test_keys_fill_one_line_after_the_other_and_each_key_has_one_place() -> None:
    async with server() as (url, met), lines(url) as feed:
        await eventually(lambda: len(met) == 1)
        first = await feed.spread([1, 2, 3, 2])
        assert [keys for _, keys in first] == [[1, 2], [3]]
        assert [keys for _, keys in await feed.spread([3, 4, 5, 1])] == [[4], [5]]
        await eventually(lambda: len(met) == 3)
        assert [keys for _, keys in feed.drop([2, 5, 9])] == [[2], [5]]
        again = await feed.spread([9])
        assert again[0][0] is first[0][0], "the room that was left is used"
        await asyncio.sleep(0)
        assert len(met) == 3


async def test_more_than_all_lines_carry_is_refused_whole() -> None:
    async with server() as (url, met), lines(url) as feed:
        await feed.spread([1, 2, 3])
        with pytest.raises(BrokerRefused, match="at most 6"):
            await feed.spread([4, 5, 6, 7])
        assert [keys for _, keys in await feed.spread([4])] == [[4]]
        await eventually(lambda: len(met) == 2)


async def test_what_comes_on_any_line_is_read_and_one_lost_line_ends_all() -> None:
    async with server() as (url, met), lines(url, keys_per_line=1) as feed:
        await feed.spread([1, 2])
        await eventually(lambda: len(met) == 2)
        messages = feed.messages()
        for number, connection in enumerate(met):
            await connection.send(f"from {number}")
        assert {await anext(messages), await anext(messages)} == {"from 0", "from 1"}
        await met[1].close()
        with pytest.raises(BrokerUnavailable):
            await anext(messages)


async def test_the_line_heard_longest_ago_speaks_for_all() -> None:
    async with server() as (url, met), lines(url, keys_per_line=1) as feed:
        await feed.spread([1, 2])
        await eventually(lambda: len(met) == 2)
        before = feed.heard_at
        await met[1].send("only the second")
        assert await anext(feed.messages()) == "only the second"
        assert feed.heard_at == before


async def test_connections_end_with_the_block() -> None:
    async with server() as (url, met):
        async with lines(url) as feed:
            await feed.spread([1, 2, 3])
            await eventually(lambda: len(met) == 2)
        for connection in met:
            await connection.wait_closed()
