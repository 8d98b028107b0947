"""What SmartAPI's answers mean. Writes: Placed or Accepted, Refused, or Unknown. Reads: the data, or one of the port's errors.

The HTTP status says little here: most errors come with 200, the rate limit with 403 and plain text, and such a text has been seen
where the order was placed all the same. So a refusal counts as definite only when it is JSON with a code after which no order can
exist; everything else leaves the matter open, and only the order book closes it.
"""

from dataclasses import dataclass
from typing import TypeAlias

from brokers.answers import Answered, WireResult, complete, outcome_of
from brokers.exact_json import parse_json
from trading.orders import Accepted, ChangeOutcome, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

SESSION_CODES = frozenset({"AG8001", "AG8002", "AG8003", "AB8050", "AB8051", "AB1010", "AB1011"})
DEFINITE: dict[str, RefusalKind] = dict.fromkeys(SESSION_CODES, RefusalKind.SESSION) | {
    "AG7002": RefusalKind.PERMISSION,  # the address is not registered for this key
    "AB1006": RefusalKind.PERMISSION,  # the client is blocked for trading
    "AB2002": RefusalKind.PERMISSION,  # bracket orders are blocked
    "AB1008": RefusalKind.INPUT,  # variety
    "AB1009": RefusalKind.INPUT,  # symbol not found
    "AB1012": RefusalKind.INPUT,  # product
    "AB1018": RefusalKind.INPUT,  # symbol not found
    "AB4008": RefusalKind.INPUT,  # tag too long
    "AB4018": RefusalKind.INPUT,  # symbol token empty
    "AB4036": RefusalKind.INPUT,  # under surveillance, needs the user's consent
}
# Known, and after them an order may exist all the same.
INDEFINITE = frozenset({"AB1004", "AB2000", "AB2001"})
LOGIN_CODES = frozenset({"AB1000", "AB1001", "AB1002", "AB1003", "AB1005", "AB1007", "AB1050"})
NO_ORDER, NO_TRADE, NO_HOLDING, NO_POSITION = "AB1013", "AB1014", "AB1015", "AB1016"

# The wording of refused changes is not documented; these are the order management system's own, as seen at other brokers with it.
_BUSY = ("being processed",)
_BUDGET = ("modifications exceeded", "modification limit", "maximum allowed order modification")
_GONE = ("cannot be modified", "cannot be cancelled", "no longer be", "is already", "already been", "order not found")
_RATE = ("exceeding access rate", "too many requests")
ADDRESS_REFUSED = "AG7002"


@dataclass(frozen=True, slots=True)
class Success:
    data: object


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str

    def says(self, phrases: tuple[str, ...]) -> bool:
        return any(phrase in self.message.lower() for phrase in phrases)

    @property
    def words(self) -> str:
        """The broker's own, code included: support asks for it."""
        return f"{self.message or 'no reason given'} ({self.code})" if self.code else self.message or "no reason given"


Envelope: TypeAlias = Success | Failure


def envelope(body: bytes) -> Envelope | None:
    """SmartAPI's envelope in either spelling, or None for anything else: plain text, HTML, half an answer."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    state = value.get("status", value.get("success"))
    code = value.get("errorcode", value.get("errorCode")) or ""
    message = value.get("message") or ""
    if not isinstance(code, str) or not isinstance(message, str):
        return None
    if state in (True, "true") and not code and "data" in value:
        return Success(value["data"])
    if state in (False, "false"):
        return Failure(code.strip().upper(), message)
    return None


def place_outcome(result: WireResult) -> PlaceOutcome:
    return outcome_of(result, _placed)


def _placed(answer: Answered) -> PlaceOutcome:
    order_id = accepted_order_id(answer)
    return Placed(order_id) if order_id else _refusal(answer) or Unknown(summary(answer))


def change_outcome(result: WireResult) -> ChangeOutcome:
    """For modify and cancel. Accepted means taken, not done: the book says whether it came to pass."""
    return outcome_of(result, _changed)


def _changed(answer: Answered) -> ChangeOutcome:
    if accepted_order_id(answer):
        return Accepted()
    return _change_refusal(answer) or _refusal(answer) or Unknown(summary(answer))


def accepted_order_id(result: WireResult) -> str | None:
    """The order's id in an answer that says yes; None for every other answer."""
    data = accepted_data(result)
    order_id = data.get("orderid") if data is not None else None
    if isinstance(order_id, int) and not isinstance(order_id, bool):
        return str(order_id)
    return order_id if isinstance(order_id, str) and order_id else None


def accepted_data(result: WireResult) -> dict[str, object] | None:
    if not isinstance(result, Answered) or result.status != 200:
        return None
    found = envelope(result.body)
    return found.data if isinstance(found, Success) and isinstance(found.data, dict) else None


def _clear_failure(answer: Answered) -> Failure | None:
    """A failure in the broker's own form, from the broker's own software: gateways answer 3xx and 5xx."""
    found = envelope(answer.body)
    clear = answer.status == 200 or 400 <= answer.status < 500
    return found if clear and isinstance(found, Failure) else None


def _refusal(answer: Answered) -> Refused | None:
    """A definite no, or None when an order may exist."""
    failure = _clear_failure(answer)
    kind = DEFINITE.get(failure.code) if failure is not None else None
    return Refused(kind, failure.words) if failure is not None and kind is not None else None


def _change_refusal(answer: Answered) -> Refused | None:
    """Refusals that only a change of an order can meet."""
    failure = _clear_failure(answer)
    if failure is None or failure.code in INDEFINITE:
        return None
    if failure.says(_BUDGET):
        return Refused(RefusalKind.BUDGET, failure.words)
    if failure.says(_BUSY):
        return Refused(RefusalKind.BUSY, failure.words)
    if failure.code == NO_ORDER or failure.says(_GONE):
        return Refused(RefusalKind.GONE, failure.words)
    return None


def read_data(result: WireResult) -> object:
    """The `data` of a successful read, null included; otherwise raises per the port's error tree."""
    answer = complete(result)
    found = envelope(answer.body)
    if isinstance(found, Success) and answer.status == 200:
        return found.data
    failure = _clear_failure(answer)
    if failure is not None:
        raise _read_error(failure)
    if answer.status == 200:
        raise UnreadableAnswer(summary(answer))
    raise BrokerUnavailable(summary(answer))


def read_list(result: WireResult, *, nothing: str | None = None) -> object:
    """As `read_data`, for a list: null means that it is empty, and so does the code `nothing` where the broker has one.

    The order book has none: a book that is called empty by an error must not prove an order absent.
    """
    failure = _clear_failure(result) if isinstance(result, Answered) else None
    if failure is not None and nothing is not None and failure.code == nothing:
        return []
    data = read_data(result)
    return [] if data in (None, "") else data


def _read_error(failure: Failure) -> Exception:
    if failure.code in SESSION_CODES:
        return SessionExpired(failure.words)
    if failure.code in DEFINITE or failure.code in LOGIN_CODES or failure.code in (NO_ORDER, NO_HOLDING):
        return BrokerRefused(failure.words)
    return BrokerUnavailable(failure.words)


def login_data(result: WireResult) -> object:
    """As `read_data`, for a login: there a session code means a wrong or used code, PIN or token."""
    try:
        return read_data(result)
    except SessionExpired as expired:
        raise BrokerRefused(str(expired)) from None


def summary(answer: Answered) -> str:
    found = envelope(answer.body)
    if isinstance(found, Failure):
        return f"HTTP {answer.status}: {found.words}"
    if any(phrase in answer.body[:500].decode(errors="replace").lower() for phrase in _RATE):
        return f"HTTP {answer.status}: over the broker's access rate"
    return f"HTTP {answer.status}, {answer.content_type}, not an answer of SmartAPI"
