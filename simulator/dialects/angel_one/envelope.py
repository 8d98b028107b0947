"""The JSON envelope in both of its spellings, and the errors (SmartAPI documentation, "Response Structure", "Exceptions")."""

from typing import Any

import orjson

from simulator.dialects.common.reply import Reply, WireError
from simulator.exchange.refusals import Reason, Refusal
from simulator.faults import Fault
from simulator.money import rupees

RATE_TEXT = "Access denied because of exceeding access rate"
SOMETHING_WRONG = "Something Went Wrong, Please Try After Sometime"


class AngelError(WireError):
    """An error in JSON. Codes that begin with AG come from the gateway, which spells the envelope in its own way."""

    def __init__(self, code: str, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def words(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def reply(self) -> Reply:
        return Reply(orjson.dumps(self._envelope()), status=self.status)

    def _envelope(self) -> dict[str, Any]:
        if self.code.startswith("AG"):
            return {"success": False, "message": self.message, "errorCode": self.code, "data": ""}
        return {"status": False, "message": self.message, "errorcode": self.code, "data": None}


class RateError(WireError):
    """403 in plain text."""

    @property
    def words(self) -> str:
        return f"403 {RATE_TEXT}"

    def reply(self) -> Reply:
        return Reply(RATE_TEXT.encode(), status=403, content_type="text/plain")


def success(data: Any) -> Reply:
    """The success envelope."""
    return Reply(orjson.dumps({"status": True, "message": "SUCCESS", "errorcode": "", "data": data}))


def success_list(rows: list[bytes]) -> Reply:
    """The success envelope around rows that are JSON already; null around none."""
    data = b"[" + b",".join(rows) + b"]" if rows else b"null"
    return Reply(b'{"status":true,"message":"SUCCESS","errorcode":"","data":' + data + b"}")


def invalid_token() -> AngelError:
    return AngelError("AG8001", "Invalid Token")


def bad_input(message: str = SOMETHING_WRONG) -> AngelError:
    """What the broker says of most fields it cannot use."""
    return AngelError("AB1004", message)


# No code is documented where there is none here; the words are those of the order management system behind it.
_REFUSALS: dict[Reason, tuple[str, str]] = {
    Reason.UNKNOWN_INSTRUMENT: ("AB1009", "Symbol Not Found"),
    Reason.NOT_TRADABLE: ("AB1009", "Symbol Not Found"),
    Reason.BAD_PRODUCT: ("AB1012", "Invalid Product Type"),
    Reason.STOP_MARKET_NOT_ALLOWED: ("AB1008", "Invalid Order Variety"),
    Reason.UNKNOWN_ORDER: ("AB1013", "Order not found"),
    Reason.ORDER_DONE: ("AB1013", "Order not found: it is {status} and can no longer be changed"),
    Reason.TOO_MANY_MODIFICATIONS: ("", "Maximum allowed order modifications exceeded."),
    Reason.NO_POSITION: ("AB1017", "Position conversion failed"),
}
# Rejections that come after an order was taken, as the order book shows them in `text`.
_REJECTIONS: dict[Reason, str] = {
    Reason.NO_FUNDS: (
        "Your order has been rejected due to Insufficient Funds. Available funds - Rs. {available} . "
        "You require Rs. {required} funds to execute this order."
    ),
    Reason.NO_HOLDINGS: "Your order has been rejected: {sellable} of {quantity} shares are in your holdings.",
    Reason.NOT_A_TICK: "16283 : The order price is not a multiple of the tick size {tick}.",
    Reason.ABOVE_CIRCUIT: "17070 : The price is out of the current execution range: upper limit {limit}.",
    Reason.BELOW_CIRCUIT: "17070 : The price is out of the current execution range: lower limit {limit}.",
    Reason.BAD_PRICE: "16283 : The order price is not valid.",
    Reason.NOT_A_LOT: "The quantity is not a multiple of the lot size {lot}.",
    Reason.ABOVE_FREEZE: "The quantity is above the freeze limit {freeze}.",
    Reason.MARKET_CLOSED: "The market is closed.",
    Reason.BAD_TRIGGER: "The trigger price is not valid.",
    Reason.TRIGGER_BEYOND_LIMIT: "The trigger price is beyond the limit price.",
    Reason.TRIGGER_ALREADY_HIT: "The trigger price is on the wrong side of the last price {last}.",
}
_IN_RUPEES = {"limit", "tick", "required", "available", "last"}


def refusal_error(refusal: Refusal) -> AngelError:
    """The engine's refusal in this broker's words."""
    code, template = _REFUSALS.get(refusal.reason, ("AB1004", SOMETHING_WRONG))
    return AngelError(code, template.format(**_details(refusal)))


def rejection(refusal: Refusal) -> str | None:
    """What the order book says of an order that was taken and then rejected; None where the broker refuses at once."""
    template = _REJECTIONS.get(refusal.reason)
    return None if template is None else template.format(**_details(refusal))


def _details(refusal: Refusal) -> dict[str, int | str]:
    return {
        name: f"{rupees(value):.2f}" if name in _IN_RUPEES and isinstance(value, int) else value
        for name, value in refusal.details.items()
    }


class AngelWords:
    """Implements `common.words.Words`."""

    def not_logged_in(self) -> AngelError:
        return invalid_token()

    def too_many_requests(self, kind: str) -> RateError:
        return RateError()

    def refused(self, kind: str, refusal: Refusal) -> AngelError:
        return refusal_error(refusal)

    def broken(self) -> AngelError:
        return AngelError("AB2001", "Internal Error, Please Try After Sometime", status=500)

    def wrong_answer(self, kind: str, fault: Fault) -> Reply:
        message = fault.settings.get("message")
        match fault.kind:
            case "status_500":
                return AngelError("AB2001", message or "Internal Error, Please Try After Sometime", status=500).reply()
            case "status_503":
                return Reply(b"<html><body><h1>503 Service Unavailable</h1></body></html>", status=503, content_type="text/html")
            case "status_429":
                return RateError().reply()
            case "ok_with_error_inside":
                return AngelError(_code(fault, "AB1004"), message or SOMETHING_WRONG).reply()
            case "timeout_400":
                # The web firewall's other answer, seen where a request had gone through all the same.
                return Reply(b"", status=400, content_type="text/plain")
            case "token_expired":
                return AngelError("AG8002", "Token Expired").reply()
            case "ip_refused":
                text = "Access denied: Unregistered IP address. Register your IP before retrying."
                return AngelError("AG7002", message or text).reply()
            case "reject_sync":
                return AngelError(
                    _code(fault, "AB4036"), message or "The order was refused.", status=int(fault.settings.get("status", 200))
                ).reply()
        raise AssertionError(f"no answer for the fault {fault.kind}")


def _code(fault: Fault, otherwise: str) -> str:
    return str(fault.settings.get("error_type", otherwise))
