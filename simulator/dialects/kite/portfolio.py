"""Funds, positions and holdings (Kite Connect v3 documentation, "Portfolio", "User")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import input_error, success
from simulator.dialects.kite.shapes import Shapes, no_commodity_funds
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Product, Side


class PortfolioEndpoints:
    """What an account owns."""

    def __init__(self, exchange: Exchange, shapes: Shapes) -> None:
        self._exchange = exchange
        self._shapes = shapes

    def margins(self, call: Call) -> Reply:
        """`GET /user/margins`."""
        return success({"equity": self._shapes.funds(call.account), "commodity": no_commodity_funds()})

    def segment_margins(self, call: Call) -> Reply:
        """`GET /user/margins/{segment}`."""
        segment = call.path("segment")
        if segment == "equity":
            return success(self._shapes.funds(call.account))
        if segment == "commodity":
            return success(no_commodity_funds())
        raise input_error("Invalid `segment`.")

    def positions(self, call: Call) -> Reply:
        """`GET /portfolio/positions`."""
        if call.behaviour is not None and call.behaviour.kind == "empty_positions":
            return success({"net": [], "day": []})
        return success(self._shapes.positions(call.account))

    def convert(self, call: Call) -> Reply:
        """`PUT /portfolio/positions`."""
        if call.required("position_type") not in ("day", "overnight"):
            raise input_error("Invalid `position_type`.")
        self._exchange.convert_position(
            account=call.account.api_key,
            instrument=f"{call.required('exchange')}:{call.required('tradingsymbol')}",
            side=call.choice("transaction_type", Side),
            quantity=call.integer("quantity") or 0,
            old=call.choice("old_product", Product),
            new=call.choice("new_product", Product),
        )
        return success(True)

    def holdings(self, call: Call) -> Reply:
        """`GET /portfolio/holdings`."""
        return success([self._shapes.holding(holding) for holding in call.account.holdings.values()])

    def auctions(self, call: Call) -> Reply:
        """`GET /portfolio/holdings/auctions`: there are none."""
        return success([])
