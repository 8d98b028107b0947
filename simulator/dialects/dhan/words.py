"""What DhanHQ says when something is wrong (documentation, Annexure: "Trading API error", "Data API error")."""

from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.errors import (
    TIMED_OUT,
    DataError,
    DhanError,
    bad_input,
    dead_token,
    refusal_error,
    too_many_requests,
    wrong_address,
)
from simulator.exchange.refusals import Refusal
from simulator.faults import Fault


class DhanWords:
    """Implements `common.words.Words`."""

    def not_logged_in(self) -> DhanError:
        return dead_token()

    def too_many_requests(self, kind: str) -> DhanError:
        return too_many_requests(kind)

    def refused(self, kind: str, refusal: Refusal) -> DhanError:
        return refusal_error(refusal)

    def broken(self) -> DhanError:
        return DhanError(500, "DH-908", "Something went wrong in the simulator; see its output.")

    def wrong_answer(self, kind: str, fault: Fault) -> Reply:
        message = fault.settings.get("message")
        match fault.kind:
            case "status_500":
                return DhanError(500, "DH-908", message or "Internal Server Error").reply()
            case "status_503":
                return DhanError(503, "DH-909", message or "The API was unable to communicate with the backend system.").reply()
            case "status_429":
                return too_many_requests(kind).reply()
            case "timeout_400":
                return DhanError(400, "DH-906", TIMED_OUT).reply()
            case "ok_with_error_inside":
                return bad_input(message or "Something went wrong.").reply_with(200)
            case "token_expired":
                return (DataError(401, "807", "Access token is expired") if kind == "quote" else dead_token()).reply()
            case "ip_refused":
                return wrong_address().reply()
            case "reject_sync":
                code = fault.settings.get("error_type", "DH-906")
                return DhanError(int(fault.settings.get("status", 400)), code, message or "The order was refused.").reply()
        raise AssertionError(f"no answer for the fault {fault.kind}")
