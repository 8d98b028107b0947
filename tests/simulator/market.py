"""A bare exchange for tests of the engine: a few shares, no ports, a clock that only moves by hand."""

from decimal import Decimal

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.listing import equity
from simulator.exchange.orders import Order, OrderRequest, OrderType, Product, Side, Validity
from simulator.money import PRICE_SCALE, to_price
from simulator.registry import Registry

TCS = "NSE:TCS"
NOON = 1_795_242_600 * 1_000_000_000
"""Saturday 21 November 2026, 12:00 in India."""


class HandClock:
    """A clock that stands still."""

    def __init__(self, at_ns: int = NOON) -> None:
        self.at_ns = at_ns

    def __call__(self) -> int:
        return self.at_ns


class Bench:
    """An exchange with TCS at 3600 and two accounts, and short ways of trading on it."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.exchange = Exchange(clock=self.clock)
        tcs, price = equity("NSE", "TCS", "TCS", 11536, price=3_600 * PRICE_SCALE)
        self.tcs = self.exchange.add_instrument(tcs, price=price)
        option = Instrument("NFO", "NIFTYCE", "NIFTY", 35_001, Kind.CALL, 500, 75, 1_800, "2026-11-24", 24_500 * PRICE_SCALE)
        self.option = self.exchange.add_instrument(option, price=150 * PRICE_SCALE)
        index = Instrument("NSE", "NIFTY 50", "NIFTY 50", 1001, Kind.INDEX, 500, 0, 0)
        self.exchange.add_instrument(index, price=24_450 * PRICE_SCALE)
        self.registry = Registry(self.exchange, open_accounts=True)
        for name in ("alice", "bob"):
            self.registry.register(f"sim-{name}")

    def place(
        self,
        side: str,
        quantity: int,
        price: object = 0,
        *,
        account: str = "alice",
        order_type: str = "LIMIT",
        trigger: object = 0,
        product: str = "MIS",
        validity: str = "DAY",
        protection: str | None = None,
        instrument: str = TCS,
        disclosed: int = 0,
        fill_cap: int | None = None,
        tag: str | None = None,
    ) -> Order:
        """Place an order; prices in rupees."""
        return self.exchange.place(
            OrderRequest(
                account=f"sim-{account}",
                instrument=instrument,
                side=Side(side),
                order_type=OrderType(order_type),
                product=Product(product),
                quantity=quantity,
                price=to_price(price),
                trigger_price=to_price(trigger),
                validity=Validity(validity),
                disclosed_quantity=disclosed,
                protection=None if protection is None else Decimal(protection),
                fill_cap=fill_cap,
                tag=tag,
            )
        )

    def price(self, price: object, instrument: str = TCS) -> None:
        """Move the last price."""
        self.exchange.set_prices({instrument: to_price(price)})

    def net(self, account: str = "alice", product: str = "MIS", instrument: str = TCS) -> int:
        """The signed net position."""
        position = self.exchange.accounts[f"sim-{account}"].positions.get((instrument, Product(product)))
        return 0 if position is None else position.net


def statuses(order: Order) -> list[str]:
    """The states the order went through."""
    return [str(snapshot.status) for snapshot in order.history]


def fill_prices(bench: Bench, order: Order) -> list[tuple[int, int]]:
    """(quantity, rupees) of each of the order's fills."""
    trades = bench.exchange.accounts[order.account].trades
    return [(trade.quantity, trade.price // PRICE_SCALE) for trade in trades if trade.order_id == order.order_id]
