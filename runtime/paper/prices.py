"""Prices for paper accounts: what the listener last wrote down, whichever broker's feed it came from.

Only such a price fills an order. Where there is none yet, a quote is asked of any account that is logged in to a broker with
servers, to measure an order against; it fills nothing.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from cache.connection import CacheUnavailable
from cache.prices import PriceCache
from storage.database import Database
from storage.repositories.stops import feed_accounts
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.paper import PRICE_LIFE, SeenPrice
from trading.ports.broker import Broker, BrokerError, BrokerUnavailable
from trading.ports.clock import Clock

OpenBroker: TypeAlias = Callable[[str], Coroutine[Any, Any, Broker]]
# Accounts of a broker that are asked one after the other until one answers.
LENDERS = 2


class SeenPrices:
    """What the listener has seen."""

    def __init__(self, hot: PriceCache) -> None:
        self._hot = hot

    async def seen(self, instruments: Iterable[InstrumentId]) -> dict[InstrumentId, SeenPrice]:
        """Those with a hot price. Without Redis there is none, and nothing is filled."""
        try:
            found = await self._hot.read(instruments)
        except CacheUnavailable:
            return {}
        return {instrument: SeenPrice(hot.price, hot.at) for instrument, hot in found.items()}


class PaperPrices(SeenPrices):
    """`open_broker` opens an account by its id; `lenders`: brokers whose accounts may be asked for a quote."""

    def __init__(
        self, hot: PriceCache, database: Database, *, open_broker: OpenBroker, lenders: Sequence[BrokerName], clock: Clock
    ) -> None:
        super().__init__(hot)
        self._database = database
        self._open_broker = open_broker
        self._lenders = lenders
        self._clock = clock

    async def last(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """Hot prices, and quotes for the others. Raises BrokerUnavailable when others are asked for and nobody answers."""
        oldest = self._clock.now() - PRICE_LIFE
        prices = {key: seen.price for key, seen in (await self.seen(instruments)).items() if seen.at >= oldest}
        missing = [instrument for instrument in instruments if instrument not in prices]
        return {**prices, **await self._quoted(missing)} if missing else prices

    async def _quoted(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        trouble = "no broker account is logged in that could quote a price"
        for account_id in await self._lending_accounts():
            try:
                return await (await self._open_broker(account_id)).ltp(instruments)
            except (BrokerError, LookupError) as error:
                trouble = str(error)
        raise BrokerUnavailable(f"no quote for a paper account: {trouble}")

    async def _lending_accounts(self) -> list[str]:
        async with self._database.transaction() as session:
            return [
                account.account_id
                for broker in self._lenders
                for account in await feed_accounts(session, broker=broker, now=self._clock.now(), at_most=LENDERS)
            ]
