"""Accounts: making them, logging them in, looking into them, trading in them by hand."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.clock import india_text
from simulator.control.answers import ControlError, answer, field, instrument_key, price, read_object, text, whole
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import KiteError
from simulator.dialects.kite.orders import parse_order
from simulator.exchange.accounts import DEFAULT_FUNDS, Account
from simulator.exchange.orders import Order, Origin
from simulator.exchange.positions import Holding
from simulator.money import rupees, to_price
from simulator.registry import AccountExists
from simulator.restore import holding_record
from simulator.settings import RateLimits

if TYPE_CHECKING:
    from simulator.server import Simulator

_API_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXT_FIELDS = ("api_secret", "redirect_url", "postback_url")
CANCELLED_BY_BROKER = "Order cancelled by the broker's risk management."


class AccountControls:
    """Handlers under `/control/accounts`."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put the handlers on their paths."""
        one = "/control/accounts/{api_key}"
        router.add_post("/control/accounts", self.create)
        router.add_get("/control/accounts", self.list)
        router.add_get(one, self.get)
        router.add_patch(one, self.change)
        router.add_delete(one, self.delete)
        router.add_post(f"{one}/request-token", self.request_token)
        router.add_post(f"{one}/access-token", self.access_token)
        router.add_post(f"{one}/expire-token", self.expire_token)
        router.add_get(f"{one}/orders", self.orders)
        router.add_post(f"{one}/orders", self.place)
        router.add_post(f"{one}/orders/{{order_id}}/release", self.release)
        router.add_get(f"{one}/trades", self.trades)
        router.add_get(f"{one}/positions", self.positions)
        router.add_get(f"{one}/holdings", self.holdings)
        router.add_post(f"{one}/holdings", self.set_holding)
        router.add_post(f"{one}/broker-cancel", self.broker_cancel)

    def _account(self, request: web.Request) -> Account:
        api_key = request.match_info["api_key"]
        account = self._simulator.registry.find(api_key)
        if account is None:
            raise ControlError(f"There is no account {api_key}.", 404)
        return account

    async def create(self, request: web.Request) -> web.Response:
        """Register an account."""
        body = await read_object(request)
        try:
            account = self._simulator.registry.register(
                _api_key(body),
                api_secret=text(body, "api_secret"),
                user_id=text(body, "user_id"),
                funds=_funds(body),
                rate_limits=_rate_limits(body),
                redirect_url=text(body, "redirect_url"),
                postback_url=text(body, "postback_url"),
            )
        except AccountExists as error:
            raise ControlError(str(error)) from None
        return answer(describe(account) | {"api_secret": account.api_secret}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """All accounts."""
        return answer([describe(account) for account in self._simulator.exchange.accounts.values()])

    async def get(self, request: web.Request) -> web.Response:
        """One account with its funds."""
        account = self._account(request)
        return answer(describe(account) | {"margins": self._simulator.kite.shapes.funds(account)})

    async def change(self, request: web.Request) -> web.Response:
        """Change an account's fields."""
        account, body = self._account(request), await read_object(request)
        for name in _TEXT_FIELDS:
            if name in body:
                setattr(account, name, text(body, name))
        if "funds" in body:
            account.funds = _funds(body)
        if "rate_limits" in body:
            account.rate_limits = _rate_limits(body)
        self._simulator.registry.save(account)
        return answer(describe(account))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove an account, its session and its orders."""
        account = self._account(request)
        self._simulator.remove_account(account)
        return answer({"deleted": account.api_key})

    async def request_token(self, request: web.Request) -> web.Response:
        """As if the user had just logged in on the page."""
        return answer({"request_token": self._simulator.registry.mint_request_token(self._account(request))})

    async def access_token(self, request: web.Request) -> web.Response:
        """Log in directly: a new session, of the dialect that is named."""
        account, body = self._account(request), await read_object(request)
        name = text(body, "dialect") or self._simulator.kite.name
        dialect = self._simulator.dialects.get(name)
        if dialect is None:
            raise ControlError(f"There is no dialect {name}; known: {', '.join(self._simulator.dialects)}.")
        self._simulator.registry.end_session(account)
        return answer({"dialect": name, **asdict(dialect.log_in(account))})

    async def expire_token(self, request: web.Request) -> web.Response:
        """Kill the token and its sockets."""
        account = self._account(request)
        self._simulator.registry.end_session(account)
        return answer({"expired": account.api_key})

    async def orders(self, request: web.Request) -> web.Response:
        """The day's orders."""
        shapes = self._simulator.kite.shapes
        return answer([shapes.order(order, order.history[-1]) for order in self._account(request).orders])

    async def place(self, request: web.Request) -> web.Response:
        """An order as if the user had placed it in the broker's own app: no tag, not counted against the API."""
        account, body = self._account(request), await read_object(request)
        defaults = {"exchange": "NSE", "product": "MIS", "order_type": "MARKET", "market_protection": "-1", "quantity": "1"}
        fields = defaults | {name: str(value) for name, value in body.items() if value is not None and name != "tag"}
        if fields["order_type"] in ("LIMIT", "SL"):
            fields.pop("market_protection")
        try:
            wanted = parse_order(Call(request, b"", fields, Origin()), account.api_key)
        except KiteError as error:
            raise ControlError(error.message) from None
        order = self._simulator.place_foreign(wanted, fields)
        return answer(self._simulator.kite.shapes.order(order, order.history[-1]), status=201)

    async def release(self, request: web.Request) -> web.Response:
        """Let an order that a fault held back trade again."""
        order = self._order(self._account(request), request.match_info["order_id"])
        self._simulator.exchange.release_hold(order)
        return answer(self._simulator.kite.shapes.order(order, order.history[-1]))

    def _order(self, account: Account, order_id: object) -> Order:
        order = self._simulator.exchange.orders.get(str(order_id))
        if order is None or order.account != account.api_key:
            raise ControlError(f"There is no order {order_id} in this account.", 404)
        return order

    async def trades(self, request: web.Request) -> web.Response:
        """The day's trades."""
        return answer([self._simulator.kite.shapes.trade(trade) for trade in self._account(request).trades])

    async def positions(self, request: web.Request) -> web.Response:
        """Net and day positions."""
        return answer(self._simulator.kite.shapes.positions(self._account(request)))

    async def holdings(self, request: web.Request) -> web.Response:
        """Holdings."""
        shapes = self._simulator.kite.shapes
        return answer([shapes.holding(holding) for holding in self._account(request).holdings.values()])

    async def set_holding(self, request: web.Request) -> web.Response:
        """Set a holding; quantity 0 removes it."""
        account, body = self._account(request), await read_object(request)
        market = self._simulator.exchange.market(instrument_key(field(body, "symbol")))
        average_price = price(body.get("average_price", rupees(market.last_price)))
        holding = Holding(market.instrument.key, whole(body.get("quantity"), "quantity"), average_price)
        account.holdings[holding.instrument] = holding
        if self._simulator.journal is not None:
            self._simulator.journal.write([holding_record(account, holding)])
        return answer(self._simulator.kite.shapes.holding(holding))

    async def broker_cancel(self, request: web.Request) -> web.Response:
        """The broker cancels one open order, or all."""
        account, body = self._account(request), await read_object(request)
        message = str(body.get("message") or CANCELLED_BY_BROKER)
        chosen = [self._order(account, body["order_id"])] if body.get("order_id") else account.orders
        cancelled = [order for order in chosen if order.is_open]
        for order in cancelled:
            self._simulator.exchange.broker_cancel(order, message=message)
        return answer({"cancelled": [order.order_id for order in cancelled]})


def describe(account: Account) -> dict[str, Any]:
    """An account without its secrets."""
    return {
        "api_key": account.api_key,
        "user_id": account.user_id,
        "app_id": account.app_id,
        "funds": rupees(account.funds),
        "available": rupees(account.available),
        "rate_limits": account.rate_limits,
        "redirect_url": account.redirect_url,
        "postback_url": account.postback_url,
        "logged_in": account.access_token is not None,
        "login_time": india_text(account.login_ns) if account.login_ns else None,
        "orders": len(account.orders),
        "trades": len(account.trades),
    }


def _api_key(body: dict[str, Any]) -> str:
    api_key = text(body, "api_key")
    if api_key is None or not _API_KEY.fullmatch(api_key):
        raise ControlError("An api_key has 1 to 64 letters, digits, - or _.")
    return api_key


def _funds(body: dict[str, Any]) -> int:
    if body.get("funds") is None:
        return DEFAULT_FUNDS
    try:
        return to_price(body["funds"])
    except ValueError:
        raise ControlError("'funds' must be rupees.") from None


def _rate_limits(body: dict[str, Any]) -> str | None:
    value = body.get("rate_limits")
    if value is None:
        return None
    try:
        return RateLimits(value)
    except ValueError:
        raise ControlError("'rate_limits' must be on, orders or off.") from None
