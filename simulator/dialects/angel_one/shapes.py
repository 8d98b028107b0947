"""Orders, trades, positions, holdings and funds in this broker's JSON (SmartAPI documentation, "Orders", "Portfolio", "Funds").

Prices are numbers in some rows and text in others, quantities are text: as the broker sends them.
"""

import time
from typing import Any

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS
from simulator.dialects.angel_one import tokens
from simulator.dialects.common.rows import OrderRows
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.orders import Order, OrderType, Product, Snapshot, Trade
from simulator.exchange.positions import Holding, Position
from simulator.money import PRICE_SCALE, average, rupees

Row = dict[str, Any]
PRODUCTS = {Product.CNC: "DELIVERY", Product.MIS: "INTRADAY", Product.NRML: "CARRYFORWARD"}
ORDER_TYPES = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP_LIMIT: "STOPLOSS_LIMIT",
    OrderType.STOP_MARKET: "STOPLOSS_MARKET",
}
_EXCHANGE_ONLY_AFTER = 3
"""The first states of an order (received, validation pending, open pending) have not reached the exchange."""
_INSTRUMENT_TYPES = {Kind.INDEX: "AMXIDX", Kind.EQUITY: ""}
_UNIQUE = "u"


def unique_id(order_id: str) -> str:
    """The broker's other id of an order: what its details are asked by."""
    return _UNIQUE + order_id


def order_id_of(unique: str) -> str:
    """Empty for what is no such id."""
    return unique.removeprefix(_UNIQUE) if unique.startswith(_UNIQUE) else ""


def angel_time(at_ns: int) -> str:
    """`20-Oct-2020 13:10:59`, Indian time; empty for never."""
    return time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(at_ns // SECOND_NS + INDIA_OFFSET_SECONDS)) if at_ns else ""


def variety(order_type: OrderType) -> str:
    """Stop orders have one of their own."""
    return "STOPLOSS" if order_type.waits_for_trigger else "NORMAL"


def instrument_type(instrument: Instrument) -> str:
    """`AMXIDX`, empty for shares, `FUTSTK`, `OPTIDX`, ..."""
    if instrument.kind in _INSTRUMENT_TYPES:
        return _INSTRUMENT_TYPES[instrument.kind]
    of = "IDX" if "NIFTY" in instrument.name else "STK"
    return f"{'FUT' if instrument.kind is Kind.FUTURE else 'OPT'}{of}"


class Shapes(OrderRows):
    """Makes rows."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def order(self, order: Order, snapshot: Snapshot) -> Row:
        """A row of the order book, as the order was at a snapshot."""
        return self.update(order, snapshot) | {
            "uniqueorderid": unique_id(order.order_id),
            "exchangeorderid": snapshot.exchange_order_id or "",
        }

    def update(self, order: Order, snapshot: Snapshot) -> Row:
        """What an order update and a postback show of it."""
        status = snapshot.status.lower()
        at_exchange = snapshot.exchange_order_id is not None
        return {
            "variety": variety(snapshot.order_type),
            "ordertype": ORDER_TYPES[snapshot.order_type],
            "producttype": PRODUCTS[order.product],
            "duration": snapshot.validity,
            "price": rupees(snapshot.price),
            "triggerprice": rupees(snapshot.trigger_price),
            "quantity": str(snapshot.quantity),
            "disclosedquantity": str(snapshot.disclosed_quantity),
            "squareoff": 0,
            "stoploss": 0,
            "trailingstoploss": 0,
            **self._names(order.instrument),
            "transactiontype": order.side,
            "ordertag": order.tag or "",
            "lotsize": str(max(1, self._instrument(order.instrument).lot_size)),
            "cancelsize": str(snapshot.cancelled),
            "averageprice": average(snapshot.filled_value, snapshot.filled),
            "filledshares": str(snapshot.filled),
            "unfilledshares": str(snapshot.pending),
            "orderid": order.order_id,
            "text": snapshot.message or "",
            "status": status,
            "orderstatus": status,
            "updatetime": angel_time(snapshot.at_ns),
            "exchtime": angel_time(order.history[_EXCHANGE_ONLY_AFTER].at_ns) if at_exchange else "",
            "exchorderupdatetime": angel_time(snapshot.exchange_at_ns) if at_exchange else "",
            "fillid": "",
            "filltime": "",
            "parentorderid": "",
        }

    def _instrument(self, key: str) -> Instrument:
        return self._exchange.markets[key].instrument

    def _names(self, key: str) -> Row:
        instrument = self._instrument(key)
        return {
            "tradingsymbol": tokens.symbol(instrument),
            "exchange": instrument.exchange,
            "symboltoken": tokens.token(instrument),
            **_contract(instrument),
        }

    def trade(self, trade: Trade) -> Row:
        """One fill. No token, and a time of day only."""
        instrument = self._instrument(trade.instrument)
        return {
            "exchange": instrument.exchange,
            "producttype": PRODUCTS[trade.product],
            "tradingsymbol": tokens.symbol(instrument),
            **_contract(instrument),
            "symbolgroup": "EQ",
            "marketlot": str(max(1, instrument.lot_size)),
            "precision": "2",
            "multiplier": "-1",
            "tradevalue": _text(trade.price * trade.quantity),
            "transactiontype": trade.side,
            "fillprice": _text(trade.price),
            "fillsize": str(trade.quantity),
            "orderid": trade.order_id,
            "fillid": trade.trade_id,
            "filltime": angel_time(trade.at_ns)[-8:],
        }

    def positions(self, account: Account) -> list[Row]:
        """All positions with quantity or trades today; everything is text."""
        return [self._position(position) for position in account.positions.values() if not position.is_empty]

    def _position(self, position: Position) -> Row:
        market = self._exchange.markets[position.instrument]
        carried, carried_value = position.overnight_quantity, position.overnight_value
        bought, sold = position.day_buy_quantity, position.day_sell_quantity
        net = position.net
        total_buy = position.day_buy_value + (carried_value if carried > 0 else 0)
        total_sell = position.day_sell_value + (carried_value if carried < 0 else 0)
        average_open = _text(position.open_value // abs(net)) if net else "0.00"
        return {
            "exchange": market.instrument.exchange,
            "symboltoken": tokens.token(market.instrument),
            "producttype": PRODUCTS[position.product],
            "tradingsymbol": tokens.symbol(market.instrument),
            "symbolname": market.instrument.name,
            **_contract(market.instrument),
            "priceden": "1", "pricenum": "1", "genden": "1", "gennum": "1", "precision": "2", "multiplier": "-1",
            "boardlotsize": "1",
            "buyqty": str(bought), "sellqty": str(sold),
            "buyamount": _text(position.day_buy_value), "sellamount": _text(position.day_sell_value),
            "symbolgroup": "EQ",
            "lotsize": str(max(1, market.instrument.lot_size)),
            "cfbuyqty": str(max(carried, 0)), "cfsellqty": str(max(-carried, 0)),
            "cfbuyamount": _text(carried_value if carried > 0 else 0),
            "cfsellamount": _text(carried_value if carried < 0 else 0),
            "buyavgprice": _text(position.day_buy_value // bought) if bought else "0.00",
            "sellavgprice": _text(position.day_sell_value // sold) if sold else "0.00",
            "avgnetprice": average_open,
            "netvalue": _text(total_sell - total_buy),
            "netqty": str(net),
            "totalbuyvalue": _text(total_buy), "totalsellvalue": _text(total_sell),
            "netprice": average_open,
            "ltp": _text(market.last_price),
            "pnl": _text(total_sell - total_buy + net * market.last_price),
            "realised": _text(position.realised),
            "unrealised": _text(net * market.last_price - (position.open_value if net > 0 else -position.open_value)),
        }  # fmt: skip

    def holding(self, holding: Holding) -> Row:
        """One holding."""
        market = self._exchange.markets[holding.instrument]
        quantity = holding.quantity + holding.t1_quantity
        return {
            "tradingsymbol": tokens.symbol(market.instrument),
            "exchange": market.instrument.exchange,
            "isin": "",
            "t1quantity": holding.t1_quantity,
            "realisedquantity": holding.quantity,
            "quantity": holding.quantity,
            "authorisedquantity": 0,
            "product": "DELIVERY",
            "collateralquantity": None,
            "collateraltype": None,
            "haircut": 0,
            "averageprice": rupees(holding.average_price),
            "ltp": rupees(market.last_price),
            "symboltoken": tokens.token(market.instrument),
            "close": rupees(market.close),
            "profitandloss": rupees((market.last_price - holding.average_price) * quantity),
            "pnlpercentage": 0,
        }

    def funds(self, account: Account) -> Row:
        """Everything is text."""
        used = account.funds - account.available
        names = (
            "availableintradaypayin", "availablelimitmargin", "collateral", "m2munrealized", "utilisedspan",
            "utilisedoptionpremium", "utilisedholdingsales", "utilisedturnover", "utilisedpayout",
        )  # fmt: skip
        return dict.fromkeys(names, "0.0000") | {
            "net": _text(account.available),
            "availablecash": _text(account.funds),
            "m2mrealized": _text(account.realised),
            "utiliseddebits": _text(used),
            "utilisedexposure": _text(account.position_margin + account.order_margin),
        }


def _contract(instrument: Instrument) -> Row:
    is_option = instrument.kind.is_option
    return {
        "instrumenttype": instrument_type(instrument),
        "strikeprice": rupees(instrument.strike) if is_option else -1,
        "optiontype": instrument.kind if is_option else "",
        "expirydate": tokens.expiry(instrument, "%d%b%Y"),
    }


def _text(price: int) -> str:
    """Price units as text with at least two decimals."""
    places = 2 if price % (PRICE_SCALE // 100) == 0 else 4
    return f"{price / PRICE_SCALE:.{places}f}"
