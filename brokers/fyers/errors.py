"""What Fyers' answers mean. Writes: Placed or Accepted, Refused, or Unknown. Reads: the payload, or one of the port's errors.

The HTTP status that comes with most codes is not documented, so a refusal counts as definite by its code: one after which no
order can exist, in a well-formed envelope that is not a server's error. Everything else leaves the matter open, and only the
order book closes it.
"""

from dataclasses import dataclass
from typing import TypeAlias

from brokers.answers import Answered, WireResult, complete, outcome_of
from brokers.exact_json import parse_json
from brokers.fields import Row
from brokers.fyers.numbers import whole
from trading.orders import Accepted, ChangeOutcome, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

# "The request went out and nothing acknowledged it": the order may be at the exchange.
NO_ACKNOWLEDGEMENT = 201
UNKNOWN_ORDER = -51
BAD_SYMBOL = -300
REJECTED = -99

SESSION_CODES = frozenset({-8, -15, -16, -17, -352})
RATE_CODES = frozenset({-429, -353})
# Known, and after them an order may exist all the same: trouble at the broker, or between broker and exchange.
INDEFINITE = frozenset({-96, -201, -202, -204, -205, 500})
_DEFINITE: dict[int, RefusalKind] = {
    -373: RefusalKind.PERMISSION,
    -50: RefusalKind.INPUT,
    BAD_SYMBOL: RefusalKind.INPUT,
    # The text tells which: money, shares, a price beyond the limits.
    REJECTED: RefusalKind.OTHER,
}
# Older numbers for an order that has been cancelled, traded, rejected.
_GONE_CODES = frozenset({-161, -162, -164})

# Refused before the order is looked at: an old app id (it does not end in -200), or an address that is not registered.
_NOT_ALLOWED = ("not allowed from this app", "order placement restricted", "whitelist", "static ip", "ip address")
_MARGIN = ("margin shortfall", "insufficient fund", "insufficient margin", "insufficient balance")
_HOLDING = ("holding", "edis", "e-dis", "t1 quantity")
_PRICE = ("circuit limit", "price band", "tick size")
_DOUBTFUL = ("timed out", "timeout", "orderbook", "order book", "no response")
_BUSY = ("being processed", "under process", "in transit", "transit state", "pending confirmation")
_BUDGET = ("modification limit", "maximum allowed order modifications", "modifications exceeded", "maximum modification")
_GONE = ("already", "cannot be modified", "cannot be cancelled", "can not be modified", "can not be cancelled", "not open")


@dataclass(frozen=True, slots=True)
class Success:
    """`body` is the whole envelope: each call has a payload key of its own."""

    code: int
    body: Row


@dataclass(frozen=True, slots=True)
class Failure:
    code: int
    message: str
    body: Row

    def says(self, phrases: tuple[str, ...]) -> bool:
        return any(phrase in self.message.lower() for phrase in phrases)

    @property
    def is_rate_limit(self) -> bool:
        return self.code in RATE_CODES


Envelope: TypeAlias = Success | Failure


def envelope(body: bytes) -> Envelope | None:
    """Fyers' envelope, or None for anything else: HTML, half an answer, another protocol. Market data may leave the code out."""
    try:
        value = parse_json(body)
        if not isinstance(value, dict):
            return None
        kind, message = value.get("s"), value.get("message")
        if kind == "ok":
            return Success(whole(value.get("code", 200), "code"), value)
        if kind == "error":
            return Failure(whole(value.get("code"), "code"), message if isinstance(message, str) else "", value)
    except (ValueError, UnreadableAnswer):
        return None
    return None


def place_outcome(result: WireResult) -> PlaceOutcome:
    return outcome_of(result, _placed)


def _placed(answer: Answered) -> PlaceOutcome:
    found = envelope(answer.body)
    if answer.status == 200 and isinstance(found, Success):
        order_id = _order_id(found.body)
        if found.code == NO_ACKNOWLEDGEMENT:
            return Unknown("the broker sent the order on and heard nothing back (code 201)")
        return Placed(order_id) if order_id else Unknown("HTTP 200 without an order id")
    if isinstance(found, Failure) and found.code == REJECTED and (order_id := _order_id(found.body)):
        # It got a number before it was rejected: the book shows it as what it is.
        return Placed(order_id)
    return _refusal(answer) or Unknown(_summary(answer))


def change_outcome(result: WireResult) -> ChangeOutcome:
    """For modify and cancel. Accepted means taken, not done: the book says whether it came to pass."""
    return outcome_of(result, _changed)


def _changed(answer: Answered) -> ChangeOutcome:
    found = envelope(answer.body)
    if answer.status == 200 and isinstance(found, Success):
        if found.code == NO_ACKNOWLEDGEMENT:
            return Unknown("the broker sent the change on and heard nothing back (code 201)")
        return Accepted() if _order_id(found.body) or found.code in _CHANGED else Unknown("HTTP 200 without an order id")
    return _change_refusal(answer) or _refusal(answer) or Unknown(_summary(answer))


# Modified, cancelled; the documentation's sample of a modification has the first.
_CHANGED = frozenset({1101, 1102, 1103})


def _order_id(body: Row) -> str | None:
    value = body.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _refusal(answer: Answered) -> Refused | None:
    """A definite no, or None when an order may exist."""
    failure = envelope(answer.body)
    if answer.status == 429:
        # The gateway's refusal, in whatever shape: the request went no further.
        return Refused(RefusalKind.RATE_LIMIT, _words(failure) or "too many requests")
    if not isinstance(failure, Failure) or not (answer.status == 200 or 400 <= answer.status < 500):
        return None
    kind = _kind(failure, unauthorized=answer.status == 401)
    return Refused(kind, _words(failure) or f"refused with code {failure.code}") if kind else None


def _kind(failure: Failure, *, unauthorized: bool) -> RefusalKind | None:
    if failure.is_rate_limit:
        return RefusalKind.RATE_LIMIT
    if failure.code in SESSION_CODES or unauthorized:
        return RefusalKind.SESSION
    if failure.code in INDEFINITE or failure.says(_DOUBTFUL):
        return None
    if failure.code in (-50, REJECTED) and failure.says(_NOT_ALLOWED):
        return RefusalKind.PERMISSION
    if failure.code == REJECTED and failure.says(_MARGIN):
        return RefusalKind.MARGIN
    if failure.code == REJECTED and failure.says(_HOLDING):
        return RefusalKind.HOLDING
    if failure.code == REJECTED and failure.says(_PRICE):
        return RefusalKind.INPUT
    return _DEFINITE.get(failure.code)


def _change_refusal(answer: Answered) -> Refused | None:
    """Refusals that only a change of an order can meet; most are told apart by their text alone."""
    failure = envelope(answer.body)
    if not isinstance(failure, Failure) or not (answer.status == 200 or 400 <= answer.status < 500):
        return None
    message = _words(failure) or f"refused with code {failure.code}"
    if failure.code in _GONE_CODES:
        return Refused(RefusalKind.GONE, message)
    if failure.code == UNKNOWN_ORDER:
        # We only change orders the broker gave us the number of. A new one may not be found for some seconds.
        return Refused(RefusalKind.BUSY, message)
    if failure.code not in _DEFINITE or answer.status == 429 or failure.says(_DOUBTFUL):
        return None
    if failure.says(_BUDGET):
        return Refused(RefusalKind.BUDGET, message)
    if failure.says(_BUSY):
        return Refused(RefusalKind.BUSY, message)
    if failure.says(_GONE):
        return Refused(RefusalKind.GONE, message)
    return None


def read_body(result: WireResult) -> Row:
    """The envelope of a successful read; otherwise raises per the port's error tree."""
    answer = complete(result)
    found = envelope(answer.body)
    if answer.status == 200 and isinstance(found, Success):
        return found.body
    if isinstance(found, Failure) and (found.code in SESSION_CODES or answer.status == 401):
        raise SessionExpired(_words(found) or _summary(answer))
    if answer.status == 429 or (isinstance(found, Failure) and found.is_rate_limit):
        raise BrokerUnavailable(_summary(answer))
    if answer.status == 200:
        raise UnreadableAnswer(_summary(answer))
    if not 400 <= answer.status < 500 or not isinstance(found, Failure):
        raise BrokerUnavailable(_summary(answer))
    if found.code in _DEFINITE or found.code == UNKNOWN_ORDER:
        raise BrokerRefused(_words(found) or _summary(answer))
    raise BrokerUnavailable(_summary(answer))


def is_minute_breach(answer: Answered) -> bool:
    """Whether an answer says that there were too many calls, and not merely too many at once: that passes within a second."""
    found = envelope(answer.body) if answer.status != 200 else None
    if answer.status != 429 and not (isinstance(found, Failure) and found.is_rate_limit):
        return False
    return not _passes_at_once(answer)


def _passes_at_once(answer: Answered) -> bool:
    milliseconds, seconds = (answer.headers.get(name, "") for name in ("x-retry-after-ms", "retry-after"))
    if milliseconds.isdecimal():
        return int(milliseconds) <= 1_000
    return seconds.isdecimal() and int(seconds) <= 1


def login_body(result: WireResult) -> Row:
    """As `read_body`, for the exchange of a login: there a session error means a wrong secret or a used code."""
    try:
        return read_body(result)
    except SessionExpired as expired:
        raise BrokerRefused(str(expired)) from None


def _words(found: Envelope | None) -> str:
    return found.message if isinstance(found, Failure) else ""


def _summary(answer: Answered) -> str:
    found = envelope(answer.body)
    if isinstance(found, Failure):
        return f"HTTP {answer.status}: code {found.code}: {found.message}"
    return f"HTTP {answer.status}, {answer.content_type}, not an answer of Fyers"
