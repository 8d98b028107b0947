"""The SmartAPI server: routes, and the wiring of everything behind them. One port plays all of the broker's hosts."""

from aiohttp import web

from simulator.dialects.angel_one.call import NAME, AngelReader, Call
from simulator.dialects.angel_one.envelope import AngelError, AngelWords
from simulator.dialects.angel_one.hub import Hub
from simulator.dialects.angel_one.master import PATH as MASTER_PATH
from simulator.dialects.angel_one.master import Master
from simulator.dialects.angel_one.orders import OrderEndpoints
from simulator.dialects.angel_one.portfolio import PortfolioEndpoints
from simulator.dialects.angel_one.quotes import QuoteEndpoints
from simulator.dialects.angel_one.rates import angel_limiter
from simulator.dialects.angel_one.session import SessionEndpoints, pin_of
from simulator.dialects.angel_one.shapes import Shapes
from simulator.dialects.angel_one.streaming import Streaming
from simulator.dialects.angel_one.tokens import TokenMap
from simulator.dialects.angel_one.updates import Updates
from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.common.gateway import Gateway
from simulator.dialects.common.served import ServedDialect
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.faults import FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry
from simulator.settings import Settings

_AUTH, _SECURE = "/rest/auth/angelbroking", "/rest/secure/angelbroking"
_PAGE, _FEED, _ORDERS = "/publisher-login", "/smart-stream", "/smart-order-update"


class AngelOneDialect(ServedDialect):
    """One exchange as seen through SmartAPI. Implements `common.dialect.Dialect`."""

    hub: Hub
    shapes: Shapes
    name = NAME

    def __init__(
        self, *, exchange: Exchange, registry: Registry, faults: FaultBook, log: ExchangeLog, settings: Settings
    ) -> None:
        self.tokens = TokenMap(exchange)
        self.shapes = Shapes(exchange)
        self.hub = Hub(self.tokens, faults)
        self.gateway: Gateway[Call] = Gateway(
            reader=AngelReader(registry),
            words=AngelWords(),
            limiter=angel_limiter(),
            faults=faults,
            log=log,
            rate_limits=settings.rate_limits,
        )
        self._updates = Updates(exchange, self.shapes, self.hub, faults)
        self._session = SessionEndpoints(registry, exchange, redirect_url=settings.redirect_url)
        self._streaming = Streaming(self.hub, registry, connections=settings.ticker_connections)
        self._exchange = exchange
        exchange.on_event.append(self._updates.observe)
        exchange.on_prices.append(self.hub.publish)
        registry.on_token_dead.append(self.token_died)

    async def close(self) -> None:
        """Close sockets and give up delayed work."""
        await super().close()
        await self._updates.close()

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets are open, of one account or of all."""
        return self.hub.connections(api_key)

    def urls(self, address: str) -> dict[str, str]:
        """REST root, login page, both sockets and the instrument list."""
        return {
            "api_url": f"http://{address}",
            "login_url": f"http://{address}{_PAGE}",
            "ws_url": f"ws://{address}{_FEED}",
            "orders_ws_url": f"ws://{address}{_ORDERS}",
            "master_url": f"http://{address}{MASTER_PATH}",
        }

    def log_in(self, account: Account) -> SimulatedAccount:
        """The living session, or a new one."""
        return self._session.credentials(account)

    def login_answer(self, account: Account) -> dict[str, str]:
        """PIN and a one-time code."""
        return {"pin": pin_of(account), "one_time_code": "654321"}

    def application(self) -> web.Application:
        """The aiohttp application with every route."""
        app = web.Application(middlewares=[_errors_in_the_envelope])
        app.router.add_get(_FEED, self._streaming.feed)
        app.router.add_get(_ORDERS, self._streaming.orders)
        app.router.add_get(_PAGE, self._session.page)
        app.router.add_get(MASTER_PATH, Master(self._exchange).all)
        self._add_session_routes(app.router)
        self._add_order_routes(app.router)
        self._add_portfolio_routes(app.router)
        self._add_market_routes(app.router)
        return app

    def _add_session_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, session = self.gateway.endpoint, self._session
        login = endpoint("session", session.log_in, limits=("login",), open_to_all=True)
        router.add_post(f"{_AUTH}/user/v1/loginByPassword", login)
        router.add_post(f"{_AUTH}/jwt/v1/generateTokens", endpoint("session", session.renew, limits=("renew",)))
        router.add_post(f"{_SECURE}/user/v1/logout", endpoint("session", session.close, limits=("login",)))
        router.add_get(f"{_SECURE}/user/v1/getProfile", endpoint("profile", session.profile, limits=("profile",)))

    def _add_order_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, orders = self.gateway.endpoint, OrderEndpoints(self._exchange, self.shapes, self.tokens)
        path = f"{_SECURE}/order/v1"
        router.add_post(f"{path}/placeOrder", endpoint("place", orders.place, limits=("order",)))
        router.add_post(f"{path}/modifyOrder", endpoint("modify", orders.modify, limits=("order",)))
        router.add_post(f"{path}/cancelOrder", endpoint("cancel", orders.cancel, limits=("order",)))
        router.add_get(f"{path}/getOrderBook", endpoint("orders", orders.book, limits=("book",)))
        router.add_get(f"{path}/details/{{unique_id}}", endpoint("order", orders.details, limits=("details",)))
        router.add_get(f"{path}/getTradeBook", endpoint("trades", orders.trades, limits=("trades",)))

    def _add_portfolio_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, portfolio = self.gateway.endpoint, PortfolioEndpoints(self._exchange, self.shapes, self.tokens)
        router.add_get(f"{_SECURE}/user/v1/getRMS", endpoint("margins", portfolio.funds, limits=("funds",)))
        router.add_get(f"{_SECURE}/order/v1/getPosition", endpoint("positions", portfolio.positions, limits=("positions",)))
        router.add_post(f"{_SECURE}/order/v1/convertPosition", endpoint("positions", portfolio.convert, limits=("margin",)))
        holdings, all_holdings = portfolio.holdings, portfolio.all_holdings
        router.add_get(f"{_SECURE}/portfolio/v1/getHolding", endpoint("holdings", holdings, limits=("holdings",)))
        router.add_get(f"{_SECURE}/portfolio/v1/getAllHolding", endpoint("holdings", all_holdings, limits=("holdings",)))

    def _add_market_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, quotes = self.gateway.endpoint, QuoteEndpoints(self._exchange, self.tokens)
        for path in ("quote", "quote/"):
            router.add_post(f"{_SECURE}/market/v1/{path}", endpoint("quote", quotes.quote, limits=("quote",)))
        router.add_post(f"{_SECURE}/order/v1/getLtpData", endpoint("quote", quotes.ltp, limits=("ltp",)))
        router.add_post(f"{_SECURE}/order/v1/searchScrip", endpoint("instruments", quotes.search, limits=("search",)))


@web.middleware
async def _errors_in_the_envelope(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]
    except web.HTTPNotFound:
        return AngelError("AB1004", "Route not found", status=404).reply().to_response(request)
    except web.HTTPMethodNotAllowed:
        return AngelError("AB1004", "Method not allowed", status=405).reply().to_response(request)
    except web.HTTPRequestEntityTooLarge:
        return AngelError("AB1004", "The request body is too large.", status=413).reply().to_response(request)
