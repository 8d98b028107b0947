"""The Kite Connect v3 server: routes, and the wiring of everything behind them."""

from aiohttp import web

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.common.gateway import Gateway
from simulator.dialects.common.served import ServedDialect, beat_for_ever
from simulator.dialects.kite.call import Call, KiteReader
from simulator.dialects.kite.candles import CandleEndpoints
from simulator.dialects.kite.charges import ChargeEndpoints
from simulator.dialects.kite.envelope import KiteError, failure
from simulator.dialects.kite.gtt import GttEndpoints
from simulator.dialects.kite.hub import Hub
from simulator.dialects.kite.master import Master
from simulator.dialects.kite.orders import OrderEndpoints
from simulator.dialects.kite.portfolio import PortfolioEndpoints
from simulator.dialects.kite.quotes import QuoteEndpoints
from simulator.dialects.kite.rates import kite_limiter
from simulator.dialects.kite.session import SessionEndpoints
from simulator.dialects.kite.shapes import Shapes
from simulator.dialects.kite.ticker import Ticker
from simulator.dialects.kite.tokens import TokenMap
from simulator.dialects.kite.updates import Updates
from simulator.dialects.kite.words import KiteWords
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.faults import FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry
from simulator.settings import Settings

# Often: each socket's second is its own, and a thousand do not get their heartbeats in one burst.
_HEARTBEAT_CHECK_SECONDS = 0.05


class KiteDialect(ServedDialect):
    """One exchange as seen through Kite Connect v3. Implements `common.dialect.Dialect`."""

    hub: Hub
    shapes: Shapes
    name = "zerodha"

    def __init__(
        self, *, exchange: Exchange, registry: Registry, faults: FaultBook, log: ExchangeLog, settings: Settings
    ) -> None:
        self.tokens = TokenMap(exchange)
        self.shapes = Shapes(exchange, self.tokens)
        self.hub = Hub(self.tokens, faults)
        self.gateway: Gateway[Call] = Gateway(
            reader=KiteReader(registry),
            words=KiteWords(),
            limiter=kite_limiter(),
            faults=faults,
            log=log,
            rate_limits=settings.rate_limits,
        )
        self._updates = Updates(exchange, self.shapes, self.hub, faults)
        self._gtt = GttEndpoints(exchange, self.tokens)
        self._session = SessionEndpoints(registry, redirect_url=settings.redirect_url)
        self._ticker = Ticker(self.hub, registry, connections=settings.ticker_connections, instruments=len(exchange.markets))
        self._exchange = exchange
        self._registry = registry
        self._seed = settings.seed
        exchange.on_event.append(self._updates.observe)
        exchange.on_prices.append(self.hub.publish)
        exchange.on_prices.append(self._gtt.priced)
        registry.on_token_dead.append(self.token_died)

    async def beat(self) -> None:
        """Keep idle sockets alive until cancelled."""
        await beat_for_ever(self.hub.beat, every_seconds=_HEARTBEAT_CHECK_SECONDS)

    async def close(self) -> None:
        """Close sockets and give up delayed work."""
        await super().close()
        await self._updates.close()

    def connections(self, api_key: str | None = None) -> int:
        """How many ticker sockets are open, of one account or of all."""
        return self.hub.count() if api_key is None else self.hub.connections(api_key)

    def urls(self, address: str) -> dict[str, str]:
        """REST root, ticker root and login page."""
        return {"api_url": f"http://{address}", "ws_url": f"ws://{address}", "login_url": f"http://{address}/connect/login"}

    def log_in(self, account: Account) -> SimulatedAccount:
        """The living session, or a new one."""
        token = self._registry.living_token(account, self.name) or self._registry.open_session(account, dialect=self.name)
        return SimulatedAccount(account.api_key, account.api_key, account.api_secret, token, account.user_id)

    def login_answer(self, account: Account) -> dict[str, str]:
        """The request token that the redirect carries."""
        return {"code": self._registry.mint_request_token(account)}

    def application(self) -> web.Application:
        """The aiohttp application with every route."""
        app = web.Application(middlewares=[_errors_in_the_envelope])
        app.router.add_get("/", self._ticker_or_nothing)
        self._add_session_routes(app.router)
        self._add_order_routes(app.router)
        self._add_portfolio_routes(app.router)
        self._add_market_routes(app.router)
        return app

    async def _ticker_or_nothing(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound
        return await self._ticker.connect(request)

    def _add_session_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, session = self.gateway.endpoint, self._session
        router.add_get("/connect/login", session.login_page)
        router.add_post("/connect/login", session.login)
        router.add_post("/session/token", endpoint("session", session.open, open_to_all=True))
        router.add_delete("/session/token", endpoint("session", session.close, open_to_all=True))
        router.add_post("/session/refresh_token", endpoint("session", session.refresh, open_to_all=True))
        router.add_get("/user/profile", endpoint("profile", session.profile))

    def _add_order_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, orders = self.gateway.endpoint, OrderEndpoints(self._exchange, self.shapes)
        router.add_get("/orders", endpoint("orders", orders.book))
        router.add_get("/trades", endpoint("trades", orders.trades))
        router.add_post("/orders/{variety}", endpoint("place", orders.place, limits=("order", "place")))
        router.add_get("/orders/{order_id}", endpoint("order", orders.history))
        router.add_get("/orders/{order_id}/trades", endpoint("trades", orders.order_trades))
        router.add_put("/orders/{variety}/{order_id}", endpoint("modify", orders.modify, limits=("order",)))
        router.add_delete("/orders/{variety}/{order_id}", endpoint("cancel", orders.cancel, limits=("order",)))
        gtt = self._gtt
        router.add_post("/gtt/triggers", endpoint("gtt", gtt.place))
        router.add_get("/gtt/triggers", endpoint("gtt", gtt.list))
        router.add_get("/gtt/triggers/{trigger_id}", endpoint("gtt", gtt.get))
        router.add_put("/gtt/triggers/{trigger_id}", endpoint("gtt", gtt.modify))
        router.add_delete("/gtt/triggers/{trigger_id}", endpoint("gtt", gtt.delete))

    def _add_portfolio_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, portfolio = self.gateway.endpoint, PortfolioEndpoints(self._exchange, self.shapes)
        router.add_get("/user/margins", endpoint("margins", portfolio.margins))
        router.add_get("/user/margins/{segment}", endpoint("margins", portfolio.segment_margins))
        router.add_get("/portfolio/positions", endpoint("positions", portfolio.positions))
        router.add_put("/portfolio/positions", endpoint("positions", portfolio.convert))
        router.add_get("/portfolio/holdings", endpoint("holdings", portfolio.holdings))
        router.add_get("/portfolio/holdings/auctions", endpoint("holdings", portfolio.auctions))
        charges = ChargeEndpoints(self._exchange)
        router.add_post("/margins/orders", endpoint("margins", charges.margins))
        router.add_post("/margins/basket", endpoint("margins", charges.basket))
        router.add_post("/charges/orders", endpoint("margins", charges.contract_note))

    def _add_market_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, quotes = self.gateway.endpoint, QuoteEndpoints(self._exchange, self.tokens)
        router.add_get("/quote", endpoint("quote", quotes.quote, limits=("quote",)))
        router.add_get("/quote/ohlc", endpoint("quote", quotes.ohlc, limits=("quote",)))
        router.add_get("/quote/ltp", endpoint("quote", quotes.ltp, limits=("quote",)))
        candles = CandleEndpoints(self._exchange, self.tokens, seed=self._seed)
        router.add_get(
            "/instruments/historical/{token}/{interval}",
            endpoint("instruments", candles.historical, limits=("historical",)),
        )
        master = Master(self._exchange)
        router.add_get("/instruments", master.all)
        router.add_get("/instruments/{exchange}", master.of_exchange)


@web.middleware
async def _errors_in_the_envelope(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]
    except web.HTTPNotFound:
        return failure(KiteError(404, "GeneralException", "Route not found")).to_response(request)
    except web.HTTPMethodNotAllowed:
        return failure(KiteError(405, "GeneralException", "Method not allowed")).to_response(request)
    except web.HTTPRequestEntityTooLarge:
        return failure(KiteError(400, "InputException", "The request body is too large.")).to_response(request)
