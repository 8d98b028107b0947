"""What an order would block, and the switch that stops all orders (DhanHQ v2 documentation, "Funds", "Trader's control")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.call import Call
from simulator.dialects.dhan.errors import DhanError, bad_input
from simulator.dialects.dhan.orders import answer
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.shapes import PRODUCTS, SIDES
from simulator.exchange.accounts import Account
from simulator.exchange.funds import margin_unit
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import rupees

_WORDS = {"ACTIVATE": "activated", "DEACTIVATE": "deactivated"}


class KillSwitches:
    """Which accounts take no orders for the rest of the day, by their own wish."""

    def __init__(self) -> None:
        self._engaged: set[str] = set()

    def forget(self) -> None:
        """A new day."""
        self._engaged.clear()

    def check(self, account: Account) -> None:
        """Raises DhanError while the switch is on."""
        if account.api_key in self._engaged:
            raise DhanError(400, "DH-906", "RMS: Kill switch is active. Trading is disabled for today.")

    def turn(self, call: Call) -> Reply:
        """`POST /killswitch?killSwitchStatus=`: only an account without open orders and positions may switch itself off."""
        account, wanted = call.account, call.request.query.get("killSwitchStatus", "")
        if wanted not in _WORDS:
            raise bad_input("Invalid killSwitchStatus.")
        if wanted == "DEACTIVATE":
            self._engaged.discard(account.api_key)
        elif any(order.is_open for order in account.orders) or any(position.net for position in account.positions.values()):
            raise DhanError(400, "DH-906", "Close all positions and pending orders before activating the kill switch.")
        else:
            self._engaged.add(account.api_key)
        told = f"Kill switch has been successfully {_WORDS[wanted]}"
        return answer({"dhanClientId": account.user_id, "killSwitchStatus": told})

    def state(self, call: Call) -> Reply:
        """`GET /killswitch`."""
        engaged = call.account.api_key in self._engaged
        return answer({"dhanClientId": call.account.user_id, "killSwitchStatus": "ACTIVATE" if engaged else "DEACTIVATE"})


class MarginEndpoints:
    """What orders would block. Plausible figures, not a tariff."""

    def __init__(self, ids: SecurityIds) -> None:
        self._ids = ids

    def margin(self, call: Call) -> Reply:
        """`POST /margincalculator`."""
        call.check_client()
        market = self._ids.market(call.text("exchangeSegment"), call.text("securityId"))
        if market is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        quantity, price = call.integer("quantity") or 0, call.price("price") or market.last_price
        side, product = call.choice("transactionType", SIDES), call.choice("productType", PRODUCTS)
        total = quantity * margin_unit(market.instrument, side=side, product=product, price=price)
        available = call.account.available
        return answer({
            "totalMargin": rupees(total), "spanMargin": 0.0, "exposureMargin": 0.0, "availableBalance": rupees(available),
            "variableMargin": rupees(total), "insufficientBalance": rupees(max(0, total - available)), "brokerage": 20.0,
            "leverage": f"{quantity * price / total if total else 1:.2f}",
        })  # fmt: skip
