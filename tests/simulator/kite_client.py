"""A bare client of the Kite dialect: it shows answers as they came, for tests to look at."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from simulator.testing import SimulatedAccount

BUY_TCS = {
    "exchange": "NSE",
    "tradingsymbol": "TCS",
    "transaction_type": "BUY",
    "quantity": "10",
    "product": "MIS",
    "order_type": "LIMIT",
    "price": "3610",
    "validity": "DAY",
}
TCS_TOKEN = 2953217


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    content_type: str

    @property
    def data(self) -> Any:
        """The data of a success envelope."""
        assert self.status == 200, self.body
        return self.body["data"]

    @property
    def error(self) -> tuple[int, str]:
        """Status and error type of an error envelope."""
        assert self.body["status"] == "error"
        assert self.body["data"] is None
        return self.status, self.body["error_type"]


class KiteClient:
    """Requests of one account."""

    def __init__(self, session: aiohttp.ClientSession, url: str, account: SimulatedAccount) -> None:
        self.session = session
        self.url = url
        self.account = account

    async def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any) -> Answer:
        """Send and read one request, with the account's token unless other headers are given."""
        sent = {"Authorization": self.account.authorization} if headers is None else headers
        async with self.session.request(method, self.url + path, headers=sent, allow_redirects=False, **arguments) as answer:
            raw = await answer.text()
            is_json = answer.content_type == "application/json" and raw
            return Answer(answer.status, await answer.json() if is_json else raw, answer.content_type)

    async def get(self, path: str, **params: Any) -> Answer:
        """GET with query parameters."""
        return await self.request("GET", path, params=params)

    async def place(self, **fields: Any) -> Answer:
        """Place BUY 10 TCS at 3610 with some fields changed; None leaves a field out."""
        form = {name: value for name, value in (BUY_TCS | fields).items() if value is not None}
        return await self.request("POST", "/orders/regular", data=form)

    async def placed(self, **fields: Any) -> str:
        """Place as above; the order id."""
        return str((await self.place(**fields)).data["order_id"])

    async def modify(self, order_id: str, **fields: Any) -> Answer:
        """Modify an order."""
        return await self.request("PUT", f"/orders/regular/{order_id}", data=fields)

    async def cancel(self, order_id: str) -> Answer:
        """Cancel an order."""
        return await self.request("DELETE", f"/orders/regular/{order_id}")

    async def book(self) -> list[dict[str, Any]]:
        """The order book."""
        rows: list[dict[str, Any]] = (await self.get("/orders")).data
        return rows

    async def order(self, order_id: str) -> dict[str, Any]:
        """One row of the order book."""
        return next(row for row in await self.book() if row["order_id"] == order_id)


class Ticker:
    """A ticker connection that keeps what it received."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.texts: list[dict[str, Any]] = []
        self.binaries: list[bytes] = []
        self.closed = asyncio.Event()
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for incoming in self.websocket:
            async with self._changed:
                if incoming.type is aiohttp.WSMsgType.TEXT:
                    self.texts.append(incoming.json())
                elif incoming.type is aiohttp.WSMsgType.BINARY:
                    self.binaries.append(incoming.data)
                self._changed.notify_all()
        self.closed.set()

    @property
    def orders(self) -> list[dict[str, Any]]:
        """The order updates so far."""
        return [text["data"] for text in self.texts if text["type"] == "order"]

    @property
    def frames(self) -> list[bytes]:
        """The binary messages so far, heartbeats left out."""
        return [binary for binary in self.binaries if len(binary) > 1]

    async def until(self, condition: Callable[["Ticker"], bool]) -> None:
        """Wait until a condition holds. Raises TimeoutError."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def say(self, message: object) -> None:
        """Send a JSON message."""
        await self.websocket.send_json(message)

    async def close(self) -> None:
        """Hang up."""
        await self.websocket.close()
        await self._reader


async def open_ticker(session: aiohttp.ClientSession, url: str, account: SimulatedAccount) -> Ticker:
    """Connect a ticker. Raises aiohttp.WSServerHandshakeError."""
    query = {"api_key": account.api_key, "access_token": account.access_token}
    return Ticker(await session.ws_connect(url, params=query))
