"""Passwords: argon2id in threads of their own, so that a login never stalls the requests of others."""

import asyncio
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


class Passwords:
    """`hasher` defaults to the library's parameters, which are those of RFC 9106 for limited memory."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
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
