"""The JSON envelope and the error codes (Fyers API v3 documentation, "Response structure", "Error codes").

Which HTTP status comes with a code is not documented for all of them: 400 unless the documentation says otherwise. Wordings
without a public sample are our own.
"""

from typing import Any

import orjson

from simulator.dialects.common.reply import Reply, WireError
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import rupees


class FyersError(WireError):
    """An error answer: HTTP status, code, message."""

    def __init__(self, status: int, code: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    @property
    def words(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def reply(self) -> Reply:
        return Reply(orjson.dumps(problem(self)), status=self.status, headers=self.headers)


def input_error(message: str) -> FyersError:
    """A missing or bad field."""
    return FyersError(400, -50, message)


def token_error() -> FyersError:
    """The session is not, or no longer, valid."""
    return FyersError(401, -16, "Could not authenticate the user")


def too_many_requests(*, wait_seconds: float = 1.0) -> FyersError:
    """Over the limit of a second, a minute or the day."""
    milliseconds = int(wait_seconds * 1_000)
    headers = {"Retry-After": str(max(1, -(-milliseconds // 1_000))), "X-Retry-After-Ms": str(milliseconds)}
    return FyersError(429, -429, "request limit reached", headers=headers)


def not_allowed(app_id: str) -> FyersError:
    """An address or an app that may not place orders: one wording for both."""
    text = f"Request rejected: Order placement restricted. Algo orders are not allowed from this app {app_id}"
    return FyersError(400, -50, text)


def success(*, code: int = 200, message: str = "", **payload: Any) -> Reply:
    """The success envelope, with the payload key each call has of its own."""
    return Reply(orjson.dumps({"s": "ok", "code": code, "message": message, **payload}))


def problem(error: FyersError) -> dict[str, Any]:
    """The error envelope before it is encoded."""
    return {"s": "error", "code": error.code, "message": error.message}


_REFUSALS: dict[Reason, tuple[int, str]] = {
    Reason.UNKNOWN_INSTRUMENT: (-50, "The input symbol is invalid."),
    Reason.NOT_TRADABLE: (-50, "The input symbol is invalid."),
    Reason.MARKET_CLOSED: (-99, "RED:RULE:{{Market is closed}} Block Type:All"),
    Reason.BAD_QUANTITY: (-50, "qty should be greater than 0"),
    Reason.NOT_A_LOT: (-50, "Quantity not a multiple of lot size {lot}"),
    Reason.ABOVE_FREEZE: (-99, "RED:RULE:{{Check freeze quantity {freeze}}}"),
    Reason.BAD_PRICE: (-50, "limitPrice should be greater than 0"),
    Reason.NOT_A_TICK: (-50, "LimitPrice not a multiple of tick size {tick}"),
    Reason.ABOVE_CIRCUIT: (-99, "RED:RULE:{{Check circuit limit including square off order exceeds}} Current:{limit}"),
    Reason.BELOW_CIRCUIT: (-99, "RED:RULE:{{Check circuit limit including square off order exceeds}} Current:{limit}"),
    Reason.BAD_TRIGGER: (-50, "stopPrice should be greater than 0"),
    Reason.TRIGGER_BEYOND_LIMIT: (-50, "stopPrice is beyond limitPrice"),
    Reason.TRIGGER_ALREADY_HIT: (-50, "stopPrice is on the wrong side of the last price {last}"),
    Reason.BAD_DISCLOSED: (-50, "disclosedQty is not allowed"),
    Reason.NO_PROTECTION: (-50, "type is invalid"),
    Reason.STOP_MARKET_NOT_ALLOWED: (-50, "type 3 is not allowed for this symbol"),
    Reason.BAD_PRODUCT: (-50, "productType {product} is not allowed for this symbol"),
    Reason.NO_FUNDS: (-99, "RED:Margin Shortfall:INR {required} Available:INR {available}"),
    Reason.NO_HOLDINGS: (-99, "RED:Insufficient holdings: {sellable} of {quantity} can be sold"),
    Reason.UNKNOWN_ORDER: (-51, "Please provide valid order id"),
    Reason.TOO_MANY_MODIFICATIONS: (-99, "Maximum allowed order modifications exceeded"),
    Reason.NOTHING_TO_MODIFY: (-50, "Nothing to modify"),
    Reason.BELOW_FILLED: (-50, "qty should be greater than the traded quantity {filled}"),
    Reason.NO_POSITION: (-53, "Please provide valid position id"),
}
_DONE = {
    "COMPLETE": (-162, "Order is already traded"),
    "CANCELLED": (-161, "Order is already cancelled"),
    "REJECTED": (-164, "Order is already rejected"),
}
_IN_RUPEES = {"limit", "required", "available", "last"}


def refusal_error(refusal: Refusal) -> FyersError:
    """The engine's refusal in this broker's words."""
    if refusal.reason is Reason.ORDER_DONE:
        return FyersError(400, *_DONE[str(refusal.details["status"])])
    code, template = _REFUSALS[refusal.reason]
    details = {
        name: f"{rupees(value):.2f}" if name in _IN_RUPEES and isinstance(value, int) else value
        for name, value in refusal.details.items()
    }
    if isinstance(tick := details.get("tick"), int):
        details["tick"] = f"{rupees(tick):.4f}"
    return FyersError(400, code, template.format(**details))
