"""Several connections of one feed as one: what is subscribed is spread over them, and what comes is read from all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from brokers.sockets import AttentiveConnection, receive
from trading.ports.broker import BrokerError, BrokerRefused

# Messages read and not yet taken. Beyond that the sockets wait, and so does the broker's server.
_WAITING_MESSAGES = 10_000

Key = TypeVar("Key", bound=Hashable)
Open: TypeAlias = Callable[[], Awaitable[AttentiveConnection]]


@dataclass(slots=True, eq=False)
class Line(Generic[Key]):
    """One connection, and the keys subscribed on it."""

    connection: AttentiveConnection
    keys: set[Key] = field(default_factory=set)


class Lines(Generic[Key]):
    """Use inside `async with`: connections and their readers end with the block. The loss of one line is the loss of all."""

    def __init__(self, open: Open, *, keys_per_line: int, most_lines: int) -> None:
        self._open = open
        self._keys_per_line = keys_per_line
        self._most_lines = most_lines
        self._lines: list[Line[Key]] = []
        self._arrived: asyncio.Queue[bytes | str | BrokerError] = asyncio.Queue(_WAITING_MESSAGES)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Lines[Key]":
        """The first connection is opened at once, so that a refusal is met here."""
        await self._add()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def heard_at(self) -> float:
        """Of the connection heard longest ago: one that has died must not hide behind the others."""
        return min(line.connection.heard_at for line in self._lines)

    async def _add(self) -> Line[Key]:
        connection = await self._open()
        self._stack.push_async_callback(connection.close)
        line: Line[Key] = Line(connection)
        reading = asyncio.create_task(self._listen(line))
        self._stack.push_async_callback(_end, reading)
        self._lines.append(line)
        return line

    async def _listen(self, line: Line[Key]) -> None:
        try:
            while True:
                await self._arrived.put(await receive(line.connection))
        except BrokerError as lost:
            await self._arrived.put(lost)

    async def spread(self, keys: Iterable[Key]) -> list[tuple[AttentiveConnection, list[Key]]]:
        """Where each key that is new belongs, opening connections as they are needed. Raises BrokerRefused when they cannot carry
        all; then none was added."""
        known = {key for line in self._lines for key in line.keys}
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        most = self._keys_per_line * self._most_lines
        if len(known) + len(missing) > most:
            raise BrokerRefused(f"the broker sends prices of at most {most} instruments to one account")
        found: list[tuple[AttentiveConnection, list[Key]]] = []
        while missing:
            line = next((one for one in self._lines if len(one.keys) < self._keys_per_line), None) or await self._add()
            room = self._keys_per_line - len(line.keys)
            taken, missing = missing[:room], missing[room:]
            line.keys.update(taken)
            found.append((line.connection, taken))
        return found

    def drop(self, keys: Iterable[Key]) -> list[tuple[AttentiveConnection, list[Key]]]:
        """Where each of these keys was; they are no longer."""
        leaving = set(keys)
        found = [(line, [key for key in line.keys if key in leaving]) for line in self._lines]
        for line, gone in found:
            line.keys.difference_update(gone)
        return [(line.connection, gone) for line, gone in found if gone]

    async def messages(self) -> AsyncIterator[bytes | str]:
        """Whatever comes on any line. Raises BrokerUnavailable once one of them is lost."""
        while True:
            message = await self._arrived.get()
            if isinstance(message, BrokerError):
                raise message
            yield message


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
