"""Open connections to every broker that may be needed at any moment.

A stop or a sale that comes amid hours of quiet would open one first, which costs several journeys to the broker and back.
Accounts of a broker share theirs, so one of them asks for all.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from trading.accounts import BrokerName, Environment
from trading.ports.broker import Broker

# A single account needs one, and one more if that breaks; of a herd the first leave at once, and the others on theirs.
KEPT_WARM, KEPT_WARM_FOR_MANY = 2, 20
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
    """Once, each broker and environment by one of its accounts, as many as there are accounts that may need them at once."""
    ways: dict[tuple[BrokerName, Environment], list[Broker]] = {}
    for desk in desks:
        if desk.broker is not None:
            ways.setdefault((desk.broker.name, desk.broker.environment), []).append(desk.broker)
    await asyncio.gather(*(brokers[0].warm(_kept_warm(len(brokers))) for brokers in ways.values()))


def _kept_warm(accounts: int) -> int:
    return min(max(KEPT_WARM, accounts), KEPT_WARM_FOR_MANY)
