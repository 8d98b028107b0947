"""Telling clients of orders: on their sockets, faults included, and at the address they gave."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog

from simulator.exchange.orders import Order, Snapshot
from simulator.faults import FaultBook

Row = dict[str, Any]
_POSTBACK_TIMEOUT = aiohttp.ClientTimeout(total=3)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_log = structlog.get_logger(__name__)


class OrderTeller:
    """Sends a row about an order to the account's sockets, or does with it what a fault says."""

    def __init__(self, faults: FaultBook, *, row: Callable[[Order, Snapshot], Row], send: Callable[[str, Row], None]) -> None:
        self._faults = faults
        self._row = row
        self._send = send

    def tell(self, order: Order, snapshot: Snapshot) -> None:
        """Tell of that state of the order."""
        row = self._row(order, snapshot)
        symbol = order.instrument.partition(":")[2]
        about = {"tradingsymbol": symbol, "transaction_type": str(order.side), "tag": order.tag or ""}
        fault = self._faults.update(order.account, about) if self._faults.faults else None
        kind = "" if fault is None else fault.kind
        if kind == "no_order_updates":
            return
        if fault is not None and kind == "late_update":
            asyncio.get_running_loop().call_later(fault.delay_ms / 1000, self._send, order.account, row)
            return
        self._send(order.account, row)
        if kind == "duplicate_update":
            self._send(order.account, row)
        elif kind == "regress_update":
            self._send(order.account, self._row(order, _older(order, snapshot)))


def _older(order: Order, snapshot: Snapshot) -> Snapshot:
    index = next(index for index, known in enumerate(order.history) if known is snapshot)
    return order.history[max(0, index - 1)]


class Postbacks:
    """Posts rows to addresses of this machine, each once, in the background."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Stop posting."""
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            await self._client.close()

    def post(self, url: str, row: Row, *, order_id: str) -> None:
        """Begin to post; a failure is logged and forgotten, as at the brokers."""
        if urlsplit(url).hostname not in _LOOPBACK:
            _log.warning("postback_refused", order_id=order_id, reason="only loopback addresses get postbacks")
            return
        task = asyncio.get_running_loop().create_task(self._post(url, row, order_id=order_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, url: str, row: Row, *, order_id: str) -> None:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=_POSTBACK_TIMEOUT)
        try:
            async with self._client.post(
                url, data=orjson.dumps(row), headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    _log.warning("postback_not_taken", order_id=order_id, status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("postback_failed", order_id=order_id, reason=type(error).__name__)
