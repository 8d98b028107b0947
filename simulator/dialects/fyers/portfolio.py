"""Funds, positions and holdings (Fyers API v3 documentation, "User", "Positions", "Holdings")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.fyers.call import Call
from simulator.dialects.fyers.envelope import FyersError, input_error, success
from simulator.dialects.fyers.shapes import PRODUCTS, Shapes
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Product, Side


class PortfolioEndpoints:
    """What an account owns."""

    def __init__(self, exchange: Exchange, shapes: Shapes, symbol_map: SymbolMap) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._symbols = symbol_map

    def funds(self, call: Call) -> Reply:
        """`GET /funds`."""
        return success(fund_limit=self._shapes.funds(call.account))

    def positions(self, call: Call) -> Reply:
        """`GET /positions`."""
        rows, overall = self._shapes.positions(call.account)
        if call.behaviour is not None and call.behaviour.kind == "empty_positions":
            rows, overall = [], dict.fromkeys(overall, 0)
        return success(netPositions=rows, overall=overall)

    def convert(self, call: Call) -> Reply:
        """`POST /positions`: `symbol` is the position's id."""
        ticker, _, old = call.text("symbol").rpartition("-")
        market = self._symbols.market(ticker)
        if market is None or call.text("convertFrom") != old:
            raise FyersError(400, -53, "Please provide valid position id")
        self._exchange.convert_position(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=Side.BUY if call.integer("positionSide", 1) == 1 else Side.SELL,
            quantity=call.integer("convertQty"),
            old=_product(old),
            new=_product(call.text("convertTo")),
        )
        return success(message="Position converted successfully", positionDetails=[])

    def holdings(self, call: Call) -> Reply:
        """`GET /holdings`."""
        rows, overall = self._shapes.holdings(call.account)
        return success(holdings=rows, overall=overall)


def _product(word: str) -> Product:
    for product, known in PRODUCTS.items():
        if known == word:
            return product
    raise input_error("productType is invalid")
