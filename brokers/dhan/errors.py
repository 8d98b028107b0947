"""What Dhan's answers mean. Writes: Placed or Accepted, Refused, or Unknown. Reads: the data, or one of the port's errors.

A success has no envelope; an error is `{"errorType", "errorCode", "errorMessage"}`, at the data calls also
`{"status": "failed", "data": {code: text}}`. The spelling of `errorType` varies, so nothing depends on it. A refusal counts as
definite only with a 4xx status and a code after which no order can exist; everything else leaves the matter open, and only the
order book closes it.
"""

from dataclasses import dataclass

from brokers.answers import Answered, WireResult, complete, outcome_of
from brokers.exact_json import parse_json
from trading.orders import Accepted, ChangeOutcome, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

DEFINITE: dict[str, RefusalKind] = {
    "DH-901": RefusalKind.SESSION,
    "DH-902": RefusalKind.PERMISSION,
    "DH-903": RefusalKind.PERMISSION,
    "DH-904": RefusalKind.RATE_LIMIT,
    "DH-905": RefusalKind.INPUT,
    "DH-906": RefusalKind.INPUT,
    "DH-907": RefusalKind.INPUT,
    "DH-911": RefusalKind.PERMISSION,
    "804": RefusalKind.INPUT,
    "805": RefusalKind.RATE_LIMIT,
    "806": RefusalKind.PERMISSION,
    "807": RefusalKind.SESSION,
    "808": RefusalKind.SESSION,
    "809": RefusalKind.SESSION,
    "810": RefusalKind.SESSION,
    "811": RefusalKind.INPUT,
    "812": RefusalKind.INPUT,
    "813": RefusalKind.INPUT,
    "814": RefusalKind.INPUT,
}
# Known, and after them an order may exist all the same: the broker's own failures.
INDEFINITE = frozenset({"DH-908", "DH-909", "DH-910", "800"})
# A list that is empty is answered with this code, as an error.
NOTHING_THERE = "DH-1111"

_DOUBTFUL = ("timed out", "timeout", "order book", "orderbook", "status unknown")
# One code covers many reasons; these are told apart by their text alone.
_MARGIN = ("insufficient fund", "insufficient balance", "insufficient margin", "margin shortfall", "funds are insufficient")
_HOLDING = ("holding", "edis", "insufficient stock", "insufficient quantity")
_BUSY = ("being processed", "in process", "in transit", "try again later", "try later", "request is pending")
_BUDGET = ("modification limit", "number of modifications", "maximum modification", "modifications exceeded", "25 times")
_GONE = (
    "already",
    "cannot be modified",
    "cannot be cancelled",
    "can not be modified",
    "can not be cancelled",
    "not be modified",
    "not be cancelled",
    "no longer",
    "is traded",
    "is cancelled",
    "is rejected",
    "not found",
    "no such order",
    "not in pending",
)


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str

    def says(self, phrases: tuple[str, ...]) -> bool:
        return any(phrase in self.message.lower() for phrase in phrases)


def failure(value: object) -> Failure | None:
    """The error in an answer, in either shape; None for anything else."""
    if not isinstance(value, dict):
        return None
    code = value.get("errorCode")
    if isinstance(code, str | int) and code:
        message = value.get("errorMessage")
        return Failure(str(code), message if isinstance(message, str) else str(code))
    inside, message = value.get("data"), value.get("message")
    if _says_failed(value) and isinstance(inside, dict) and inside:
        found, text = next(iter(inside.items()))
        return Failure(str(found), text if isinstance(text, str) else str(found))
    if _says_failed(value) and isinstance(message, str):
        # Without a code it refuses nothing for certain, but for a login.
        return Failure("", message)
    return None


def _says_failed(value: object) -> bool:
    return isinstance(value, dict) and str(value.get("status")).lower() in ("failed", "failure", "error")


def _parsed(body: bytes) -> object:
    """None for what is not JSON, as for `null`: both say nothing."""
    try:
        return parse_json(body)
    except ValueError:
        return None


def _failure(answer: Answered) -> Failure | None:
    return failure(_parsed(answer.body))


def place_outcome(result: WireResult) -> PlaceOutcome:
    """An answer with an order id is an order, also when it says REJECTED: the book holds it under its tag."""
    return outcome_of(result, _placed)


def _placed(answer: Answered) -> PlaceOutcome:
    if _is_success(answer):
        order_id = _order_id(answer)
        return Placed(order_id) if order_id else Unknown(f"HTTP {answer.status} without an order id")
    return _refusal(answer) or Unknown(_summary(answer))


def change_outcome(result: WireResult) -> ChangeOutcome:
    """For modify and cancel. Accepted means taken, not done: the book says whether it came to pass."""
    return outcome_of(result, _changed)


def _changed(answer: Answered) -> ChangeOutcome:
    if _is_success(answer):
        return Accepted() if _order_id(answer) else Unknown(f"HTTP {answer.status} without an order id")
    return _change_refusal(answer) or _refusal(answer) or Unknown(_summary(answer))


def _is_success(answer: Answered) -> bool:
    return 200 <= answer.status < 300


def _order_id(answer: Answered) -> str | None:
    value = _unwrapped(_parsed(answer.body))
    if not isinstance(value, dict) or failure(value) is not None:
        return None
    order_id = value.get("orderId")
    if isinstance(order_id, int) and not isinstance(order_id, bool):
        return str(order_id)
    return order_id if isinstance(order_id, str) and order_id else None


def _unwrapped(value: object) -> object:
    """The data of `{"status": "success", "data": ...}`, which some calls and some servers put around it."""
    if isinstance(value, dict) and str(value.get("status")).lower() == "success" and "data" in value:
        return value["data"]
    return value


def _refusal(answer: Answered) -> Refused | None:
    """A definite no, or None when an order may exist."""
    found = _failure(answer)
    if answer.status == 429:
        # The gateway's refusal, in whatever shape: the request went no further.
        return Refused(RefusalKind.RATE_LIMIT, found.message if found else "too many requests")
    if found is None or not 400 <= answer.status < 500 or found.says(_DOUBTFUL):
        return None
    kind = DEFINITE.get(found.code)
    return Refused(_reason(found, kind), found.message) if kind else None


def _reason(found: Failure, kind: RefusalKind) -> RefusalKind:
    if kind is RefusalKind.INPUT and found.says(_MARGIN):
        return RefusalKind.MARGIN
    if kind is RefusalKind.INPUT and found.says(_HOLDING):
        return RefusalKind.HOLDING
    return kind


def _change_refusal(answer: Answered) -> Refused | None:
    """Refusals that only a change of an order can meet; they share their codes with others and differ by their text."""
    found = _failure(answer)
    if found is None or not 400 <= answer.status < 500 or found.says(_DOUBTFUL):
        return None
    if found.says(_BUDGET):
        return Refused(RefusalKind.BUDGET, found.message)
    if DEFINITE.get(found.code) is not RefusalKind.INPUT:
        return None
    if found.says(_BUSY):
        return Refused(RefusalKind.BUSY, found.message)
    if found.says(_GONE):
        return Refused(RefusalKind.GONE, found.message)
    return None


def read_data(result: WireResult) -> object:
    """What a successful read holds; otherwise raises per the port's error tree."""
    answer = complete(result)
    value = _parsed(answer.body)
    found = failure(value)
    # The data calls may put their refusals into an answer that is a success by its status.
    if found is not None and (400 <= answer.status < 500 or (_is_success(answer) and _says_failed(value))):
        _raise_for(found, answer=answer)
    elif answer.status == 401:
        raise SessionExpired("the broker does not accept the access token")
    elif _is_success(answer):
        if value is None or found is not None:
            raise UnreadableAnswer(_summary(answer))
        return _unwrapped(value)
    raise BrokerUnavailable(_summary(answer))


def read_list(result: WireResult) -> object:
    """As `read_data`, for holdings: having none is an error there, with a code of its own and any status. The order book is not
    read so: a book that an error calls empty must not prove an order absent."""
    found = _failure(result) if isinstance(result, Answered) else None
    return [] if found is not None and found.code == NOTHING_THERE else read_data(result)


def _raise_for(found: Failure, *, answer: Answered) -> None:
    """What a failure says for certain. Nothing certain: returns."""
    if answer.status == 429 or found.says(_DOUBTFUL):
        return
    kind = DEFINITE.get(found.code)
    if kind is RefusalKind.SESSION or (answer.status == 401 and kind is None):
        raise SessionExpired(found.message)
    if kind is not None and kind is not RefusalKind.RATE_LIMIT:
        raise BrokerRefused(found.message)


def not_there(result: WireResult) -> bool:
    """Whether a lookup was answered with 'there is none': an error that says so, or a 404 that is empty or JSON of whatever
    form. A 404 of anything else may come from something in between."""
    if not isinstance(result, Answered) or not 400 <= result.status < 500:
        return False
    if result.status == 404:
        return not result.body or _parsed(result.body) is not None
    found = _failure(result)
    return found is not None and (found.code == NOTHING_THERE or (found.code == "DH-907" and not found.says(_DOUBTFUL)))


def login_data(result: WireResult) -> object:
    """As `read_data`, for logins: there a bad token, PIN or code is a refusal, whatever its code."""
    try:
        return read_data(result)
    except SessionExpired as expired:
        raise BrokerRefused(str(expired)) from None
    except BrokerUnavailable:
        found = _failure(result) if isinstance(result, Answered) and result.status < 429 else None
        if found is None or found.code in INDEFINITE:
            raise
        raise BrokerRefused(found.message) from None


def _summary(answer: Answered) -> str:
    found = _failure(answer)
    if found is not None:
        return f"HTTP {answer.status}: {found.code}: {found.message}"
    return f"HTTP {answer.status}, {answer.content_type}, not an answer of DhanHQ"
