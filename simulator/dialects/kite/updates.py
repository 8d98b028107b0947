"""Order updates: text frames on the account's ticker sockets, and postbacks (Kite Connect v3, "Postback")."""

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog

from simulator.clock import india_text
from simulator.dialects.kite.hub import Hub
from simulator.dialects.kite.shapes import Shapes
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event, OrderChanged
from simulator.exchange.orders import Order, Snapshot, Status
from simulator.faults import Fault, FaultBook

_POSTBACK_TIMEOUT = aiohttp.ClientTimeout(total=3)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_FIRST_AT_EXCHANGE = 3
_log = structlog.get_logger(__name__)


class Updates:
    """Observes the engine and tells clients of changes: not of the placing itself, only of what happens after."""

    def __init__(self, exchange: Exchange, shapes: Shapes, hub: Hub, faults: FaultBook) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._hub = hub
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Stop sending postbacks."""
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            await self._client.close()

    def observe(self, event: Event) -> None:
        """Tell of a change worth telling."""
        if isinstance(event, OrderChanged) and _is_told(event.order, event.snapshot):
            self._tell(event.order, event.snapshot)

    def _tell(self, order: Order, snapshot: Snapshot) -> None:
        account = self._exchange.accounts[order.account]
        if account.api_key in self._hub.sockets:
            self._send_on_sockets(order, snapshot)
        if account.postback_url and order.via_api and account.dialect == "zerodha":
            self._post_back(account, order, snapshot)

    def _send_on_sockets(self, order: Order, snapshot: Snapshot) -> None:
        row = self._shapes.update(order, snapshot)
        fault = self._fault(order) if self._faults.faults else None
        kind = "" if fault is None else fault.kind
        if kind == "no_order_updates":
            return
        if fault is not None and kind == "late_update":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_ms / 1000, self._hub.send_order, order.account, row)
            return
        self._hub.send_order(order.account, row)
        if kind == "duplicate_update":
            self._hub.send_order(order.account, row)
        elif kind == "regress_update":
            self._hub.send_order(order.account, self._shapes.update(order, _older(order, snapshot)))

    def _fault(self, order: Order) -> Fault | None:
        symbol = order.instrument.partition(":")[2]
        return self._faults.update(
            order.account, {"tradingsymbol": symbol, "transaction_type": order.side, "tag": order.tag or ""}
        )

    def _post_back(self, account: Account, order: Order, snapshot: Snapshot) -> None:
        if urlsplit(account.postback_url or "").hostname not in _LOOPBACK:
            _log.warning("postback_refused", account=account.api_key, reason="only loopback addresses get postbacks")
            return
        checksum = postback_checksum(order.order_id, india_text(order.created_ns), account.api_secret)
        row = self._shapes.update(order, snapshot, checksum=checksum)
        task = asyncio.get_running_loop().create_task(self._post(account.postback_url or "", row))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, url: str, row: dict[str, Any]) -> None:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=_POSTBACK_TIMEOUT)
        try:
            async with self._client.post(
                url, data=orjson.dumps(row), headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    _log.warning("postback_not_taken", order_id=row["order_id"], status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("postback_failed", order_id=row["order_id"], reason=type(error).__name__)


def postback_checksum(order_id: str, order_timestamp: str, api_secret: str) -> str:
    """SHA-256 over order id, order timestamp and api_secret, in lower-case hex."""
    return hashlib.sha256(f"{order_id}{order_timestamp}{api_secret}".encode()).hexdigest()


def _is_told(order: Order, snapshot: Snapshot) -> bool:
    if snapshot.status.is_terminal:
        return True
    if snapshot.status not in (Status.OPEN, Status.TRIGGER_PENDING):
        return False
    return snapshot is not order.history[_FIRST_AT_EXCHANGE]


def _older(order: Order, snapshot: Snapshot) -> Snapshot:
    index = next(index for index, known in enumerate(order.history) if known is snapshot)
    return order.history[max(0, index - 1)]
