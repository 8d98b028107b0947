"""Whether something answers at the address of a part."""

import asyncio

from local.parts.http import answers

_LIMIT_SECONDS = 2.0


async def answers_at(address: str) -> bool:
    """`address` as in Part: a URL, the path of a unix socket, or host:port."""
    if address.startswith("http"):
        return await answers(address, timeout_seconds=_LIMIT_SECONDS, any_status=True)
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            if address.startswith("/"):
                _, writer = await asyncio.open_unix_connection(address)
            else:
                host, _, port = address.rpartition(":")
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True
