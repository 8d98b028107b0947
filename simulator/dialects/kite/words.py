"""What Kite Connect says when something is wrong (documentation, "Exceptions and errors")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.envelope import KiteError, failure, refusal_error, token_error, too_many_requests
from simulator.exchange.refusals import Refusal
from simulator.faults import Fault

TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."


class KiteWords:
    """Implements `common.words.Words`."""

    def not_logged_in(self) -> KiteError:
        return token_error()

    def too_many_requests(self, kind: str) -> KiteError:
        return too_many_requests()

    def refused(self, kind: str, refusal: Refusal) -> KiteError:
        return refusal_error(refusal)

    def broken(self) -> KiteError:
        return KiteError(500, "GeneralException", "Something went wrong in the simulator; see its output.")

    def wrong_answer(self, kind: str, fault: Fault) -> Reply:
        message = fault.settings.get("message")
        match fault.kind:
            case "status_500":
                return failure(KiteError(500, "GeneralException", message or "Something went wrong. Try again later."))
            case "status_503":
                return failure(KiteError(503, "NetworkException", message or "The order management system is not reachable."))
            case "status_429":
                return failure(too_many_requests())
            case "timeout_400":
                return failure(KiteError(400, "OrderException", TIMED_OUT))
            case "ok_with_error_inside":
                error_type = fault.settings.get("error_type", "GeneralException")
                return failure(KiteError(200, error_type, message or "Something went wrong."))
            case "token_expired":
                return failure(token_error())
            case "ip_refused":
                text = message or "IP (127.0.0.1) is not allowed to place orders for this app."
                return failure(KiteError(403, "PermissionException", text))
            case "reject_sync":
                status, error_type = int(fault.settings.get("status", 400)), fault.settings.get("error_type", "OrderException")
                return failure(KiteError(status, error_type, message or "The order was refused."))
        raise AssertionError(f"no answer for the fault {fault.kind}")
