"""Order updates on the accounts' sockets, and postbacks (SmartAPI documentation, "WebSocket Order Status", "Postback")."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog

from simulator.dialects.angel_one.call import NAME
from simulator.dialects.angel_one.hub import Hub
from simulator.dialects.angel_one.shapes import Shapes
from simulator.dialects.angel_one.streaming import order_message
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event, OrderChanged
from simulator.exchange.orders import Order, Snapshot, Status
from simulator.faults import Fault, FaultBook

CODES: dict[Status, str] = {
    Status.OPEN: "AB01",
    Status.CANCELLED: "AB02",
    Status.REJECTED: "AB03",
    Status.MODIFIED: "AB04",
    Status.COMPLETE: "AB05",
    Status.OPEN_PENDING: "AB09",
    Status.TRIGGER_PENDING: "AB10",
    Status.MODIFY_PENDING: "AB11",
}
"""States that are told of, and what the frame calls them."""
_POSTBACK_TIMEOUT = aiohttp.ClientTimeout(total=3)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_log = structlog.get_logger(__name__)


class Updates:
    """Observes the engine and tells clients of changes."""

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
        if isinstance(event, OrderChanged) and event.snapshot.status in CODES:
            self._tell(event.order, event.snapshot)

    def _tell(self, order: Order, snapshot: Snapshot) -> None:
        account = self._exchange.accounts[order.account]
        if account.api_key in self._hub.sockets:
            self._send_on_sockets(account, order, snapshot)
        if account.postback_url and order.via_api and account.dialect == NAME:
            self._post_back(account, order, snapshot)

    def _send_on_sockets(self, account: Account, order: Order, snapshot: Snapshot) -> None:
        message = self._message(account, order, snapshot)
        fault = self._fault(order) if self._faults.faults else None
        kind = "" if fault is None else fault.kind
        if kind == "no_order_updates":
            return
        if fault is not None and kind == "late_update":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_ms / 1000, self._hub.send_order, order.account, message)
            return
        self._hub.send_order(order.account, message)
        if kind == "duplicate_update":
            self._hub.send_order(order.account, message)
        elif kind == "regress_update":
            self._hub.send_order(order.account, self._message(account, order, _older(order, snapshot)))

    def _message(self, account: Account, order: Order, snapshot: Snapshot) -> dict[str, Any]:
        return order_message(account.user_id, CODES.get(snapshot.status, "AB09"), self._shapes.update(order, snapshot))

    def _fault(self, order: Order) -> Fault | None:
        symbol = order.instrument.partition(":")[2]
        return self._faults.update(
            order.account, {"tradingsymbol": symbol, "transaction_type": order.side, "tag": order.tag or ""}
        )

    def _post_back(self, account: Account, order: Order, snapshot: Snapshot) -> None:
        if urlsplit(account.postback_url or "").hostname not in _LOOPBACK:
            _log.warning("postback_refused", account=account.api_key, reason="only loopback addresses get postbacks")
            return
        row = self._shapes.order(order, snapshot) | {"clientcode": account.user_id}
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
                    _log.warning("postback_not_taken", order_id=row["orderid"], status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("postback_failed", order_id=row["orderid"], reason=type(error).__name__)


def _older(order: Order, snapshot: Snapshot) -> Snapshot:
    index = next(index for index, known in enumerate(order.history) if known is snapshot)
    return order.history[max(0, index - 1)]
