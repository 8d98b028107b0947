"""What every dialect must be able to say, each in its own form."""

from typing import Protocol

from simulator.dialects.common.reply import Reply, WireError
from simulator.exchange.refusals import Refusal
from simulator.faults import Fault


class Words(Protocol):
    """`kind` is the endpoint, by its name among the faults."""

    def not_logged_in(self) -> WireError: ...

    def too_many_requests(self, kind: str) -> WireError: ...

    def refused(self, kind: str, refusal: Refusal) -> WireError:
        """The engine's refusal in this broker's words."""

    def broken(self) -> WireError:
        """A defect of the simulator, said as the broker says it of its own."""

    def wrong_answer(self, kind: str, fault: Fault) -> Reply:
        """The answer a transport fault makes: `status_500`, `status_503`, `status_429`, `ok_with_error_inside`, `timeout_400`,
        `token_expired`, `ip_refused`, `reject_sync`. The other kinds of that family are the same in every dialect."""
