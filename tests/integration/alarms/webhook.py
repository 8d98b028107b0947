"""A real HTTP server at which alarms arrive, as an operator's webhook would take them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = "s3cr3t-of-the-webhook"


@dataclass
class Webhook:
    """What has arrived, in order. `answer`: the status it gives; `mute`: it takes the request and never answers."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    answer: int = 200
    mute: bool = False

    @property
    def address(self) -> str:
        """In apprise's words, with a secret in it."""
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}/?rto=2&cto=2"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    async def _take(self, request: web.Request) -> web.Response:
        message = await request.json()
        if self.mute:
            await asyncio.sleep(60)
        if self.answer == 200:
            self.messages.append(message)
        return web.Response(status=self.answer)


@asynccontextmanager
async def open_webhook() -> AsyncIterator[Webhook]:
    webhook = Webhook()
    app = web.Application()
    app.router.add_post("/{path:.*}", webhook._take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    webhook.port = runner.addresses[0][1]
    try:
        yield webhook
    finally:
        await runner.cleanup()
