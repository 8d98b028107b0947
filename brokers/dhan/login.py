"""Dhan's logins: a token made on its web pages, PIN and one-time code in one call, or the consent page of an API key.

PIN, one-time code and token id are used once and kept nowhere; they travel in a query, and nothing here puts one into a message.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from brokers.answers import WireResult
from brokers.connections import ConnectionPool
from brokers.dhan.errors import login_data
from brokers.dhan.loose import is_missing, optional_word, word
from brokers.dhan.session import claimed_client_id, session_end, session_headers
from brokers.fields import Row, row
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused
from trading.ports.clock import Clock

NEEDS = "Dhan needs PIN and one-time code, the tokenId of its consent page, or an access token"


class DhanLogin:
    name = BrokerName.DHAN
    # At most 25 consents a day.
    page_is_counted = True
    renews = True

    def __init__(
        self, *, urls: BrokerUrls, environment: Environment, timeout_seconds: float, clock: Clock, connections: ConnectionPool
    ) -> None:
        self.environment = environment
        self._urls = urls
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._connections = connections

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str | None:
        """The consent page, for those with an API key. Dhan carries no state and redirects where the key says."""
        if not (credentials.api_key and credentials.api_secret and credentials.broker_user_id):
            return None
        auth = self._transport(self._urls.login_url, _app_headers(credentials))
        query = [("client_id", credentials.broker_user_id)]
        answer = row(login_data(await auth.write("POST", "/app/generate-consent", query=query)), "consent")
        consent = urlencode({"consentAppId": word(answer, "consentAppId")})
        return f"{self._urls.login_url.rstrip('/')}/login/consentApp-login?{consent}"

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        if answer.code:
            auth = self._transport(self._urls.login_url, _app_headers(credentials))
            return self._session(await auth.read("/app/consumeApp-consent", query=[("tokenId", answer.code)]), credentials)
        if answer.pin and answer.one_time_code:
            query = [("dhanClientId", credentials.broker_user_id), ("pin", answer.pin), ("totp", answer.one_time_code)]
            auth = self._transport(self._urls.login_url, {"Accept": "application/json"})
            return self._session(await auth.write("POST", "/app/generateAccessToken", query=query), credentials)
        if answer.access_token:
            return await self._prove(credentials, answer.access_token)
        raise BrokerRefused(NEEDS)

    async def renew(self, credentials: Credentials) -> BrokerSession:
        """A token for another day, which ends the one before. Dhan does so for tokens made on its web pages only, while they
        live."""
        headers = session_headers(credentials) | {"dhanClientId": credentials.broker_user_id}
        return self._session(await self._transport(self._urls.api_url, headers).read("/RenewToken"), credentials)

    async def _prove(self, credentials: Credentials, access_token: str) -> BrokerSession:
        client_id = credentials.broker_user_id or claimed_client_id(access_token)
        brought = replace(credentials, access_token=access_token, broker_user_id=client_id)
        result = await self._transport(self._urls.api_url, session_headers(brought)).read("/profile")
        found = word(row(login_data(result), "profile"), "dhanClientId")
        _check_client(found, client_id)
        return BrokerSession(access_token, found, session_end(access_token, answer={}, now=self._clock.now()))

    def _session(self, result: WireResult, credentials: Credentials) -> BrokerSession:
        answer = row(login_data(result), "session")
        access_token = word(answer, _token_key(answer))
        client_id = optional_word(answer, "dhanClientId") or credentials.broker_user_id
        _check_client(client_id, credentials.broker_user_id)
        return BrokerSession(access_token, client_id, session_end(access_token, answer=answer, now=self._clock.now()))

    def _transport(self, base_url: str, headers: Mapping[str, str]) -> Transport:
        return Transport(base_url=base_url, connections=self._connections, timeout_seconds=self._timeout_seconds, headers=headers)


def _app_headers(credentials: Credentials) -> dict[str, str]:
    return {"app_id": credentials.api_key, "app_secret": credentials.api_secret, "Accept": "application/json"}


def _token_key(answer: Row) -> str:
    """A renewal has been seen to name it differently."""
    return "token" if is_missing(answer, "accessToken") else "accessToken"


def _check_client(found: str, expected: str) -> None:
    if expected and found != expected:
        raise BrokerRefused(f"this login is of the Dhan client {found}, not of {expected}")
