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
        self._user_ids = {account.user_id for account in exchange.accounts.values()}
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
        self._user_ids.add(account.user_id)
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
        self._user_ids.discard(account.user_id)

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

    def open_session(self, account: Account) -> str:
        """A new access token, good until 06:00 Indian time; the previous one is dead."""
        self.end_session(account)
        now = self._exchange.clock()
        account.access_token = secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
        account.access_token_expires_ns = next_token_death(now)
        account.login_ns = now
        self.save(account)
        return account.access_token

    def end_session(self, account: Account) -> None:
        """Kill the access token."""
        if account.access_token is None:
            return
        account.access_token = None
        self.save(account)
        for listener in self.on_token_dead:
            listener(account)

    def authenticate(self, api_key: str, access_token: str) -> Account | None:
        """The account behind a live token, or None."""
        account = self._exchange.accounts.get(api_key)
        if account is None or account.access_token is None:
            return None
        if not hmac.compare_digest(account.access_token.encode(), access_token.encode()):
            return None
        if self._exchange.clock() >= account.access_token_expires_ns:
            self.end_session(account)
            return None
        return account


def next_token_death(now_ns: int) -> int:
    """The next 06:00 Indian time (a regulatory daily logout), in epoch nanoseconds."""
    wall = india_datetime(now_ns)
    death = wall.replace(hour=_TOKEN_DIES_AT_HOUR, minute=0, second=0)
    if death <= wall:
        death += timedelta(days=1)
    return (int(death.timestamp()) - INDIA_OFFSET_SECONDS) * SECOND_NS
