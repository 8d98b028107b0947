"""Readiness of parts that speak HTTP."""

from datetime import datetime
from typing import Any

import aiohttp

from local.part import Probe


def http_ready(url: str) -> Probe:
    """Ready once `url` answers with a success."""

    async def ready(_started_at: datetime) -> bool:
        return await answers(url)

    return ready


async def answers(url: str, *, timeout_seconds: float = 2.0, any_status: bool = False) -> bool:
    """With a success, or with `any_status` at all."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds)) as session,
            session.get(url) as response,
        ):
            return any_status or response.ok
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def fetch_json(url: str, *, timeout_seconds: float = 5.0) -> dict[str, Any] | None:
    """The object that was answered, with whatever status; None for anything else."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_seconds)) as session,
            session.get(url) as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientError, ValueError, TimeoutError, OSError):
        return None
    return answer if isinstance(answer, dict) else None
