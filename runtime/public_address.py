"""The address orders leave from, as a server outside sees it: `PUBLIC_IP_URL` answers with the caller's address as text."""

import ipaddress
from urllib.parse import urlsplit

from brokers.answers import Answered
from brokers.connections import ConnectionPool
from brokers.transport import Transport
from runtime.settings import Settings


class PublicAddress:
    def __init__(self, settings: Settings) -> None:
        self._url = settings.public_ip_url
        self._timeout_seconds = settings.broker_timeout_seconds

    async def seen(self) -> str | None:
        """None: not asked, or no answer that is an address. Raises nothing for what the network does."""
        if not self._url:
            return None
        parts = urlsplit(self._url)
        # Connections of its own: what this server says of the time is nobody's business.
        pool = ConnectionPool(read_connections=1)
        transport = Transport(
            base_url=f"{parts.scheme}://{parts.netloc}", connections=pool, timeout_seconds=self._timeout_seconds
        )
        try:
            result = await transport.read(parts.path or "/")
        finally:
            await pool.close()
        if not isinstance(result, Answered) or result.status != 200:
            return None
        try:
            return str(ipaddress.ip_address(result.body.decode("ascii", "replace").strip()))
        except ValueError:
            return None
