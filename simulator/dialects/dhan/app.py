"""The DhanHQ v2 server: routes, and the wiring of everything behind them. REST, logins, both sockets and the instrument list are
at one port; the broker has a host for each."""

from aiohttp import web

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.common.gateway import Gateway
from simulator.dialects.common.served import ServedDialect, beat_for_ever
from simulator.dialects.dhan.call import Call, DhanReader
from simulator.dialects.dhan.control import KillSwitches, MarginEndpoints
from simulator.dialects.dhan.errors import DhanError, bad_input
from simulator.dialects.dhan.feed import Feed
from simulator.dialects.dhan.hub import Hub
from simulator.dialects.dhan.master import Master
from simulator.dialects.dhan.orders import OrderEndpoints
from simulator.dialects.dhan.portfolio import PortfolioEndpoints
from simulator.dialects.dhan.quotes import QuoteEndpoints
from simulator.dialects.dhan.rates import dhan_limiter
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.session import SessionEndpoints
from simulator.dialects.dhan.sessions import DIALECT, Sessions
from simulator.dialects.dhan.shapes import Shapes
from simulator.dialects.dhan.updates import Updates
from simulator.dialects.dhan.words import DhanWords
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.faults import FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry
from simulator.settings import Settings

_PING_CHECK_SECONDS = 0.25


class DhanDialect(ServedDialect):
    """One exchange as seen through DhanHQ v2. Implements `common.dialect.Dialect`."""

    hub: Hub
    shapes: Shapes
    name = DIALECT

    def __init__(
        self, *, exchange: Exchange, registry: Registry, faults: FaultBook, log: ExchangeLog, settings: Settings
    ) -> None:
        self.ids = SecurityIds(exchange)
        self.shapes = Shapes(exchange)
        self.hub = Hub(faults)
        self.sessions = Sessions(exchange, registry)
        self.gateway: Gateway[Call] = Gateway(
            reader=DhanReader(self.sessions, self.ids),
            words=DhanWords(),
            limiter=dhan_limiter(),
            faults=faults,
            log=log,
            rate_limits=settings.rate_limits,
        )
        self._exchange = exchange
        self._registry = registry
        self._updates = Updates(exchange, self.shapes, self.hub, faults)
        self._session = SessionEndpoints(self.sessions, registry, redirect_url=settings.redirect_url)
        self._switches = KillSwitches()
        self._feed = Feed(self.hub, self.sessions, self.ids)
        exchange.on_event.append(self._updates.observe)
        exchange.on_prices.append(self.hub.publish)
        registry.on_token_dead.append(self.token_died)

    async def beat(self) -> None:
        """Keep idle sockets alive until cancelled."""
        await beat_for_ever(self.hub.beat, every_seconds=_PING_CHECK_SECONDS)

    async def close(self) -> None:
        """Close sockets and give up delayed work."""
        await super().close()
        await self._updates.close()

    def forget(self) -> None:
        """Drop what was remembered of a day."""
        super().forget()
        self._switches.forget()

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets are open, of one account or of all."""
        return self.hub.count(api_key)

    def urls(self, address: str) -> dict[str, str]:
        """Everything at one address; the roots differ as the broker's do."""
        return {
            "api_url": f"http://{address}/v2",
            "login_url": f"http://{address}",
            "ws_url": f"ws://{address}",
            "orders_ws_url": f"ws://{address}",
            "master_url": f"http://{address}/api-data/api-scrip-master-detailed.csv",
        }

    def log_in(self, account: Account) -> SimulatedAccount:
        """The living session, or a new one."""
        token = self.sessions.living(account) or self.sessions.issue(account)
        return SimulatedAccount(account.api_key, account.api_key, account.api_secret, token, account.user_id)

    def login_answer(self, account: Account) -> dict[str, str]:
        """The token id that the redirect of the consent page carries."""
        return {"code": self._registry.mint_request_token(account)}

    def application(self) -> web.Application:
        """The aiohttp application with every route."""
        app = web.Application(middlewares=[_errors_in_their_form])
        app.router.add_get("/", self._socket_or_nothing)
        self._add_login_routes(app.router)
        self._add_order_routes(app.router)
        self._add_portfolio_routes(app.router)
        self._add_market_routes(app.router)
        return app

    async def _socket_or_nothing(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound
        return await self._feed.connect(request)

    def _add_login_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, session = self.gateway.endpoint, self._session
        router.add_post("/app/generateAccessToken", endpoint("session", session.by_pin, open_to_all=True))
        router.add_post("/app/generate-consent", endpoint("session", session.ask_consent, open_to_all=True))
        for method in ("GET", "POST"):
            handler = endpoint("session", session.consume_consent, open_to_all=True)
            router.add_route(method, "/app/consumeApp-consent", handler)
        router.add_get("/login/consentApp-login", session.login_page)
        router.add_post("/login/consentApp-login", session.login)
        router.add_get("/v2/RenewToken", endpoint("session", session.renew))
        router.add_get("/v2/profile", endpoint("profile", session.profile))

    def _add_order_routes(self, router: web.UrlDispatcher) -> None:
        endpoint = self.gateway.endpoint
        orders = OrderEndpoints(self._exchange, self.shapes, self.ids, may_trade=self._switches.check)
        router.add_get("/v2/orders", endpoint("orders", orders.book))
        router.add_post("/v2/orders", endpoint("place", orders.place, limits=("order",)))
        router.add_post("/v2/orders/slicing", endpoint("place", orders.place_slices, limits=("order",)))
        router.add_get("/v2/orders/external/{correlation_id}", endpoint("order", orders.by_correlation_id))
        router.add_get("/v2/orders/{order_id}", endpoint("order", orders.one))
        router.add_put("/v2/orders/{order_id}", endpoint("modify", orders.modify, limits=("order",)))
        router.add_delete("/v2/orders/{order_id}", endpoint("cancel", orders.cancel, limits=("order",)))
        for path in ("/v2/trades", "/v2/trades/"):
            router.add_get(path, endpoint("trades", orders.trades))
        router.add_get("/v2/trades/{order_id}", endpoint("trades", orders.order_trades))

    def _add_portfolio_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, portfolio = self.gateway.endpoint, PortfolioEndpoints(self._exchange, self.shapes, self.ids)
        router.add_get("/v2/fundlimit", endpoint("margins", portfolio.funds))
        router.add_post("/v2/margincalculator", endpoint("margins", MarginEndpoints(self.ids).margin))
        router.add_post("/v2/killswitch", endpoint("profile", self._switches.turn))
        router.add_get("/v2/killswitch", endpoint("profile", self._switches.state))
        router.add_get("/v2/positions", endpoint("positions", portfolio.positions))
        router.add_post("/v2/positions/convert", endpoint("positions", portfolio.convert))
        router.add_get("/v2/holdings", endpoint("holdings", portfolio.holdings))
        router.add_post("/v2/ip/setIP", endpoint("profile", portfolio.set_address))
        router.add_put("/v2/ip/modifyIP", endpoint("profile", portfolio.set_address))
        router.add_get("/v2/ip/getIP", endpoint("profile", portfolio.addresses))

    def _add_market_routes(self, router: web.UrlDispatcher) -> None:
        endpoint, quotes = self.gateway.endpoint, QuoteEndpoints(self.ids)
        for name, handler in (("ltp", quotes.ltp), ("ohlc", quotes.ohlc), ("quote", quotes.quote)):
            router.add_post(f"/v2/marketfeed/{name}", endpoint("quote", handler, limits=("quote",)))
        master = Master(self._exchange)
        router.add_get("/api-data/api-scrip-master.csv", master.compact)
        router.add_get("/api-data/api-scrip-master-detailed.csv", master.detailed)
        router.add_get("/v2/instrument/{segment}", master.of_segment)


@web.middleware
async def _errors_in_their_form(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]
    except web.HTTPNotFound:
        return DhanError(404, "DH-905", "No such address").reply().to_response(request)
    except web.HTTPMethodNotAllowed:
        return DhanError(405, "DH-905", "Method not allowed").reply().to_response(request)
    except web.HTTPRequestEntityTooLarge:
        return bad_input("The request body is too large.").reply().to_response(request)
