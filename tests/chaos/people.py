"""What every scenario begins with: a way to ask, a platform that is ready, people who have signed up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from tests.chaos.calls import Caller, NoAnswer
from tests.chaos.traders import Trader

SIGN_UPS_AT_ONCE = 4
READY_SECONDS = 90.0


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout, connector = aiohttp.ClientTimeout(total=15), aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session


async def platform_is_ready(api: Caller) -> None:
    """Instruments have to be loaded and a worker has to show itself. Raises TimeoutError."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            try:
                await api("GET", "/ready")
                return
            except NoAnswer:
                await asyncio.sleep(0.5)


async def sign_up_all(traders: Sequence[Trader]) -> None:
    """A few at a time: hashing a password is dear on purpose."""
    gate = asyncio.Semaphore(SIGN_UPS_AT_ONCE)

    async def one(trader: Trader) -> None:
        async with gate:
            await trader.sign_up()

    await asyncio.gather(*(one(trader) for trader in traders))
