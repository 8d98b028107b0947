"""Kite's daily login: the user logs in on Kite's page, and the token it comes back with buys a session."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from brokers.connections import ConnectionPool
from brokers.fields import row, text
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from brokers.zerodha.errors import login_data
from brokers.zerodha.session import VERSION_HEADERS, session_end, session_headers
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused
from trading.ports.clock import Clock


class ZerodhaLogin:
    name = BrokerName.ZERODHA
    page_is_counted = False
    renews = False

    def __init__(
        self,
        *,
        urls: BrokerUrls,
        environment: Environment,
        timeout_seconds: float,
        clock: Clock,
        connections: ConnectionPool,
    ) -> None:
        self.environment = environment
        self._login_url = urls.login_url
        self._clock = clock
        self._api_url, self._timeout_seconds, self._connections = urls.api_url, timeout_seconds, connections

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str:
        """Kite returns `redirect_params` untouched as part of the redirect's own query; the redirect is the one registered."""
        query = {"v": "3", "api_key": credentials.api_key, "redirect_params": urlencode({"state": state})}
        return f"{self._login_url}?{urlencode(query)}"

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        """With the redirect's request token, or with an access token."""
        if answer.code:
            return await self._exchange(credentials, answer.code)
        if answer.access_token:
            return await self._prove(replace(credentials, access_token=answer.access_token), answer.access_token)
        raise BrokerRefused("Zerodha needs the request_token of its login page, or an access_token")

    async def renew(self, credentials: Credentials) -> BrokerSession:
        raise BrokerRefused("Zerodha has no renewal: a person logs in each morning")

    async def _exchange(self, credentials: Credentials, request_token: str) -> BrokerSession:
        signed = credentials.api_key + request_token + credentials.api_secret
        form = [
            ("api_key", credentials.api_key),
            ("request_token", request_token),
            ("checksum", hashlib.sha256(signed.encode()).hexdigest()),
        ]
        result = await self._transport(VERSION_HEADERS).write("POST", "/session/token", form=form)
        data = row(login_data(result), "session")
        return self._session(text(data, "access_token"), text(data, "user_id"))

    async def _prove(self, credentials: Credentials, access_token: str) -> BrokerSession:
        data = row(login_data(await self._transport(session_headers(credentials)).read("/user/profile")), "profile")
        return self._session(access_token, text(data, "user_id"))

    def _session(self, access_token: str, broker_user_id: str) -> BrokerSession:
        return BrokerSession(access_token, broker_user_id, session_end(self._clock.now()))

    def _transport(self, headers: Mapping[str, str]) -> Transport:
        return Transport(
            base_url=self._api_url, connections=self._connections, timeout_seconds=self._timeout_seconds, headers=headers
        )
