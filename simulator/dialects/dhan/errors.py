"""Dhan's error answers (DhanHQ v2 documentation, Annexure: "Trading API error", "Data API error").

A success has no envelope. `errorType` is spelled as the documentation's examples do; its clients must not depend on it.
"""

import orjson

from simulator.dialects.common.reply import Reply, WireError
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import rupees


class DhanError(WireError):
    """An error answer: HTTP status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def words(self) -> str:
        """For the exchange's own log."""
        return f"{self.status} {self.code}: {self.message}"

    def reply(self) -> Reply:
        """The error object."""
        return self.reply_with(self.status)

    def reply_with(self, status: int) -> Reply:
        """The error object under another status."""
        row = {"errorType": _TYPES.get(self.code, "Other"), "errorCode": self.code, "errorMessage": self.message}
        return Reply(orjson.dumps(row), status=status)


class DataError(DhanError):
    """How the data calls say it: a code and its text inside `data` (as users have seen it)."""

    def reply_with(self, status: int) -> Reply:
        """The error object under another status."""
        return Reply(orjson.dumps({"data": {self.code: self.message}, "status": "failed"}), status=status)


_TYPES = {
    "DH-901": "Invalid_Authentication",
    "DH-902": "Invalid_Access",
    "DH-903": "User_Account",
    "DH-904": "Rate_Limit",
    "DH-905": "Input_Exception",
    "DH-906": "Order_Error",
    "DH-907": "Data_Error",
    "DH-908": "Internal_Server_Error",
    "DH-909": "Network_Error",
    "DH-911": "Invalid_IP",
    "DH-1111": "HOLDING_ERROR",
}

DEAD_TOKEN = "Client ID or user generated access token is invalid or expired."  # noqa: S105 (a sentence, not a secret)
BUSY = "The order is being processed at the exchange. Try again later."
TIMED_OUT = "Request timed out. Check the order book before placing again."


def bad_input(message: str) -> DhanError:
    """A missing or bad field."""
    return DhanError(400, "DH-905", message)


def dead_token() -> DhanError:
    """The session is not, or no longer, valid."""
    return DhanError(401, "DH-901", DEAD_TOKEN)


def bad_login(message: str) -> DhanError:
    """A wrong PIN, one-time code, secret or token id (as a user of the login calls saw it)."""
    return DhanError(400, "DH-906", message)


def too_many_requests(kind: str) -> DhanError:
    """Over a rate limit; quotes say it in the data calls' own way."""
    if kind == "quote":
        return DataError(429, "805", "Too many requests. Further requests may result in the user being blocked.")
    return DhanError(429, "DH-904", "Too many requests on server from single user. Try throttling API calls.")


def wrong_address() -> DhanError:
    """Orders from an address that is not registered."""
    return DhanError(403, "DH-911", "Invalid IP address. Orders are taken from whitelisted static IPs only.")


def no_such_order() -> DhanError:
    """An order id or correlation id that nobody knows."""
    return DhanError(404, "DH-907", "No order found for the given id.")


_REFUSALS: dict[Reason, tuple[str, str]] = {
    Reason.UNKNOWN_INSTRUMENT: ("DH-905", "Invalid SecurityId for the given exchangeSegment."),
    Reason.NOT_TRADABLE: ("DH-905", "Orders are not allowed in this segment."),
    Reason.MARKET_CLOSED: ("DH-906", "Markets are Offline or Blocked."),
    Reason.BAD_QUANTITY: ("DH-905", "Invalid quantity."),
    Reason.NOT_A_LOT: ("DH-905", "Quantity must be a multiple of the lot size {lot}."),
    Reason.ABOVE_FREEZE: ("DH-906", "Quantity exceeds the freeze quantity {freeze}. Use order slicing."),
    Reason.BAD_PRICE: ("DH-905", "Invalid Price for orderType."),
    Reason.NOT_A_TICK: ("DH-905", "Price is not a multiple of the tick size {tick}."),
    Reason.ABOVE_CIRCUIT: ("DH-906", "Price is above the upper circuit limit {limit}."),
    Reason.BELOW_CIRCUIT: ("DH-906", "Price is below the lower circuit limit {limit}."),
    Reason.BAD_TRIGGER: ("DH-905", "Invalid triggerPrice."),
    Reason.TRIGGER_BEYOND_LIMIT: ("DH-906", "Trigger Price is on the wrong side of the Price of a {side} order."),
    Reason.TRIGGER_ALREADY_HIT: ("DH-906", "Trigger Price of a {side} order is on the wrong side of the last price {last}."),
    Reason.BAD_DISCLOSED: ("DH-905", "Invalid disclosedQuantity."),
    Reason.NO_PROTECTION: ("DH-906", "Market orders without protection are not allowed."),
    Reason.STOP_MARKET_NOT_ALLOWED: ("DH-906", "Stop loss market orders are not allowed for this instrument."),
    Reason.BAD_PRODUCT: ("DH-905", "Invalid productType for this instrument."),
    Reason.NO_FUNDS: ("DH-906", "RMS: Insufficient funds. Required {required}, available {available}."),
    Reason.NO_HOLDINGS: ("DH-906", "RMS: Insufficient holdings: {sellable} of {quantity} can be sold."),
    Reason.UNKNOWN_ORDER: ("DH-907", "Order not found."),
    Reason.ORDER_DONE: ("DH-906", "The order is already {status} and can no longer be changed."),
    Reason.TOO_MANY_MODIFICATIONS: ("DH-906", "Maximum modifications of an order (25 times) exceeded."),
    Reason.NOTHING_TO_MODIFY: ("DH-905", "Nothing to modify."),
    Reason.BELOW_FILLED: ("DH-905", "Quantity must be above the {filled} traded."),
    Reason.NO_POSITION: ("DH-905", "There is no such position to convert."),
}
_IN_RUPEES = {"limit", "tick", "required", "available", "last"}


def refusal_error(refusal: Refusal) -> DhanError:
    """The engine's refusal in this broker's words."""
    code, template = _REFUSALS[refusal.reason]
    details = {
        name: f"{rupees(value):.2f}" if name in _IN_RUPEES and isinstance(value, int) else value
        for name, value in refusal.details.items()
    }
    return DhanError(404 if refusal.reason is Reason.UNKNOWN_ORDER else 400, code, template.format(**details))
