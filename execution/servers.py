"""A change of database server: failed over, restored, or moved. What was sent may be missing in the rows, so each account stays
frozen until its broker's book has been compared with them.

The freeze needs nobody to notice: the claim itself asks whether the account was compared on this server (execution/claim.py).
What is here notices the change, tells of it, compares, and lifts the freeze.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.claim import SEND_WITHIN
from execution.reconcile import Reconciled, reconcile_account
from execution.tools import Tools
from storage.any_of import any_of
from storage.ids import new_id
from storage.models import BrokerAccount, DeskLease
from trading.ports.broker import BrokerError
from trading.reconciliation import Missed

_log = structlog.get_logger()

PAUSE_SECONDS = 1.0
# Accounts whose books are read at the same time.
AT_ONCE = 50

_NOTICE = text(
    """
    INSERT INTO database_servers (id, identity, is_change)
    SELECT :id, database_server(), EXISTS (SELECT 1 FROM database_servers)
    WHERE database_server() IS DISTINCT FROM (SELECT identity FROM database_servers ORDER BY noticed_at DESC, id DESC LIMIT 1)
    RETURNING identity
    """
)
# Accounts without a lease row are as uncertain as the others: theirs may be among the rows that were lost.
_FREEZE_THE_REST = text(
    """
    INSERT INTO desk_leases (id, account_id, compared_server)
    SELECT 'dsk' || substr(a.id, 4), a.id, NULL FROM broker_credentials a
    ON CONFLICT DO NOTHING
    """
)
_WENT_BACK = text(
    """
    WITH noticed AS (INSERT INTO database_servers (id, identity, is_change) VALUES (:id, database_server(), true))
    UPDATE desk_leases SET compared_server = NULL
    """
)
_NEWEST = text("SELECT identity, noticed_at FROM database_servers ORDER BY noticed_at DESC, id DESC LIMIT 1")
_POSITION = text("SELECT database_server(), (pg_current_wal_lsn() - '0/0')::bigint")
_LIFT = text(
    "UPDATE desk_leases SET compared_server = :identity WHERE account_id = :account_id AND database_server() = :identity"
)


@dataclass(frozen=True, slots=True)
class Server:
    """The server the database is on now, and since when we know."""

    identity: str
    noticed_at: datetime


async def frozen_accounts(session: AsyncSession, account_ids: Collection[str]) -> list[BrokerAccount]:
    """Those of the accounts that were not compared on this server."""
    frozen = select(DeskLease.account_id).where(
        DeskLease.account_id == any_of(account_ids), DeskLease.compared_server.is_distinct_from(func.database_server())
    )
    return list(await session.scalars(select(BrokerAccount).where(BrokerAccount.id.in_(frozen)).order_by(BrokerAccount.id)))


class ServerWatch:
    """One per worker process: `run` it for ever. `here`: the accounts whose desks this process runs; `mark`: look at its rows."""

    def __init__(self, tools: Tools, *, here: Callable[[], Collection[str]], changed: Callable[[str], None]) -> None:
        self._tools = tools
        self._here = here
        self._changed = changed
        self._seen: tuple[str, int] | None = None

    async def run(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> None:
        """Notice a change, and compare the accounts of ours that it froze."""
        server = await self._notice()
        async with self._tools.database.transaction() as session:
            frozen = await frozen_accounts(session, self._here())
        for start in range(0, len(frozen), AT_ONCE):
            await asyncio.gather(*(self._compare(account, server) for account in frozen[start : start + AT_ONCE]))

    async def _notice(self) -> Server:
        async with self._tools.database.transaction() as session:
            moved = (await session.execute(_NOTICE, {"id": new_id("srv")})).first() is not None
            identity, position = (await session.execute(_POSITION)).one()
            went_back = self._seen is not None and self._seen[0] == identity and position < self._seen[1]
            if went_back:
                # The same server with an older log: its disk was put back. Nothing in its own rows could say so.
                await session.execute(_WENT_BACK, {"id": new_id("srv")})
            if moved or went_back:
                await session.execute(_FREEZE_THE_REST)
                _log.error("database_server_changed", identity=identity, went_back=went_back)
            self._seen = (identity, position)
            newest = (await session.execute(_NEWEST)).one()
        return Server(newest.identity, newest.noticed_at)

    async def _compare(self, account: BrokerAccount, server: Server) -> None:
        async with self._tools.database.transaction() as session:
            await raise_alarm(session, _alarm(account))
        if self._tools.clock.now() <= server.noticed_at + self._under_way():
            return
        try:
            whole = await self._is_compared_twice(account)
        except (BrokerError, LookupError, ValueError) as error:
            _log.warning("still_frozen", account_id=account.id, error=str(error))
            return
        if not whole:
            return
        async with self._tools.database.transaction() as session:
            await session.execute(_LIFT, {"identity": server.identity, "account_id": account.id})
            await clear_alarm(session, _alarm(account).key)
        _log.info("account_compared", account_id=account.id)
        self._changed(account.id)

    def _under_way(self) -> timedelta:
        """What was claimed on the server that is gone may be on the wire for so long, and in no book yet."""
        return SEND_WITHIN + self._tools.pace.timeout

    async def _is_compared_twice(self, account: BrokerAccount) -> bool:
        """Two whole books a settle time apart, of which the second shows no order that our rows had missed."""
        if not (await reconcile_account(account, self._tools)).is_whole:
            return False
        await asyncio.sleep(self._tools.settle_of(account).total_seconds())
        return _shows_nothing_new(await reconcile_account(account, self._tools))


def _shows_nothing_new(compared: Reconciled) -> bool:
    return compared.is_whole and not (compared.changed and any(isinstance(finding, Missed) for finding in compared.findings))


def _alarm(account: BrokerAccount) -> Alarm:
    message = (
        "The database is on another server than before, and may have lost rows: nothing is sent for this account until the "
        "broker's book has been compared with them"
    )
    return Alarm(f"account-frozen:{account.id}", "account_frozen", message, user_id=account.user_id, account_id=account.id)
