"""Which account carries a broker's feed: the best that is logged in, and another one as soon as that fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from listener.complaints import Complaints
from storage.database import Database
from storage.repositories.stops import FeedAccount, feed_accounts
from trading.accounts import BrokerName
from trading.ports.broker import Broker
from trading.ports.clock import Clock

# An account the broker refused is left alone until its next login, or this long: a data plan may have been bought meanwhile.
REFUSED_SECONDS = 10.0
# Whoever asks also minds the connection, and has no time for a database that hangs.
READ_SECONDS = 2.0


class OpensAccounts(Protocol):
    """`runtime.accounts.BrokerAccounts`, as far as a feed needs it."""

    async def open(self, account_id: str) -> Broker: ...


@dataclass(slots=True)
class _Record:
    failures: int = 0
    refused_until: float = 0.0


class FeedAccounts:
    """Accounts of one broker. Without Postgres, what was known last still holds."""

    def __init__(
        self, database: Database, accounts: OpensAccounts, broker: BrokerName, *, clock: Clock, complaints: Complaints
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._broker = broker
        self._clock = clock
        self._complaints = complaints
        self._known: list[FeedAccount] = []
        self._records: dict[tuple[str, int], _Record] = {}
        self._opened: dict[tuple[str, int], Broker] = {}

    async def refresh(self) -> None:
        """All that could be used: for who looks for one."""
        found = await self._read()
        if found is None:
            return
        self._known = found
        keys = {_key(account) for account in found}
        self._records = {key: record for key, record in self._records.items() if key in keys}
        self._opened = {key: broker for key, broker in self._opened.items() if key in keys}

    def best(self) -> FeedAccount | None:
        """The one that failed least lately, in order of preference; None: nobody is logged in, or everyone was refused."""
        return self._best_of(self._known)

    async def should_leave(self, account: FeedAccount) -> bool:
        """The account is gone, logged out or logged in anew, or an admin has chosen another one that works.

        Asked every second beside the ticks, so it reads those two accounts and not the thousands there may be.
        """
        found = await self._read(among=account.account_id)
        if found is None:
            return False
        if _key(account) not in map(_key, found):
            return True
        best = self._best_of(found)
        return best is not None and best.is_chosen and best.account_id != account.account_id

    def _best_of(self, accounts: Sequence[FeedAccount]) -> FeedAccount | None:
        now = self._clock.monotonic()
        usable = [account for account in accounts if self._record(account).refused_until <= now]
        return min(usable, key=lambda account: self._record(account).failures, default=None)

    async def _read(self, *, among: str | None = None) -> list[FeedAccount] | None:
        """None: Postgres could not be asked."""
        try:
            async with asyncio.timeout(READ_SECONDS), self._database.transaction() as session:
                found = await feed_accounts(session, broker=self._broker, now=self._clock.now(), among=among)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._complaints.about("feed_accounts_cannot_be_read", error=type(error).__name__)
            return None
        self._complaints.over("feed_accounts_cannot_be_read")
        return found

    async def open(self, account: FeedAccount) -> Broker:
        """Raises what `BrokerAccounts.open` raises; without Postgres, the adapter used last is used again."""
        try:
            broker = await self._accounts.open(account.account_id)
        except (SQLAlchemyError, OSError, TimeoutError):
            broker_before = self._opened.get(_key(account))
            if broker_before is None:
                raise
            return broker_before
        self._opened[_key(account)] = broker
        return broker

    def note_success(self, account: FeedAccount) -> None:
        self._records.pop(_key(account), None)

    def note_failure(self, account: FeedAccount) -> None:
        """The connection could not be made or kept: others first."""
        self._record(account).failures += 1

    def note_refusal(self, account: FeedAccount) -> None:
        """The broker said no to this session."""
        self._record(account).refused_until = self._clock.monotonic() + REFUSED_SECONDS

    def _record(self, account: FeedAccount) -> _Record:
        return self._records.setdefault(_key(account), _Record())


def _key(account: FeedAccount) -> tuple[str, int]:
    """A new login is a new chance."""
    return account.account_id, account.session_version
