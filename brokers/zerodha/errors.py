"""What Kite's answers mean. Writes: Placed or Accepted, Refused, or Unknown. Reads: the data, or one of the port's errors.

A refusal counts as definite only when its envelope is well-formed and its error type is one after which no order can exist;
everything else leaves the matter open, and only the order book closes it.
"""

from dataclasses import dataclass
from typing import TypeAlias

from brokers.answers import Answered, WireResult, complete, outcome_of
from brokers.exact_json import parse_json
from trading.orders import Accepted, ChangeOutcome, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

DEFINITE: dict[str, RefusalKind] = {
    "TokenException": RefusalKind.SESSION,
    "PermissionException": RefusalKind.PERMISSION,
    "UserException": RefusalKind.PERMISSION,
    "InputException": RefusalKind.INPUT,
    "MarginException": RefusalKind.MARGIN,
    "HoldingException": RefusalKind.HOLDING,
}
# Known, and after them an order may exist all the same.
INDEFINITE = frozenset({"OrderException", "NetworkException", "DataException", "GeneralException"})

# A 400 with such a text has been seen where the order was placed seconds later.
_DOUBTFUL = ("timed out", "order book", "status unknown")
_BUSY = ("being processed",)
_BUDGET = ("maximum allowed order modifications exceeded",)
# The wording for an order that has ended is not documented; these are read after _BUSY, whose text they would match too.
_GONE = ("cannot be modified", "cannot be cancelled", "no longer be", "is already", "couldn't find that")
_NO_SUCH_ORDER = ("couldn't find that",)


@dataclass(frozen=True, slots=True)
class Success:
    data: object


@dataclass(frozen=True, slots=True)
class Failure:
    error_type: str
    message: str

    def says(self, phrases: tuple[str, ...]) -> bool:
        return any(phrase in self.message.lower() for phrase in phrases)


Envelope: TypeAlias = Success | Failure


def envelope(body: bytes) -> Envelope | None:
    """Kite's envelope, or None for anything else: HTML, half an answer, another protocol."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if value.get("status") == "success" and "data" in value:
        return Success(value["data"])
    error_type, message = value.get("error_type"), value.get("message")
    if value.get("status") == "error" and isinstance(error_type, str) and isinstance(message, str):
        return Failure(error_type, message)
    return None


def place_outcome(result: WireResult) -> PlaceOutcome:
    return outcome_of(result, _placed)


def _placed(answer: Answered) -> PlaceOutcome:
    if answer.status == 200:
        order_id = _order_id(envelope(answer.body))
        return Placed(order_id) if order_id else Unknown("HTTP 200 without an order id")
    return _refusal(answer) or Unknown(_summary(answer))


def change_outcome(result: WireResult) -> ChangeOutcome:
    """For modify and cancel. Accepted means taken, not done: the book says whether it came to pass."""
    return outcome_of(result, _changed)


def _changed(answer: Answered) -> ChangeOutcome:
    if answer.status == 200:
        return Accepted() if _order_id(envelope(answer.body)) else Unknown("HTTP 200 without an order id")
    return _change_refusal(answer) or _refusal(answer) or Unknown(_summary(answer))


def _order_id(found: Envelope | None) -> str | None:
    if not isinstance(found, Success) or not isinstance(found.data, dict):
        return None
    order_id = found.data.get("order_id")
    return order_id if isinstance(order_id, str) and order_id else None


def _refusal(answer: Answered) -> Refused | None:
    """A definite no, or None when an order may exist."""
    failure = envelope(answer.body)
    if answer.status == 429:
        # The gateway's refusal, in whatever shape: the request went no further.
        return Refused(RefusalKind.RATE_LIMIT, failure.message if isinstance(failure, Failure) else "too many requests")
    if not isinstance(failure, Failure) or not 400 <= answer.status < 500 or failure.says(_DOUBTFUL):
        return None
    kind = DEFINITE.get(failure.error_type)
    return Refused(kind, failure.message) if kind else None


def _change_refusal(answer: Answered) -> Refused | None:
    """Refusals that only a change of an order can meet; Kite tells them apart by their text alone."""
    failure = envelope(answer.body)
    if not isinstance(failure, Failure):
        return None
    if failure.says(_BUDGET):
        return Refused(RefusalKind.BUDGET, failure.message)
    if not 400 <= answer.status < 500:
        return None
    if failure.says(_BUSY):
        return Refused(RefusalKind.BUSY, failure.message)
    if failure.says(_GONE):
        return Refused(RefusalKind.GONE, failure.message)
    return None


def read_data(result: WireResult) -> object:
    """The `data` of a successful read; otherwise raises per the port's error tree."""
    answer = complete(result)
    found = envelope(answer.body)
    if answer.status == 200:
        if isinstance(found, Success):
            return found.data
        raise UnreadableAnswer(_summary(answer))
    if answer.status == 429 or not 400 <= answer.status < 500 or not isinstance(found, Failure):
        raise BrokerUnavailable(_summary(answer))
    if found.error_type == "TokenException":
        raise SessionExpired(found.message)
    if found.error_type in DEFINITE or found.says(_NO_SUCH_ORDER):
        raise BrokerRefused(found.message)
    raise BrokerUnavailable(_summary(answer))


def login_data(result: WireResult) -> object:
    """As `read_data`, for the exchange of a login: there a TokenException means a wrong secret or a used token."""
    try:
        return read_data(result)
    except SessionExpired as expired:
        raise BrokerRefused(str(expired)) from None


def _summary(answer: Answered) -> str:
    found = envelope(answer.body)
    if isinstance(found, Failure):
        return f"HTTP {answer.status}: {found.error_type}: {found.message}"
    return f"HTTP {answer.status}, {answer.content_type}, not an answer of Kite Connect"
