"""JSON over HTTP at one base address, with the three ends a call can have: an answer, a refusal, silence."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

TRY_AGAIN_SECONDS = 1.0


class NoAnswer(Exception):
    """Nobody knows what became of the request: the server was away, fell silent, or failed (5xx)."""


class NotGranted(Exception):
    """A definite no: status 4xx. `code` is the platform's word for it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(slots=True)
class Caller:
    """One caller; `token` is sent when there is one."""

    http: aiohttp.ClientSession
    base: str
    token: str = ""

    async def __call__(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """The answer's JSON. Raises NoAnswer and NotGranted. `key` is the Idempotency-Key."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key:
            headers["Idempotency-Key"] = key
        try:
            async with self.http.request(method, self.base + path, json=body, headers=headers) as response:
                if response.status >= 500:
                    raise NoAnswer(f"{method} {path}: {response.status}")
                answer = await response.json(content_type=None)
                if response.status >= 400:
                    code = str(answer.get("error", "")) if isinstance(answer, dict) else str(answer)
                    raise NotGranted(response.status, code)
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswer(f"{method} {path}: {error!r}") from error

    async def surely(self, method: str, path: str, body: object = None) -> Any:
        """Asks again, with the same Idempotency-Key, until there is an answer. Raises NotGranted."""
        key = uuid4().hex
        while True:
            try:
                return await self(method, path, body, key=key if method != "GET" else "")
            except NoAnswer:
                await asyncio.sleep(TRY_AGAIN_SECONDS)
            except NotGranted as refusal:
                if refusal.status != 429 and refusal.code != "REQUEST_IN_PROGRESS":
                    raise
                await asyncio.sleep(TRY_AGAIN_SECONDS)
