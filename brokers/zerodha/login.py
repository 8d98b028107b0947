"""Kite's daily login: the user logs in on Kite's page, and the token it comes back with buys a session."""

import hashlib
from datetime import datetime
from urllib.parse import urlencode

from brokers.fields import row, text
from brokers.transport import ConnectionPool, Transport
from brokers.zerodha.errors import login_data
from brokers.zerodha.session import VERSION_HEADERS, session_end
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment
from trading.ports.clock import Clock


class ZerodhaLogin:
    name = BrokerName.ZERODHA

    def __init__(
        self,
        *,
        api_url: str,
        login_url: str,
        environment: Environment,
        timeout_seconds: float,
        clock: Clock,
        connections: ConnectionPool,
    ) -> None:
        self.environment = environment
        self._login_url = login_url
        self._clock = clock
        self._transport = Transport(
            base_url=api_url, connections=connections, timeout_seconds=timeout_seconds, headers=VERSION_HEADERS
        )

    def login_url(self, credentials: Credentials, *, state: str) -> str:
        """Kite returns `redirect_params` untouched as part of the redirect's own query."""
        query = {"v": "3", "api_key": credentials.api_key, "redirect_params": urlencode({"state": state})}
        return f"{self._login_url}?{urlencode(query)}"

    async def exchange(self, credentials: Credentials, *, request_token: str) -> BrokerSession:
        """One attempt: a request token works once. Raises BrokerRefused for a wrong secret or a used token."""
        signed = credentials.api_key + request_token + credentials.api_secret
        form = [
            ("api_key", credentials.api_key),
            ("request_token", request_token),
            ("checksum", hashlib.sha256(signed.encode()).hexdigest()),
        ]
        data = row(login_data(await self._transport.write("POST", "/session/token", form=form)), "session")
        return self.session_from_token(text(data, "access_token"), broker_user_id=text(data, "user_id"), now=self._clock.now())

    def session_from_token(self, access_token: str, *, broker_user_id: str, now: datetime) -> BrokerSession:
        return BrokerSession(access_token=access_token, broker_user_id=broker_user_id, expires_at=session_end(now))
