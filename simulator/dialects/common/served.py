"""What a dialect is to the server, whatever its protocol: sockets to close, rows to forget, odd prices to tell."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from simulator.dialects.common.gateway import Gateway
from simulator.dialects.common.rows import OrderRows
from simulator.exchange.accounts import Account
from simulator.exchange.market import Market

_log = structlog.get_logger(__name__)


class PriceHub(Protocol):
    """The sockets of a dialect's market feed."""

    def publish(self, markets: Sequence[Market]) -> None:
        """Tell the subscribers of some markets their new prices."""

    def send_odd_price(self, market: Market, price: int) -> int:
        """Tell a market's subscribers a price it never had; answers how many sockets were told."""

    def close_account(self, api_key: str) -> None:
        """Close the sockets of an account whose token died."""

    def close_all(self) -> None:
        """Close everything, at the end."""


class ServedDialect:
    """The common part of `common.dialect.Dialect`, for a subclass that makes these three."""

    hub: PriceHub
    shapes: OrderRows
    gateway: Gateway[Any]

    def token_died(self, account: Account) -> None:
        """Close the account's sockets."""
        self.hub.close_account(account.api_key)

    async def beat(self) -> None:
        """Nothing to do: where servers send no heartbeats, the clients keep their sockets alive."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close sockets and give up delayed work."""
        self.hub.close_all()
        self.gateway.close()

    def forget(self) -> None:
        """Drop remembered rows, at the end of a day."""
        self.shapes.forget()

    def send_odd_price(self, market: Market, price: int) -> int:
        """Tell the market's subscribers any price, without touching the market; answers how many sockets were told."""
        return self.hub.send_odd_price(market, price)


async def beat_for_ever(beat: Callable[[], None], *, every_seconds: float) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            beat()
        except Exception:  # noqa: BLE001 - supervised loop: heartbeats go on whatever happened to one socket
            _log.exception("heartbeat_failed")
