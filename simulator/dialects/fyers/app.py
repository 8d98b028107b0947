"""The Fyers API v3 server: routes, and the wiring of everything behind them."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.common.gateway import Gateway
from simulator.dialects.common.reply import Reply
from simulator.dialects.common.served import ServedDialect
from simulator.dialects.fyers.call import Call, FyersReader
from simulator.dialects.fyers.data_socket import DataSocket
from simulator.dialects.fyers.envelope import FyersError
from simulator.dialects.fyers.hub import Hub
from simulator.dialects.fyers.master import Master
from simulator.dialects.fyers.order_socket import OrderSocket
from simulator.dialects.fyers.orders import OrderEndpoints
from simulator.dialects.fyers.portfolio import PortfolioEndpoints
from simulator.dialects.fyers.quotes import QuoteEndpoints
from simulator.dialects.fyers.rates import ORDER, OTHER, FyersLimiter
from simulator.dialects.fyers.session import SessionEndpoints, open_session
from simulator.dialects.fyers.shapes import Shapes
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.dialects.fyers.tokens import NAME, Doorman
from simulator.dialects.fyers.updates import Updates
from simulator.dialects.fyers.words import FyersWords
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.faults import FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry
from simulator.settings import Settings

API, DATA, FILES = "/api/v3", "/data", "/sym_details"
FEED, ORDERS = "/hsm/v1-5/prod", "/trade/v3"


class FyersDialect(ServedDialect):
    """One exchange as seen through Fyers API v3. Implements `common.dialect.Dialect`."""

    hub: Hub
    shapes: Shapes
    name = NAME

    def __init__(
        self, *, exchange: Exchange, registry: Registry, faults: FaultBook, log: ExchangeLog, settings: Settings
    ) -> None:
        self.symbols = SymbolMap(exchange)
        self.shapes = Shapes(exchange, self.symbols)
        self.hub = Hub(self.symbols, faults)
        self.limiter = FyersLimiter()
        self._doorman = Doorman(exchange, registry)
        self._reader = FyersReader(self._doorman, self.symbols)
        self.gateway: Gateway[Call] = Gateway(
            reader=self._reader,
            words=FyersWords(self.limiter),
            limiter=self.limiter,
            faults=faults,
            log=log,
            rate_limits=settings.rate_limits,
        )
        self.order_socket = OrderSocket(self.hub, self._doorman, faults)
        self._data_socket = DataSocket(self.hub, self._doorman)
        self._session = SessionEndpoints(exchange, registry, self._doorman, redirect_url=settings.redirect_url)
        self._exchange = exchange
        self._registry = registry
        exchange.on_event.append(Updates(self.shapes, self.order_socket, faults).observe)
        exchange.on_prices.append(self.hub.publish)
        registry.on_token_dead.append(self.token_died)

    def token_died(self, account: Account) -> None:
        """Close the account's sockets of both kinds."""
        super().token_died(account)
        self.order_socket.close_account(account.api_key)

    async def close(self) -> None:
        """Close sockets and give up delayed work."""
        self.order_socket.close_all()
        await super().close()

    def forget(self) -> None:
        """Drop remembered rows and who is blocked, at the end of a day."""
        super().forget()
        self.limiter.forget()

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets of both kinds are open, of one account or of all."""
        return self.hub.connections(api_key) + self.order_socket.connections(api_key)

    def urls(self, address: str) -> dict[str, str]:
        """The two roots of REST, the two sockets, the login page and the instrument lists."""
        return {
            "api_url": f"http://{address}{API}",
            "data_url": f"http://{address}{DATA}",
            "login_url": f"http://{address}{API}/generate-authcode",
            "ws_url": f"ws://{address}{FEED}",
            "orders_ws_url": f"ws://{address}{ORDERS}",
            "master_url": f"http://{address}{FILES}",
        }

    def log_in(self, account: Account) -> SimulatedAccount:
        """The living session, or a new one."""
        token = self._registry.living_token(account, self.name)
        token = token or open_session(account, exchange=self._exchange, registry=self._registry)
        return SimulatedAccount(account.api_key, account.api_key, account.api_secret, token, account.user_id)

    def login_answer(self, account: Account) -> dict[str, str]:
        """The auth code that the redirect carries."""
        return {"code": self._registry.mint_request_token(account)}

    def application(self) -> web.Application:
        """The aiohttp application with every route."""
        app = web.Application(middlewares=[_errors_in_the_envelope])
        app.router.add_get(FEED, _only_sockets(self._data_socket.connect))
        app.router.add_get(ORDERS, _only_sockets(self.order_socket.connect))
        self._add_session_routes(app.router)
        self._add_order_routes(app.router)
        self._add_portfolio_routes(app.router)
        self._add_market_routes(app.router)
        return app

    def _add_session_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, session = self.gateway.endpoint, self._session
        router.add_get(f"{API}/generate-authcode", session.login_page)
        router.add_post(f"{API}/generate-authcode", session.login)
        router.add_post(f"{API}/validate-authcode", endpoint("session", session.open, open_to_all=True))
        router.add_post(f"{API}/validate-refresh-token", endpoint("session", session.refresh, open_to_all=True))
        router.add_post(f"{API}/logout", endpoint("session", session.close, limits=OTHER))
        router.add_get(f"{API}/profile", endpoint("profile", session.profile, limits=OTHER))

    def _add_order_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, orders = self.gateway.endpoint, OrderEndpoints(self._exchange, self.shapes, self.symbols, self._reader)
        book, one = endpoint("orders", orders.book, limits=OTHER), endpoint("order", orders.one, limits=OTHER)

        async def listed(request: web.Request) -> web.StreamResponse:
            return await (one if "id" in request.query else book)(request)

        router.add_get(f"{API}/orders", listed)
        router.add_get(f"{API}/tradebook", endpoint("trades", orders.trades, limits=OTHER))
        router.add_post(f"{API}/orders/sync", endpoint("place", orders.place, limits=ORDER))
        router.add_post(f"{API}/orders/async", endpoint("place", orders.place_queued, limits=ORDER))
        cancel = endpoint("cancel", orders.cancel, limits=ORDER)
        for queue in ("sync", "async"):
            router.add_patch(f"{API}/orders/{queue}", endpoint("modify", orders.modify, limits=ORDER))
            router.add_delete(f"{API}/orders/{queue}", cancel)
        router.add_delete(f"{API}/orders/{{id}}/sync", cancel)
        several = f"{API}/multi-order/sync"
        router.add_post(several, endpoint("place", orders.place_several, limits=ORDER))
        router.add_patch(several, endpoint("modify", orders.modify_several, limits=ORDER))
        router.add_delete(several, endpoint("cancel", orders.cancel_several, limits=ORDER))
        # The broker's edge stops these two before they reach anything.
        router.add_post(f"{API}/orders", _forbidden_page)
        router.add_post(f"{DATA}/quotes", _forbidden_page)

    def _add_portfolio_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, portfolio = self.gateway.endpoint, PortfolioEndpoints(self._exchange, self.shapes, self.symbols)
        router.add_get(f"{API}/funds", endpoint("margins", portfolio.funds, limits=OTHER))
        router.add_get(f"{API}/positions", endpoint("positions", portfolio.positions, limits=OTHER))
        router.add_post(f"{API}/positions", endpoint("positions", portfolio.convert, limits=OTHER))
        router.add_get(f"{API}/holdings", endpoint("holdings", portfolio.holdings, limits=OTHER))

    def _add_market_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, quotes = self.gateway.endpoint, QuoteEndpoints(self._exchange, self.symbols)
        router.add_get(f"{DATA}/quotes", endpoint("quote", quotes.quotes, limits=OTHER))
        router.add_get(f"{DATA}/depth", endpoint("quote", quotes.depth, limits=OTHER))
        router.add_get(f"{DATA}/marketStatus", endpoint("quote", quotes.status, limits=OTHER))
        router.add_post(f"{DATA}/symbol-token", endpoint("instruments", quotes.tokens, limits=OTHER))
        master = Master(self._exchange)
        router.add_get(f"{FILES}/{{file}}.csv", master.file)
        router.add_get(f"{FILES}/index_hsm_mapping.json", master.index_names)


Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _only_sockets(connect: Serve) -> Serve:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound
        return await connect(request)

    return serve


async def _forbidden_page(request: web.Request) -> web.Response:
    page = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>\n"
    return Reply(page, status=403, content_type="text/html").to_response(request)


@web.middleware
async def _errors_in_the_envelope(request: web.Request, handler: Serve) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return FyersError(404, -50, "Route not found").reply().to_response(request)
    except web.HTTPMethodNotAllowed:
        return FyersError(405, -50, "Method not allowed").reply().to_response(request)
    except web.HTTPRequestEntityTooLarge:
        return FyersError(400, -50, "The request body is too large").reply().to_response(request)
