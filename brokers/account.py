"""What the adapters of all brokers are: one account at one broker, live or simulated by type."""

from abc import ABC, abstractmethod
from typing import Literal

from brokers.transport import Transport
from trading.accounts import Environment


class AccountAdapter(ABC):
    """Everything but the environment, which is the subclass: `Live` or `Simulated` comes before the broker's own class."""

    account_id: str
    _transport: Transport

    @property
    @abstractmethod
    def environment(self) -> Environment: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account_id={self.account_id!r})"

    async def warm(self, connections: int) -> int:
        return await self._transport.warm(connections)


class Live:
    """Real money."""

    @property
    def environment(self) -> Literal[Environment.LIVE]:
        return Environment.LIVE


class Simulated:
    """Any server that speaks the protocol and is not the broker's own."""

    @property
    def environment(self) -> Literal[Environment.SIMULATED]:
        return Environment.SIMULATED
