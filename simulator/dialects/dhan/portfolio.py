"""Funds, positions, holdings and static addresses (DhanHQ v2 documentation, "Portfolio", "Funds", "Authentication")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.call import Call
from simulator.dialects.dhan.errors import DhanError
from simulator.dialects.dhan.orders import answer
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.shapes import PRODUCTS, Shapes
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Side
from simulator.exchange.refusals import Reason, Refusal

_POSITION_SIDES = {"LONG": Side.BUY, "SHORT": Side.SELL}
_FLAGS = {"PRIMARY": "primaryIP", "SECONDARY": "secondaryIP"}


class PortfolioEndpoints:
    """What an account owns, and where it may send orders from."""

    def __init__(self, exchange: Exchange, shapes: Shapes, ids: SecurityIds) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._ids = ids
        self._addresses: dict[str, dict[str, str]] = {}

    def funds(self, call: Call) -> Reply:
        """`GET /fundlimit`."""
        return answer(self._shapes.funds(call.account))

    def positions(self, call: Call) -> Reply:
        """`GET /positions`."""
        if call.behaviour is not None and call.behaviour.kind == "empty_positions":
            return answer([])
        return answer(self._shapes.positions(call.account))

    def convert(self, call: Call) -> Reply:
        """`POST /positions/convert`: accepted with 202 and no body."""
        call.check_client()
        market = self._ids.market(call.text("exchangeSegment"), call.text("securityId"))
        if market is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        self._exchange.convert_position(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=call.choice("positionType", _POSITION_SIDES),
            quantity=call.integer("convertQty") or 0,
            old=call.choice("fromProductType", PRODUCTS),
            new=call.choice("toProductType", PRODUCTS),
        )
        return Reply(b"", status=202)

    def holdings(self, call: Call) -> Reply:
        """`GET /holdings`: having none is an error at this broker."""
        if not call.account.holdings:
            raise DhanError(400, "DH-1111", "No holdings available")
        return answer([self._shapes.holding(holding) for holding in call.account.holdings.values()])

    def set_address(self, call: Call) -> Reply:
        """`POST /ip/setIP`, `PUT /ip/modifyIP`. Remembered; orders from elsewhere are refused by a fault, not by this."""
        call.check_client()
        own = self._addresses.setdefault(call.account.api_key, {})
        own[call.choice("ipFlag", _FLAGS)] = call.text("ip")
        return answer({"message": "IP saved successfully", "status": "SUCCESS"})

    def addresses(self, call: Call) -> Reply:
        """`GET /ip/getIP`."""
        own, day = self._addresses.get(call.account.api_key, {}), self._exchange.trading_day
        return answer({
            "primaryIP": own.get("primaryIP", ""), "modifyDatePrimary": day,
            "secondaryIP": own.get("secondaryIP", ""), "modifyDateSecondary": day,
        })  # fmt: skip
