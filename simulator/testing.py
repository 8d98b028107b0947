"""A simulator inside a test or a benchmark, in the same process and event loop.

    from simulator.testing import running_simulator

    async with running_simulator() as sim:
        account = sim.account("alice")                  # logged in: api_key, api_secret, access_token, user_id, authorization
        ...client talks to sim.kite_url, sim.kite_ws_url with account.api_key and account.access_token...
        sim.set_price("TCS", "3490")                    # several at once: sim.set_prices({"TCS": "3490", "INFY": 1500})
        sim.set_depth("TCS", 5)                         # the maker has 5 per side and price event; None is unlimited
        sim.set_circuit("TCS", lower="3240", upper="3960")
        fault = sim.add_fault("accept_then_drop", account=account.api_key, endpoint="place", count=1)
        sim.faults.remove(fault.fault_id)
        sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=5)      # the user trades in the broker's own app
        sim.broker_cancel("alice")                      # the broker cancels what rests
        sim.net_position("alice", "TCS")                # signed quantity
        sim.orders("alice"), sim.order_by_tag("alice", "abc1")                 # rows in the Kite shape
        sim.log.since(0, action="place", account=account.api_key)              # the exchange's own log
        await sim.wait_for(lambda: sim.net_position("alice", "TCS") == 0)      # polls with a deadline

Defaults: free ports on 127.0.0.1, memory only, every price held by hand, the market always open, the documented rate
limits on (`rate_limits="orders"` leaves reads free, `"off"` all). Keyword arguments are the fields of
`simulator.settings.Settings`. `account("alice")` has the api_key `sim-alice`; its first call logs it in, later calls
answer the same session. Everything is synchronous except `wait_for`: when a call returns, ticks have been written to the
sockets and fills have happened. The full engine is at `sim.exchange`, the control API at `sim.control_url`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from simulator.control.answers import instrument_key
from simulator.dialects.common.dialect import SimulatedAccount
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import OrderRequest, OrderType, Product, Side
from simulator.exchange.positions import Holding
from simulator.exchange.protection import AUTOMATIC
from simulator.faults import Fault, FaultBook
from simulator.log import ExchangeLog
from simulator.money import to_price
from simulator.server import Simulator
from simulator.settings import Settings

__all__ = ["RunningSimulator", "SimulatedAccount", "running_simulator"]
Row = dict[str, Any]
_POLL_SECONDS = 0.005


class RunningSimulator:
    """A started simulator and short ways of steering it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.exchange: Exchange = simulator.exchange
        self.log: ExchangeLog = simulator.log
        self.faults: FaultBook = simulator.faults
        self.kite_url = simulator.kite_url
        self.kite_ws_url = simulator.kite_ws_url
        self.control_url = simulator.control_url

    def _account(self, name: str) -> Account:
        api_key = name if name.startswith("sim-") else f"sim-{name}"
        account = self.simulator.registry.find(api_key)
        if account is None:
            raise ValueError(f"{api_key!r} is not a possible account")
        return account

    def account(
        self, name: str, *, funds: str | int | None = None, rate_limits: str | None = None, dialect: str = "zerodha"
    ) -> SimulatedAccount:
        """The account `sim-<name>`, logged in through that dialect; the same session on every call while it lives."""
        account = self._account(name)
        if funds is not None:
            account.funds = to_price(funds)
        if rate_limits is not None:
            account.rate_limits = rate_limits
        return self.simulator.dialects[dialect].log_in(account)

    def login_answer(self, name: str, *, dialect: str = "zerodha") -> dict[str, str]:
        """What the account's owner would bring from a login now (`code`, or `pin` and `one_time_code`)."""
        return self.simulator.dialects[dialect].login_answer(self._account(name))

    def urls(self, dialect: str) -> dict[str, str]:
        """Where that dialect is: `api_url`, `ws_url`, `login_url`, ..."""
        return self.simulator.urls(dialect)

    def expire_token(self, name: str) -> None:
        """Kill the account's token."""
        self.simulator.registry.end_session(self._account(name))

    def set_price(self, symbol: str, price: object) -> int:
        """Set a price; answers the nanoseconds at which the ticks were sent."""
        return self.set_prices({symbol: price})

    def set_prices(self, prices: Mapping[str, object]) -> int:
        """Set several prices in one step: one frame per socket."""
        return self.simulator.prices.set({instrument_key(symbol): to_price(price) for symbol, price in prices.items()})

    def odd_tick(self, symbol: str, price: object) -> int:
        """A price on every dialect's wire that the market never had; answers how many sockets were told."""
        market, units = self.exchange.market(instrument_key(symbol)), to_price(price)
        return sum(dialect.send_odd_price(market, units) for dialect in self.simulator.dialects.values())

    def set_depth(self, symbol: str, quantity: int | None) -> None:
        """Set the maker's quantity per side and price event."""
        self.exchange.set_depth(instrument_key(symbol), quantity)

    def set_circuit(self, symbol: str, *, lower: object, upper: object) -> None:
        """Set the circuit limits."""
        self.exchange.set_circuit(instrument_key(symbol), lower=to_price(lower), upper=to_price(upper))

    def add_fault(self, kind: str, **fields: Any) -> Fault:
        """Put a fault in force (README, "Faults")."""
        return self.faults.add(kind, **fields)

    def place_by_hand(
        self, name: str, *, symbol: str, side: str, quantity: int, price: object = None, product: str = "MIS"
    ) -> str:
        """An order as if placed in the broker's own app: at market, or at a limit price. Answers its id. Raises Refusal."""
        limited = price is not None
        wanted = OrderRequest(
            account=self._account(name).api_key,
            instrument=instrument_key(symbol),
            side=Side(side),
            order_type=OrderType.LIMIT if limited else OrderType.MARKET,
            product=Product(product),
            quantity=quantity,
            price=to_price(price) if limited else 0,
            protection=None if limited else AUTOMATIC,
        )
        return self.simulator.place_foreign(wanted, {}).order_id

    def broker_cancel(self, name: str, *, order_id: str | None = None, message: str = "Cancelled by the broker.") -> None:
        """The broker cancels one open order, or all of the account's."""
        for order in self._account(name).orders:
            if order_id in (None, order.order_id):
                self.exchange.broker_cancel(order, message=message)

    def set_holding(self, name: str, symbol: str, quantity: int, *, average_price: object, on_the_way: int = 0) -> None:
        """Shares of earlier days; `on_the_way` of them are not delivered yet."""
        market = self.simulator.exchange.market(instrument_key(symbol))
        holding = Holding(market.instrument.key, quantity - on_the_way, to_price(average_price), t1_quantity=on_the_way)
        self._account(name).holdings[holding.instrument] = holding

    def orders(self, name: str) -> list[Row]:
        """The account's orders of the day in the Kite shape."""
        return [self.simulator.kite.shapes.order(order, order.history[-1]) for order in self._account(name).orders]

    def order_by_tag(self, name: str, tag: str) -> Row | None:
        """The newest order with this tag, None if there is none."""
        return next((row for row in reversed(self.orders(name)) if row["tag"] == tag), None)

    def net_position(self, name: str, symbol: str, *, product: str = "MIS") -> int:
        """The account's signed net quantity."""
        position = self._account(name).positions.get((instrument_key(symbol), Product(product)))
        return 0 if position is None else position.net

    async def wait_for(self, condition: Callable[[], bool], *, seconds: float = 10) -> None:
        """Wait until a condition holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - any condition of the caller's, so there is no event to wait for
                await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def running_simulator(**settings: Any) -> AsyncIterator[RunningSimulator]:
    """Run a simulator for the length of a block."""
    ports = ("kite_port", "dhan_port", "angel_one_port", "fyers_port", "control_port")
    quiet: dict[str, Any] = {**dict.fromkeys(ports, 0), "prices": "hand"}
    simulator = Simulator(Settings(**(quiet | settings)))
    await simulator.start()
    try:
        yield RunningSimulator(simulator)
    finally:
        await simulator.stop()
