"""What Fyers says when something is wrong (API v3 documentation, "Error codes")."""

import orjson

from simulator.dialects.common.reply import Reply
from simulator.dialects.fyers.envelope import FyersError, not_allowed, refusal_error, success, token_error, too_many_requests
from simulator.dialects.fyers.rates import FyersLimiter
from simulator.exchange.refusals import Refusal
from simulator.faults import Fault

_SERVER_TROUBLE = -96
_REJECTED = -99
_NO_ACKNOWLEDGEMENT = 201


class FyersWords:
    """Implements `common.words.Words`."""

    def __init__(self, limiter: FyersLimiter) -> None:
        self._limiter = limiter

    def not_logged_in(self) -> FyersError:
        return token_error()

    def too_many_requests(self, kind: str) -> FyersError:
        return too_many_requests(wait_seconds=self._limiter.wait_seconds)

    def refused(self, kind: str, refusal: Refusal) -> FyersError:
        return refusal_error(refusal)

    def broken(self) -> FyersError:
        return FyersError(500, 500, "Something went wrong in the simulator; see its output.")

    def wrong_answer(self, kind: str, fault: Fault) -> Reply:
        message = fault.settings.get("message")
        match fault.kind:
            case "status_500":
                return FyersError(500, _SERVER_TROUBLE, message or "Something went wrong. Try again later.").reply()
            case "status_503":
                return FyersError(503, 500, message or "The order management system is not reachable.").reply()
            case "status_429":
                return too_many_requests().reply()
            case "timeout_400":
                # What this broker has in its place: sent on, and nobody has answered.
                return success(code=_NO_ACKNOWLEDGEMENT, message=message or "Order request sent. Please check the order book.")
            case "ok_with_error_inside":
                inside = {"s": "error", "code": _code(fault, _SERVER_TROUBLE), "message": message or "Something went wrong."}
                return Reply(orjson.dumps(inside))
            case "token_expired":
                return token_error().reply()
            case "ip_refused":
                return (FyersError(400, -50, message) if message else not_allowed("of this address")).reply()
            case "reject_sync":
                status = int(fault.settings.get("status", 400))
                return FyersError(status, _code(fault, _REJECTED), message or "RED:RULE:{The order was refused}").reply()
        raise AssertionError(f"no answer for the fault {fault.kind}")


def _code(fault: Fault, otherwise: int) -> int:
    """`error_type` is this broker's code, as text."""
    try:
        return int(fault.settings.get("error_type", otherwise))
    except ValueError:
        return otherwise
