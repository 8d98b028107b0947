"""Passwords: argon2id in threads of their own, so that a login never stalls the requests of others."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

SHORTEST = 8
LONGEST = 128
# Each hash takes 64 MiB while it is made; more at once would not be faster on two cores.
THREADS = 2
# A hash keeps every core busy for a seventh of a second: at this niceness (of 19) whoever asks for a price or a stop comes first.
NICENESS = 10


def _step_back() -> None:
    """Lowers the priority of the calling thread, and of those argon2 starts from it. Only Linux has one per thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Passwords:
    """`hasher` defaults to the library's parameters, which are those of RFC 9106 for limited memory, in one lane instead of four:
    what a hash costs whoever guesses is the same, and it keeps one core busy instead of all of them."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(parallelism=1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2", initializer=_step_back)
        self._nobody = self._hasher.hash("a password that no user has")

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Takes as long for a user who does not exist (None) as for one who does."""
        matched = await self._run(self._verify, password, password_hash or self._nobody)
        return matched and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
