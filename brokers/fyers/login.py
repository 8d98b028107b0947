"""Fyers' daily login: the user logs in on its page, and the code it comes back with buys a token for the day.

There is no other way: refresh tokens ended on 1 April 2026, and the page is behind a check for robots.
"""

import hashlib
from dataclasses import replace
from urllib.parse import urlencode

from brokers.connections import ConnectionPool
from brokers.exact_json import encode_json
from brokers.fields import text
from brokers.fyers.errors import login_body
from brokers.fyers.orders import read_profile
from brokers.fyers.session import VERSION_HEADERS, bare_token, claimed_text, session_end, session_headers
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused
from trading.ports.clock import Clock


class FyersLogin:
    name = BrokerName.FYERS
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
        self._api_url = urls.api_url
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._connections = connections

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str:
        """The redirect has to be the one registered for the app, letter by letter."""
        query = {"client_id": credentials.api_key, "redirect_uri": redirect_url, "response_type": "code", "state": state}
        return f"{self._login_url}?{urlencode(query)}"

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        """With the redirect's auth code, or with an access token of today."""
        if answer.code:
            return await self._exchange(credentials, answer.code)
        if answer.access_token:
            return await self._prove(credentials, bare_token(answer.access_token))
        raise BrokerRefused("Fyers needs the auth_code of its login page, or an access_token")

    async def renew(self, credentials: Credentials) -> BrokerSession:
        raise BrokerRefused("Fyers has no renewal: a person logs in each morning")

    async def _exchange(self, credentials: Credentials, auth_code: str) -> BrokerSession:
        signed = f"{credentials.api_key}:{credentials.api_secret}"
        wanted = {
            "grant_type": "authorization_code",
            "appIdHash": hashlib.sha256(signed.encode()).hexdigest(),
            "code": auth_code,
        }
        transport = Transport(
            base_url=self._api_url,
            connections=self._connections,
            timeout_seconds=self._timeout_seconds,
            headers=VERSION_HEADERS,
        )
        body = login_body(await transport.write("POST", "/validate-authcode", json=encode_json(wanted)))
        access_token = bare_token(text(body, "access_token"))
        # The code has been used: what the token itself tells spares a call that might fail.
        user_id = claimed_text(access_token, "fy_id")
        if user_id:
            return self._session(access_token, user_id)
        return await self._prove(credentials, access_token)

    async def _prove(self, credentials: Credentials, access_token: str) -> BrokerSession:
        transport = Transport(
            base_url=self._api_url,
            connections=self._connections,
            timeout_seconds=self._timeout_seconds,
            headers=session_headers(replace(credentials, access_token=access_token)),
        )
        profile = read_profile(login_body(await transport.read("/profile")))
        return self._session(access_token, profile.broker_user_id)

    def _session(self, access_token: str, broker_user_id: str) -> BrokerSession:
        return BrokerSession(access_token, broker_user_id, session_end(access_token, self._clock.now()))
