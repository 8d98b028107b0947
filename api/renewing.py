"""Sessions that a broker lets be followed by another without a person, renewed before they end: in quiet hours, or at the last
moment. One process of all does it at a time. A renewal may end the session before it; whoever used that unseals the new one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog

from api import connecting
from api.services import Services
from runtime.accounts import BrokerNotSupported
from runtime.rounds import rounds_for_ever
from storage.models import BrokerAccount
from storage.repositories import accounts
from trading.ports.broker import BrokerError, BrokerUnavailable
from trading.ports.sealing import SealBroken
from trading.sessions import TradingCalendar, UnknownDay, instant, trading_date

ROUND_SECONDS = 60.0
SILENCE_SECONDS = 180.0
# A trading day is shorter than this: what is renewed in quiet hours lasts through the next session.
EARLY = timedelta(hours=7)
LAST_MOMENT = timedelta(minutes=10)
_RENEWING_LOCK = 7_203_114_590
_log = structlog.get_logger()


class Renewing:
    def __init__(self, services: Services) -> None:
        self._services = services
        # Tried and not to be tried again: the account and the end of its session.
        self._settled: set[tuple[str, datetime]] = set()

    async def run(self) -> None:
        """For ever."""
        await rounds_for_ever(
            self._services.database,
            _RENEWING_LOCK,
            self.round,
            name="renewing",
            pause_seconds=ROUND_SECONDS,
            silence_seconds=SILENCE_SECONDS,
        )

    async def round(self) -> None:
        services = self._services
        now = services.clock.now()
        async with services.database.transaction() as session:
            ending = await accounts.ending_sessions(session, after=now, before=now + EARLY)
        quiet = not _is_open(services.calendar, now)
        for account in ending:
            ends = account.token_expires_at
            if ends is None or (account.id, ends) in self._settled:
                continue
            if quiet or ends - now <= LAST_MOMENT:
                await self._renew(account, ends)
        self._settled = {key for key in self._settled if key[1] > now}

    async def _renew(self, account: BrokerAccount, ends: datetime) -> None:
        services = self._services
        try:
            login = services.accounts.login(account.broker)
            if login.renews:
                opened = await login.renew(services.accounts.credentials(account))
                await connecting.store_renewal(services, account, opened)
                _log.info("broker_session_renewed", account_id=account.id, broker=account.broker.value)
        except BrokerUnavailable as error:
            # It may have been renewed all the same, and the answer lost: the next round learns it, or the user logs in.
            _log.warning("broker_session_not_renewed", account_id=account.id, error=str(error))
            return
        except (BrokerError, BrokerNotSupported, SealBroken) as error:
            _log.warning("broker_session_not_renewed", account_id=account.id, error=str(error))
        self._settled.add((account.id, ends))


def _is_open(calendar: TradingCalendar, now: datetime) -> bool:
    """A day nobody knows counts as open: then only the last moment is left."""
    today = trading_date(now)
    try:
        day = calendar.day(today)
    except UnknownDay:
        return True
    if day is None:
        return False
    return day.is_always_open or instant(today, day.opens) <= now <= instant(today, day.closes)


@asynccontextmanager
async def renewing(services: Services, *, wanted: bool) -> AsyncIterator[None]:
    """The rounds, for as long as the block lasts."""
    if not wanted:
        yield
        return
    task = asyncio.create_task(Renewing(services).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
