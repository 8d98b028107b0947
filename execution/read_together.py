"""Reading for many in one statement what each asks for by itself.

After a crash every desk of the process asks for its rows at once. A question to the database for each would keep the last of some
hundred from its book for many seconds, and claims from their connections. Whoever comes alone is answered alone, at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

# Asked for in one statement.
AT_ONCE = 100

Key = TypeVar("Key")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Key, Found]):
    key: Key
    found: "asyncio.Future[Found]"


class ReadTogether(Generic[Key, Found]):
    """One per process and kind of question. `read_all` answers every key it is given."""

    def __init__(self, read_all: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Found]]]) -> None:
        self._read_each = read_all
        self._asked: deque[_Asked[Key, Found]] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def read(self, key: Key) -> Found:
        """What is there at some moment after this call. Raises what `read_all` raises."""
        asked: _Asked[Key, Found] = _Asked(key, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())
        return await asked.found

    async def _read_all(self) -> None:
        while self._asked:
            batch = [self._asked.popleft() for _ in range(min(AT_ONCE, len(self._asked)))]
            # Whoever closed its desk meanwhile waits no more.
            batch = [asked for asked in batch if not asked.found.done()]
            try:
                found = await self._read_each([asked.key for asked in batch]) if batch else {}
            except Exception as error:  # noqa: BLE001 (each is told: nothing is concluded from a read that failed)
                _tell_failure(batch, error)
            except BaseException as error:  # the process is ending
                _tell_failure([*batch, *self._asked], error)
                raise
            else:
                for asked in batch:
                    if not asked.found.done():
                        asked.found.set_result(found[asked.key])


def _tell_failure(batch: Sequence[_Asked[Key, Found]], error: BaseException) -> None:
    for asked in batch:
        if not asked.found.done():
            asked.found.set_exception(error)
