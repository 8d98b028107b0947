"""SmartAPI's logins: client code, PIN and one-time code; or tokens of a login made elsewhere; and their renewal."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from brokers.angel_one.errors import login_data, read_data
from brokers.angel_one.fields import name, optional_name
from brokers.angel_one.orders import read_profile
from brokers.angel_one.session import plain_token, public_headers, session_end, session_headers
from brokers.connections import ConnectionPool
from brokers.exact_json import Encodable, encode_json
from brokers.fields import row
from brokers.transport import Transport
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName, BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused
from trading.ports.clock import Clock

_LOGIN = "/rest/auth/angelbroking/user/v1/loginByPassword"
_RENEW = "/rest/auth/angelbroking/jwt/v1/generateTokens"
PROFILE = "/rest/secure/angelbroking/user/v1/getProfile"


class AngelOneLogin:
    name = BrokerName.ANGEL_ONE
    page_is_counted = False
    renews = True

    def __init__(
        self, *, urls: BrokerUrls, environment: Environment, timeout_seconds: float, clock: Clock, connections: ConnectionPool
    ) -> None:
        self.environment = environment
        self._login_url = urls.login_url
        self._clock = clock
        self._api_url, self._timeout_seconds, self._connections = urls.api_url, timeout_seconds, connections

    async def login_url(self, credentials: Credentials, *, state: str, redirect_url: str) -> str:
        """The page for logins by browser; it comes back with tokens, which `log_in` takes."""
        return f"{self._login_url}?{urlencode({'api_key': credentials.api_key, 'state': state, 'redirect_url': redirect_url})}"

    async def log_in(self, credentials: Credentials, answer: LoginAnswer) -> BrokerSession:
        """With PIN and one-time code for the client code in `broker_user_id`, or with an access token."""
        if answer.pin and answer.one_time_code and credentials.broker_user_id:
            return await self._with_pin(credentials, pin=answer.pin, one_time_code=answer.one_time_code)
        token = answer.access_token or answer.code
        if token:
            return await self._prove(credentials, plain_token(token), answer)
        raise BrokerRefused("Angel One needs the client code, the PIN and a one-time code, or an access token")

    async def renew(self, credentials: Credentials) -> BrokerSession:
        """Sessions end at midnight all the same: this follows one that was about to be lost earlier."""
        if not (credentials.refresh_token and credentials.access_token):
            raise BrokerRefused("there is no refresh token: the user has to log in")
        body: dict[str, Encodable] = {"refreshToken": credentials.refresh_token}
        result = await self._transport(session_headers(credentials)).write("POST", _RENEW, json=encode_json(body))
        # Here a session code means what it says: the refresh token is dead.
        session = self._session(read_data(result), broker_user_id=credentials.broker_user_id)
        return replace(session, refresh_token=session.refresh_token or credentials.refresh_token)

    async def _with_pin(self, credentials: Credentials, *, pin: str, one_time_code: str) -> BrokerSession:
        body: dict[str, Encodable] = {"clientcode": credentials.broker_user_id, "password": pin, "totp": one_time_code}
        result = await self._transport(public_headers(credentials.api_key)).write("POST", _LOGIN, json=encode_json(body))
        return self._session(login_data(result), broker_user_id=credentials.broker_user_id)

    async def _prove(self, credentials: Credentials, access_token: str, answer: LoginAnswer) -> BrokerSession:
        proven = replace(credentials, access_token=access_token)
        profile = read_profile(login_data(await self._transport(session_headers(proven)).read(PROFILE)))
        return BrokerSession(
            access_token=access_token,
            broker_user_id=profile.broker_user_id,
            expires_at=session_end(self._clock.now()),
            refresh_token=answer.refresh_token,
            feed_token=answer.feed_token,
        )

    def _session(self, data: object, *, broker_user_id: str) -> BrokerSession:
        source = row(data, "session")
        return BrokerSession(
            access_token=plain_token(name(source, "jwtToken")),
            broker_user_id=broker_user_id,
            expires_at=session_end(self._clock.now()),
            refresh_token=optional_name(source, "refreshToken"),
            feed_token=optional_name(source, "feedToken"),
        )

    def _transport(self, headers: Mapping[str, str]) -> Transport:
        return Transport(
            base_url=self._api_url, connections=self._connections, timeout_seconds=self._timeout_seconds, headers=headers
        )
