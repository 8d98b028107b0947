"""The JSON envelope and the error types (Kite Connect v3 documentation, "Response structure", "Exceptions and errors")."""

from typing import Any

import orjson

from simulator.dialects.common.reply import Reply, WireError
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import rupees


class KiteError(WireError):
    """An error answer: HTTP status, `error_type`, message."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message

    @property
    def words(self) -> str:
        return f"{self.status} {self.error_type}: {self.message}"

    def reply(self) -> Reply:
        return failure(self)


def input_error(message: str) -> KiteError:
    """400 InputException: a missing or bad field."""
    return KiteError(400, "InputException", message)


def token_error(message: str = "Incorrect `api_key` or `access_token`.") -> KiteError:
    """403 TokenException: the session is not, or no longer, valid."""
    return KiteError(403, "TokenException", message)


def too_many_requests() -> KiteError:
    """429 with the error type of network errors, as the broker does."""
    return KiteError(429, "NetworkException", "Too many requests")


def success(data: Any) -> Reply:
    """The success envelope."""
    return Reply(orjson.dumps({"status": "success", "data": data}))


def success_list(rows: list[bytes]) -> Reply:
    """The success envelope around rows that are JSON already."""
    return Reply(b'{"status":"success","data":[' + b",".join(rows) + b"]}")


def failure(error: KiteError, *, status: int | None = None) -> Reply:
    """The error envelope."""
    body = {"status": "error", "message": error.message, "error_type": error.error_type, "data": None}
    return Reply(orjson.dumps(body), status=error.status if status is None else status)


_REFUSALS: dict[Reason, tuple[int, str, str]] = {
    Reason.UNKNOWN_INSTRUMENT: (
        400, "InputException", "The instrument you are placing an order for has either expired or does not exist.",
    ),
    Reason.NOT_TRADABLE: (400, "InputException", "Indices cannot be traded."),
    Reason.MARKET_CLOSED: (400, "InputException", "Markets are closed right now. Place an after market order (AMO) instead."),
    Reason.BAD_QUANTITY: (400, "InputException", "Invalid `quantity`."),
    Reason.NOT_A_LOT: (400, "InputException", "Quantity should be a multiple of the lot size {lot}."),
    Reason.ABOVE_FREEZE: (400, "InputException", "Quantity is above the exchange freeze limit of {freeze}."),
    Reason.BAD_PRICE: (400, "InputException", "Invalid `price`."),
    Reason.NOT_A_TICK: (400, "InputException", "Tick size for this script is {tick}. Enter a price that is a multiple of it."),
    Reason.ABOVE_CIRCUIT: (
        400, "InputException",
        "Your order price is higher than the current upper circuit limit of {limit}. Place an order within the daily range.",
    ),
    Reason.BELOW_CIRCUIT: (
        400, "InputException",
        "Your order price is lower than the current lower circuit limit of {limit}. Place an order within the daily range.",
    ),
    Reason.BAD_TRIGGER: (400, "InputException", "Invalid `trigger_price`."),
    Reason.TRIGGER_BEYOND_LIMIT: (400, "InputException", "The trigger of a stoploss {side} order is beyond its limit price."),
    Reason.TRIGGER_ALREADY_HIT: (
        400, "InputException", "The trigger price of a stoploss {side} order is on the wrong side of the last price {last}.",
    ),
    Reason.BAD_DISCLOSED: (400, "InputException", "Invalid `disclosed_quantity`."),
    Reason.NO_PROTECTION: (
        400, "InputException",
        "Market orders without market protection are not allowed via API. Please set market protection or use a Limit order.",
    ),
    Reason.STOP_MARKET_NOT_ALLOWED: (400, "InputException", "SL-M orders are blocked for this instrument. Use an SL order."),
    Reason.BAD_PRODUCT: (400, "InputException", "Product {product} is not allowed for this instrument."),
    Reason.NO_FUNDS: (
        400, "MarginException", "Insufficient funds. Required margin is {required} but available margin is {available}.",
    ),
    Reason.NO_HOLDINGS: (
        400, "HoldingException", "Insufficient stock holding: {sellable} of {quantity} shares are available to sell.",
    ),
    Reason.UNKNOWN_ORDER: (404, "GeneralException", "Couldn't find that `order_id`."),
    Reason.ORDER_DONE: (400, "InputException", "The order is {status} and can no longer be changed."),
    Reason.TOO_MANY_MODIFICATIONS: (429, "NetworkException", "Maximum allowed order modifications exceeded."),
    Reason.NOTHING_TO_MODIFY: (400, "InputException", "Nothing to modify."),
    Reason.BELOW_FILLED: (400, "InputException", "Quantity cannot be at or below the {filled} already traded."),
    Reason.NO_POSITION: (400, "InputException", "The position to convert is smaller than that or does not exist."),
}  # fmt: skip
_IN_RUPEES = {"limit", "tick", "required", "available", "last"}


def refusal_error(refusal: Refusal) -> KiteError:
    """The engine's refusal in this broker's words."""
    status, error_type, template = _REFUSALS[refusal.reason]
    details = {
        name: f"{rupees(value):.2f}" if name in _IN_RUPEES and isinstance(value, int) else value
        for name, value in refusal.details.items()
    }
    return KiteError(status, error_type, template.format(**details))
