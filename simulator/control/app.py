"""The control API's application: health, faults, log, overview, and the page for people."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.control.accounts import AccountControls, describe
from simulator.control.answers import ControlError, answer, field, read_object, refusal_message, shown_symbol
from simulator.control.markets import MarketControls
from simulator.exchange.refusals import Refusal
from simulator.faults import KINDS, UnknownFault
from simulator.money import rupees

if TYPE_CHECKING:
    from simulator.server import Simulator

_PAGE = Path(__file__).parent / "page.html"
_SHOWN_ORDERS = 40
_SHOWN_ACCOUNTS = 50
_DEFAULT_LOG_LIMIT = 10_000
_MOST_DIGITS = 18


class ControlApi:
    """Everything under `/control`, and the page at `/`."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[_errors_as_sentences], client_max_size=16 * 1024 * 1024)
        router = app.router
        router.add_get("/", self.page)
        router.add_get("/control/health", self.health)
        router.add_get("/control/overview", self.overview)
        router.add_get("/control/faults", self.faults)
        router.add_post("/control/faults", self.add_fault)
        router.add_delete("/control/faults", self.clear_faults)
        router.add_delete("/control/faults/{fault_id}", self.remove_fault)
        router.add_get("/control/log", self.log)
        router.add_get("/control/stats", self.stats)
        AccountControls(self._simulator).add_routes(router)
        MarketControls(self._simulator).add_routes(router)
        return app

    async def page(self, request: web.Request) -> web.Response:
        """The page for people."""
        return web.Response(text=_PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def health(self, request: web.Request) -> web.Response:
        """Whether we run, and where."""
        exchange = self._simulator.exchange
        return answer(
            {
                "status": "ok",
                "market_open": exchange.is_open(),
                "trading_day": exchange.trading_day,
                "kite_url": self._simulator.kite_url,
                "kite_ws_url": self._simulator.kite_ws_url,
                "login_url": f"{self._simulator.kite_url}/connect/login",
                "dialects": {name: self._simulator.urls(name) for name in self._simulator.dialects},
                "accounts": len(exchange.accounts),
                "instruments": len(exchange.markets),
                "sockets": self._simulator.sockets(),
                "log_sequence": self._simulator.log.sequence,
            }
        )

    async def overview(self, request: web.Request) -> web.Response:
        """What the page shows, in one answer."""
        exchange, shapes = self._simulator.exchange, self._simulator.kite.shapes
        newest = list(exchange.orders.values())[-_SHOWN_ORDERS:]
        return answer({
            "market": {"hours": exchange.hours, "open": exchange.is_open(), "trading_day": exchange.trading_day},
            "kite_url": self._simulator.kite_url,
            "sockets": self._simulator.sockets(),
            "instruments": [
                {
                    "symbol": shown_symbol(key), "last_price": rupees(market.last_price), "close": rupees(market.close),
                    "volume": market.volume, "source": self._simulator.prices.source(key), "kind": market.instrument.kind,
                }
                for key, market in exchange.markets.items()
            ],
            "accounts": [
                describe(account) | {"sockets": self._simulator.sockets(account.api_key)}
                for account in list(exchange.accounts.values())[-_SHOWN_ACCOUNTS:]
            ],
            "account_count": len(exchange.accounts),
            "orders": [
                shapes.order(order, order.history[-1]) | {"api_key": order.account} for order in reversed(newest)
            ],
            "order_count": len(exchange.orders),
            "faults": [fault.describe() for fault in self._simulator.faults.faults if not fault.is_spent],
            "fault_kinds": sorted(KINDS),
        })  # fmt: skip

    async def faults(self, request: web.Request) -> web.Response:
        """All faults, spent ones included."""
        return answer([fault.describe() for fault in self._simulator.faults.faults])

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        body = await read_object(request)
        kind = str(field(body, "kind"))
        try:
            fault = self._simulator.faults.add(kind, **{name: value for name, value in body.items() if name != "kind"})
        except (UnknownFault, TypeError, ValueError) as error:
            raise ControlError(str(error)) from None
        self._simulator.log.record("fault", **fault.describe())
        return answer(fault.describe(), status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Remove all faults."""
        self._simulator.faults.clear()
        return answer({"removed": "all"})

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Remove one fault."""
        fault_id = request.match_info["fault_id"]
        number = _number(fault_id, 0)
        if not self._simulator.faults.remove(number):
            raise ControlError(f"There is no fault {fault_id}.", 404)
        return answer({"removed": number})

    async def log(self, request: web.Request) -> web.Response:
        """Entries of the exchange's own log."""
        query = request.query
        filters: dict[str, str | None] = {name: query.get(name) for name in ("account", "action", "order_id", "tag")}
        limit = _number(query.get("limit"), _DEFAULT_LOG_LIMIT)
        entries = self._simulator.log.since(_number(query.get("since"), 0), limit=limit, **filters)
        newest = entries[-1]["sequence"] if len(entries) == limit and entries else self._simulator.log.sequence
        return answer({"entries": entries, "next": newest})

    async def stats(self, request: web.Request) -> web.Response:
        """Figures about order traffic."""
        figures: dict[str, Any] = self._simulator.log.stats(since=_number(request.query.get("since"), 0))
        return answer(figures | {"sockets": self._simulator.sockets()})


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise ControlError(f"Not a number: {text}.")
    return int(text)


@web.middleware
async def _errors_as_sentences(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]
    except ControlError as error:
        return answer({"error": str(error)}, status=error.status)
    except Refusal as refusal:
        return answer({"error": refusal_message(refusal)}, status=400)
    except web.HTTPNotFound:
        return answer({"error": f"There is nothing at {request.path}."}, status=404)
    except web.HTTPMethodNotAllowed:
        return answer({"error": f"{request.method} is not possible at {request.path}."}, status=405)
