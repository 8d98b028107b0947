"""Who has an account, and who is logged in."""

import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS, india_datetime
from simulator.exchange.accounts import DEFAULT_FUNDS, Account, derived_user_id, is_open_key
from simulator.exchange.engine import Exchange

REQUEST_TOKEN_SECONDS = 300
_TOKEN_DIES_AT_HOUR = 6


class AccountExists(ValueError):
    """The api_key is taken."""


class Registry:
    """Registration and sessions. One session per account: a new login ends the one before."""

    def __init__(self, exchange: Exchange, *, open_accounts: bool) -> None:
        self._exchange = exchange
        self._open_accounts = open_accounts
        self._user_ids = {account.user_id: account.api_key for account in exchange.accounts.values()}
        self._by_token = {account.access_token: account for account in exchange.accounts.values() if account.access_token}
        self.on_token_dead: list[Callable[[Account], None]] = []

    def register(
        self,
        api_key: str,
        *,
        api_secret: str | None = None,
        user_id: str | None = None,
        funds: int = DEFAULT_FUNDS,
        rate_limits: str | None = None,
        redirect_url: str | None = None,
        postback_url: str | None = None,
    ) -> Account:
        """Make an account. Raises AccountExists."""
        if api_key in self._exchange.accounts:
            raise AccountExists(f"There is an account {api_key} already.")
        account = Account(
            api_key=api_key,
            api_secret=api_secret or f"{api_key}-secret",
            user_id=user_id or self._free_user_id(api_key),
            funds=funds,
            rate_limits=rate_limits,
            redirect_url=redirect_url,
            postback_url=postback_url,
            app_id=len(self._exchange.accounts) + 1,
        )
        self._user_ids[account.user_id] = api_key
        self._exchange.accounts[api_key] = account
        self._exchange.journal.write_account(account)
        return account

    def _free_user_id(self, api_key: str) -> str:
        user_id = derived_user_id(api_key)
        while user_id in self._user_ids:
            user_id = derived_user_id(f"{api_key}+{user_id}")
        return user_id

    def find(self, api_key: str) -> Account | None:
        """The account of a key; a made-up key of the open form gets one now, if that is allowed."""
        account = self._exchange.accounts.get(api_key)
        if account is None and self._open_accounts and is_open_key(api_key):
            return self.register(api_key)
        return account

    def forget(self, account: Account) -> None:
        """Give the user id of a deleted account free."""
        self._user_ids.pop(account.user_id, None)

    def save(self, account: Account) -> None:
        """Journal a changed account."""
        self._exchange.journal.write_account(account)

    def mint_request_token(self, account: Account) -> str:
        """The single-use token a login ends with."""
        now = self._exchange.clock()
        account.request_tokens = {token: until for token, until in account.request_tokens.items() if until > now}
        token = secrets.token_urlsafe(24).replace("-", "a").replace("_", "b")
        account.request_tokens[token] = now + REQUEST_TOKEN_SECONDS * SECOND_NS
        self.save(account)
        return token

    def use_request_token(self, account: Account, token: str) -> bool:
        """Whether the token was valid until this moment; it no longer is."""
        until = account.request_tokens.pop(token, 0)
        self.save(account)
        return until > self._exchange.clock()

    def open_session(
        self, account: Account, *, dialect: str = "zerodha", token: str | None = None, expires_ns: int | None = None
    ) -> str:
        """A new access token; the previous one is dead. By default opaque, and good until 06:00 Indian time."""
        self.end_session(account)
        now = self._exchange.clock()
        account.access_token = token or secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
        account.access_token_expires_ns = next_token_death(now) if expires_ns is None else expires_ns
        account.login_ns = now
        account.dialect = dialect
        self._by_token[account.access_token] = account
        self.save(account)
        return account.access_token

    def living_token(self, account: Account, dialect: str) -> str | None:
        """The account's access token, if its newest login was in that dialect and has not ended."""
        if account.access_token is None or account.dialect != dialect:
            return None
        return None if self._has_expired(account) else account.access_token

    def end_session(self, account: Account) -> None:
        """Kill the access token."""
        if account.access_token is None:
            return
        self._by_token.pop(account.access_token, None)
        account.access_token = None
        self.save(account)
        for listener in self.on_token_dead:
            listener(account)

    def _has_expired(self, account: Account) -> bool:
        if self._exchange.clock() < account.access_token_expires_ns:
            return False
        self.end_session(account)
        return True

    def of_token(self, access_token: str, *, dialect: str) -> Account | None:
        """The account behind a live token, for brokers whose requests carry nothing else; None for any other."""
        account = self._by_token.get(access_token)
        if account is None or account.dialect != dialect or self._has_expired(account):
            return None
        return account

    def of_user(self, user_id: str) -> Account | None:
        """The account with that user id, or (see `find`) with that key."""
        api_key = self._user_ids.get(user_id)
        return self.find(user_id) if api_key is None else self._exchange.accounts.get(api_key)

    def authenticate(self, api_key: str, access_token: str) -> Account | None:
        """The account behind a live token, or None."""
        account = self._exchange.accounts.get(api_key)
        if account is None or account.access_token is None:
            return None
        if not hmac.compare_digest(account.access_token.encode(), access_token.encode()):
            return None
        return None if self._has_expired(account) else account


def next_token_death(now_ns: int) -> int:
    """The next 06:00 Indian time (a regulatory daily logout), in epoch nanoseconds."""
    wall = india_datetime(now_ns)
    death = wall.replace(hour=_TOKEN_DIES_AT_HOUR, minute=0, second=0)
    if death <= wall:
        death += timedelta(days=1)
    return (int(death.timestamp()) - INDIA_OFFSET_SECONDS) * SECOND_NS
