"""Funds, positions and holdings (SmartAPI documentation, "Portfolio", "Funds")."""

from simulator.dialects.angel_one.call import Call
from simulator.dialects.angel_one.envelope import success
from simulator.dialects.angel_one.orders import AngelProduct
from simulator.dialects.angel_one.shapes import Shapes
from simulator.dialects.angel_one.tokens import TokenMap
from simulator.dialects.common.reply import Reply
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Side
from simulator.exchange.refusals import Reason, Refusal


class PortfolioEndpoints:
    """What an account owns."""

    def __init__(self, exchange: Exchange, shapes: Shapes, tokens: TokenMap) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._tokens = tokens

    def funds(self, call: Call) -> Reply:
        """`GET getRMS`."""
        return success(self._shapes.funds(call.account))

    def positions(self, call: Call) -> Reply:
        """`GET getPosition`."""
        if call.behaviour is not None and call.behaviour.kind == "empty_positions":
            return success(None)
        return success(self._shapes.positions(call.account) or None)

    def convert(self, call: Call) -> Reply:
        """`POST convertPosition`."""
        market = self._tokens.market(call.required("exchange").upper(), call.text("symboltoken"))
        if market is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        self._exchange.convert_position(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=call.choice("transactiontype", Side),
            quantity=call.integer("quantity") or 0,
            old=call.choice("oldproducttype", AngelProduct, code="AB1012").at_the_exchange,
            new=call.choice("newproducttype", AngelProduct, code="AB1012").at_the_exchange,
        )
        return success(None)

    def holdings(self, call: Call) -> Reply:
        """`GET getHolding`."""
        return success([self._shapes.holding(holding) for holding in call.account.holdings.values()] or None)

    def all_holdings(self, call: Call) -> Reply:
        """`GET getAllHolding`."""
        rows = [self._shapes.holding(holding) for holding in call.account.holdings.values()]
        worth = sum(row["ltp"] * row["quantity"] for row in rows)
        cost = sum(row["averageprice"] * row["quantity"] for row in rows)
        total = {
            "totalholdingvalue": worth, "totalinvvalue": cost, "totalprofitandloss": worth - cost,
            "totalpnlpercentage": (worth - cost) * 100 / cost if cost else 0,
        }  # fmt: skip
        return success({"holdings": rows or None, "totalholding": total if rows else None})
