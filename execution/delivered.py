"""Shares of earlier days. A delivery position does not show them, so the broker is asked for its holdings as well: twice in the
morning of each instrument in which a delivery run holds shares, and once more before any are taken off it.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import structlog

from execution.position_rows import read_ledger_row, store_ledger_row
from execution.seen_twice import SeenTwice
from storage.database import Database
from trading.ledger import LedgerKey, held_in_the_morning, listed_holding
from trading.orders import BrokerHolding, BrokerTrade
from trading.ports.broker import Broker, BrokerError
from trading.sessions import trading_date

_log = structlog.get_logger()

# Who has not answered is asked again after this: nothing of the account waits for it.
AGAIN_AFTER = timedelta(seconds=15)


class Delivered:
    """Of one account. A read that failed proves nothing, and disturbs nobody."""

    def __init__(self, account_id: str, *, database: Database, settle: timedelta) -> None:
        self._account_id = account_id
        self._database = database
        self._settle = settle
        self._known: dict[tuple[LedgerKey, date], int] = {}
        self._seen = SeenTwice[LedgerKey](settle)
        # Read for all instruments at once: what was listed, when it was asked for, and when it may be asked for again.
        self._listed: Sequence[BrokerHolding] | None = None
        self._asked_at: datetime | None = None
        self._again_at: datetime | None = None

    @property
    def is_unsettled(self) -> bool:
        """Whether a second list, a settle time after the first, would decide something. One that fails is no reason to hurry."""
        return bool(self._seen) and self._listed is not None

    def keep(self, keys: Collection[LedgerKey]) -> None:
        """Forget what was seen once of all others."""
        self._seen.keep(keys)

    async def in_the_morning(
        self, broker: Broker, trades: Sequence[BrokerTrade], key: LedgerKey, *, own: frozenset[str], now: datetime
    ) -> int | None:
        """What was there before the day's trades. None: not known yet. `own`: our broker order ids."""
        day = trading_date(now)
        known = self._known.get((key, day))
        if known is None:
            known = (await read_ledger_row(self._database, self._account_id, key, day)).delivered
        if known is None:
            listed = await self._list(broker, now)
            if listed is None:
                return None
            morning = held_in_the_morning(listed, trades, key, own=own)
            if not self._seen.sees(key, morning, now):
                return None
            await store_ledger_row(self._database, self._account_id, key, delivered=morning, now=now)
            known = morning
        self._known = {(key, day): known, **{at: held for at, held in self._known.items() if at[1] == day}}
        return known

    async def listed_now(self, broker: Broker, key: LedgerKey) -> int | None:
        """None: no answer."""
        listed = await self._ask(broker)
        return None if listed is None else listed_holding(listed, key)

    async def _list(self, broker: Broker, now: datetime) -> Sequence[BrokerHolding] | None:
        """One answer for all instruments of one look. None: no answer, or too soon after the last one."""
        if self._asked_at != now:
            if self._again_at is not None and now < self._again_at:
                return None
            self._asked_at, self._listed = now, await self._ask(broker)
            self._again_at = now + (AGAIN_AFTER if self._listed is None else self._settle)
        return self._listed

    async def _ask(self, broker: Broker) -> Sequence[BrokerHolding] | None:
        try:
            return await broker.holdings()
        except BrokerError as error:
            _log.warning("holdings_not_read", account_id=self._account_id, error=str(error))
            return None
