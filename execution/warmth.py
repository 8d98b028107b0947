"""Open connections to every broker that may be needed at any moment.

A stop or a sale that comes amid hours of quiet would open one first, which costs several journeys to the broker and back.
Accounts of a broker share theirs, so one of them asks for all.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from trading.accounts import BrokerName, Environment
from trading.ports.broker import Broker

# One to use and one more if that breaks. Of many accounts a fifth may leave at one instant on connections that are open, the
# others on those that come back; no broker is asked for more than the pool would use.
KEPT_WARM, OF_ACCOUNTS, KEPT_WARM_AT_MOST = 2, 5, 200
PAUSE_SECONDS = 10.0


class HasBroker(Protocol):
    """A desk. Without a login it has no broker."""

    @property
    def broker(self) -> Broker | None: ...


async def keep_warm(desks: Mapping[str, HasBroker]) -> None:
    """For ever. Whoever has a desk has something that may leave."""
    while True:
        await warm(desks.values())
        await asyncio.sleep(PAUSE_SECONDS)


async def warm(desks: Iterable[HasBroker]) -> None:
    """Once, each broker and environment by one of its accounts, the more the more accounts there are."""
    ways: dict[tuple[BrokerName, Environment], list[Broker]] = {}
    for desk in desks:
        if desk.broker is not None:
            ways.setdefault((desk.broker.name, desk.broker.environment), []).append(desk.broker)
    await asyncio.gather(*(brokers[0].warm(_kept_warm(len(brokers))) for brokers in ways.values()))


def _kept_warm(accounts: int) -> int:
    return min(max(KEPT_WARM, accounts // OF_ACCOUNTS), KEPT_WARM_AT_MOST)
