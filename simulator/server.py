"""One running simulator: the exchange, its dialects and the control API on their ports."""

import asyncio
import errno
import gc
import time
from dataclasses import replace
from datetime import date

import structlog
from aiohttp import web

from simulator.clock import india_day, now_ns
from simulator.control.app import ControlApi
from simulator.dialects.angel_one.app import AngelOneDialect
from simulator.dialects.common.dialect import Dialect, MakesDialect
from simulator.dialects.dhan.app import DhanDialect
from simulator.dialects.fyers.app import FyersDialect
from simulator.dialects.kite.app import KiteDialect
from simulator.exchange.accounts import Account
from simulator.exchange.day import roll_day
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Kind
from simulator.exchange.listing import starting_listings
from simulator.exchange.orders import Order, OrderRequest, Origin
from simulator.faults import FaultBook
from simulator.journal import FileJournal
from simulator.log import ExchangeLog
from simulator.prices import PriceBoard
from simulator.registry import Registry
from simulator.restore import describe, remove_account, restore
from simulator.settings import Settings

_DAY_CHECK_SECONDS = 5
_BACKLOG = 4_096
# Beside Kite's, which the control API's page shows orders through.
OTHER_DIALECTS: tuple[MakesDialect, ...] = (DhanDialect, AngelOneDialect, FyersDialect)
_log = structlog.get_logger(__name__)


class PortBusy(Exception):
    """A port cannot be had; the message is one sentence for the person who started us."""


class Simulator:
    """Starts and stops everything. Create it inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.exchange = Exchange(hours=settings.market)
        self.faults = FaultBook()
        self.log = ExchangeLog(settings.log)
        self.journal = FileJournal(settings.data) if settings.data is not None else None
        self._restore()
        self.registry = Registry(self.exchange, open_accounts=settings.open_accounts)
        self.exchange.on_event.append(self.log.observe)
        self.kite = KiteDialect(
            exchange=self.exchange, registry=self.registry, faults=self.faults, log=self.log, settings=settings
        )
        self.dialects: dict[str, Dialect] = {self.kite.name: self.kite}
        for make in OTHER_DIALECTS:
            other = make(exchange=self.exchange, registry=self.registry, faults=self.faults, log=self.log, settings=settings)
            self.dialects[other.name] = other
        self.prices = PriceBoard(self.exchange, self.log, seed=settings.seed)
        self.control = ControlApi(self)
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.ports: dict[str, int] = {}
        self.control_port = 0

    def _restore(self) -> None:
        today = india_day(self.exchange.clock())
        if self.journal is not None:
            restore(self.exchange, self.journal.read())
        for listing in starting_listings(date.fromisoformat(today), extra=self.settings.extra_instruments):
            self.exchange.add_instrument(listing.instrument, price=listing.price)
        if self.exchange.trading_day != today:
            roll_day(self.exchange)
        if self.journal is not None:
            self.journal.compact(describe(self.exchange))
            self.exchange.journal = self.journal

    async def start(self) -> None:
        """Open the ports and begin. Raises PortBusy; then nothing is left running."""
        if self.settings.prices == "walk":
            for market in self.exchange.markets.values():
                if not market.instrument.symbol.startswith("SYM") or market.instrument.kind is not Kind.EQUITY:
                    self.prices.walk(market.instrument.key)
        try:
            for name, dialect in self.dialects.items():
                self.ports[name] = await self._listen(dialect.application(), self.settings.port_of(name))
            self.control_port = await self._listen(self.control.application(), self.settings.control_port)
        except PortBusy:
            await self.stop()
            raise
        beats = [dialect.beat() for dialect in self.dialects.values()]
        for work in (self.prices.run(), *beats, self._watch_day()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _listen(self, app: web.Application, port: int) -> int:
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1, keepalive_timeout=3600)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self.settings.host, port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise PortBusy(f"Port {port} on {self.settings.host} {reason}; choose another one.") from None
        return int(runner.addresses[0][1])

    async def _watch_day(self) -> None:
        while True:
            await asyncio.sleep(_DAY_CHECK_SECONDS)
            if india_day(self.exchange.clock()) != self.exchange.trading_day:
                self.roll_day()
                gc.collect()

    def roll_day(self) -> None:
        """End the trading day now."""
        roll_day(self.exchange)
        for dialect in self.dialects.values():
            dialect.forget()
        if self.journal is not None:
            self.journal.compact(describe(self.exchange))
        _log.info("trading_day_began", trading_day=self.exchange.trading_day)

    async def stop(self) -> None:
        """Close sockets and ports, write what may wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for dialect in self.dialects.values():
            await dialect.close()
        for runner in self._runners:
            await runner.cleanup()
        if self.journal is not None:
            self.journal.close()
        self.log.close()

    def urls(self, dialect: str) -> dict[str, str]:
        """Where a client of that dialect finds it. Raises KeyError for a dialect there is not."""
        return self.dialects[dialect].urls(f"{self.settings.host}:{self.ports[dialect]}")

    @property
    def kite_url(self) -> str:
        """Root of the Kite dialect's REST API."""
        return self.urls("zerodha")["api_url"]

    @property
    def kite_ws_url(self) -> str:
        """Root of the Kite dialect's ticker."""
        return self.urls("zerodha")["ws_url"]

    def sockets(self, api_key: str | None = None) -> int:
        """Open sockets of all dialects, of one account or of all."""
        return sum(dialect.connections(api_key) for dialect in self.dialects.values())

    @property
    def control_url(self) -> str:
        """Root of the control API, and the page for people."""
        return f"http://{self.settings.host}:{self.control_port}"

    def place_foreign(self, wanted: OrderRequest, fields: dict[str, str]) -> Order:
        """Place an order as the account's owner would in the broker's own app. Raises Refusal."""
        return self.exchange.place(replace(wanted, via_api=False), Origin(now_ns(), time.monotonic_ns(), fields))

    def remove_account(self, account: Account) -> None:
        """Delete an account with everything it has."""
        self.registry.end_session(account)
        for order in [order for order in account.orders if order.is_open]:
            self.exchange.broker_cancel(order, message="The account was closed.")
        self.registry.forget(account)
        remove_account(self.exchange, account.api_key)
        if self.journal is not None:
            self.journal.write([("account_gone", account.api_key)])
