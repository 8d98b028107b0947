"""Every row of Kite's error tables, and every trap, against the outcome it must have."""

import json

import pytest

from brokers.answers import Answered, NoAnswer, NotSent, WireResult
from brokers.zerodha.errors import change_outcome, login_data, place_outcome, read_data
from trading.orders import Accepted, Placed, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerError, BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

HTML = b"<html><body>502 Bad Gateway</body></html>"
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
BUSY = "Order cannot be modified as it is being processed. Try later."
BUDGET = "Maximum allowed order modifications exceeded."


def answer(status: int, body: bytes | dict[str, object], *, content_type: str = "application/json") -> Answered:
    return Answered(status, content_type, body if isinstance(body, bytes) else json.dumps(body).encode(), {})


def failure(status: int, error_type: str, message: str = "words of the broker") -> Answered:
    return answer(status, {"status": "error", "message": message, "error_type": error_type, "data": None})


def success(data: object, status: int = 200) -> Answered:
    return answer(status, {"status": "success", "data": data})


PLACED = success({"order_id": "1953341975595868160"})

DEFINITE_REFUSALS: list[tuple[Answered, RefusalKind]] = [
    (failure(403, "TokenException"), RefusalKind.SESSION),
    (failure(403, "PermissionException"), RefusalKind.PERMISSION),
    (failure(403, "UserException"), RefusalKind.PERMISSION),
    (failure(400, "UserException"), RefusalKind.PERMISSION),
    (failure(400, "InputException"), RefusalKind.INPUT),
    (failure(400, "MarginException"), RefusalKind.MARGIN),
    (failure(400, "HoldingException"), RefusalKind.HOLDING),
    (failure(429, "NetworkException", "Too many requests"), RefusalKind.RATE_LIMIT),
    (answer(429, HTML, content_type="text/html"), RefusalKind.RATE_LIMIT),
]

IN_DOUBT: list[WireResult] = [
    NoAnswer("timed out"),
    failure(400, "InputException", TIMED_OUT),
    failure(400, "OrderException", TIMED_OUT),
    failure(400, "OrderException"),
    failure(500, "OrderException"),
    failure(503, "NetworkException"),
    failure(400, "NetworkException"),
    failure(502, "DataException"),
    failure(500, "GeneralException"),
    failure(400, "GeneralException"),
    failure(500, "InputException"),
    failure(503, "TokenException"),
    failure(400, "SomethingNewException"),
    failure(200, "MarginException"),
    failure(504, "NetworkException"),
    answer(502, HTML, content_type="text/html"),
    answer(403, HTML, content_type="text/html"),
    answer(400, HTML, content_type="text/html"),
    answer(400, b""),
    answer(400, b"null"),
    answer(400, b'"text"'),
    answer(403, b'{"status":"error","message":"x","error_type":'),
    answer(403, {"status": "error", "error_type": "TokenException"}),
    answer(403, {"error_type": "TokenException", "message": "no status"}),
    answer(403, {"status": "error", "error_type": 5, "message": "x"}),
    answer(404, HTML),
    answer(301, b""),
    answer(302, HTML),
    answer(307, b""),
    answer(304, b""),
    answer(200, HTML, content_type="text/html"),
    answer(200, b'{"status":"success","data":{"order_id":"195'),
    answer(200, b""),
    answer(200, {"status": "success", "data": {}}),
    answer(200, {"status": "success", "data": None}),
    answer(200, {"status": "success"}),
    success({"order_id": ""}),
    success({"order_id": None}),
    success({"order_id": 195}),
    success([{"order_id": "1"}]),
    answer(200, {"status": "error", "data": {"order_id": "1"}}),
    success({"order_id": "1"}, status=500),
    success({"order_id": "1"}, status=202),
    answer(200, b'{"status":"success","data":' + b"[" * 100_000),
]


def test_only_a_complete_success_with_an_order_id_is_placed() -> None:
    assert place_outcome(PLACED) == Placed("1953341975595868160")
    assert change_outcome(PLACED) == Accepted()


@pytest.mark.parametrize(("result", "kind"), DEFINITE_REFUSALS)
def test_a_well_formed_refusal_that_leaves_no_order_is_definite(result: Answered, kind: RefusalKind) -> None:
    for outcome in (place_outcome(result), change_outcome(result)):
        assert isinstance(outcome, Refused)
        assert outcome.kind is kind


@pytest.mark.parametrize("result", IN_DOUBT)
def test_everything_else_is_unknown(result: WireResult) -> None:
    assert isinstance(place_outcome(result), Unknown)
    assert isinstance(change_outcome(result), Unknown)


def test_a_refusal_carries_the_brokers_own_words() -> None:
    refusal = place_outcome(failure(400, "MarginException", "Insufficient funds. Required margin is 95417.84."))
    assert refusal == Refused(RefusalKind.MARGIN, "Insufficient funds. Required margin is 95417.84.")


def test_what_never_left_is_refused_as_not_sent() -> None:
    assert place_outcome(NotSent("refused")) == Refused(RefusalKind.NOT_SENT, "refused")
    assert change_outcome(NotSent("refused")) == Refused(RefusalKind.NOT_SENT, "refused")


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (failure(400, "InputException", BUSY), RefusalKind.BUSY),
        (failure(400, "InputException", "Order cannot be cancelled as it is being processed. Try later."), RefusalKind.BUSY),
        (failure(400, "OrderException", BUSY), RefusalKind.BUSY),
        (failure(503, "NetworkException", BUDGET), RefusalKind.BUDGET),
        (failure(400, "NetworkException", BUDGET), RefusalKind.BUDGET),
        (failure(429, "NetworkException", BUDGET), RefusalKind.BUDGET),
        (failure(400, "InputException", "Order cannot be modified."), RefusalKind.GONE),
        (failure(400, "OrderException", "16346 : Order cannot be modified"), RefusalKind.GONE),
        (failure(400, "GeneralException", "Order cannot be cancelled, it is already complete."), RefusalKind.GONE),
        (failure(400, "InputException", "The order is COMPLETE and can no longer be changed."), RefusalKind.GONE),
        (failure(404, "GeneralException", "Couldn't find that `order_id`."), RefusalKind.GONE),
    ],
)
def test_a_change_knows_busy_budget_and_gone(result: Answered, kind: RefusalKind) -> None:
    outcome = change_outcome(result)
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind


@pytest.mark.parametrize("message", [BUSY, "Order cannot be modified."])
def test_a_server_error_of_a_change_is_unknown_whatever_it_says(message: str) -> None:
    assert isinstance(change_outcome(failure(500, "GeneralException", message)), Unknown)


READS: list[tuple[WireResult, type[BrokerError]]] = [
    (NotSent("refused"), BrokerUnavailable),
    (NoAnswer("timed out"), BrokerUnavailable),
    (failure(403, "TokenException"), SessionExpired),
    (failure(400, "TokenException"), SessionExpired),
    (failure(403, "PermissionException"), BrokerRefused),
    (failure(400, "UserException"), BrokerRefused),
    (failure(400, "InputException"), BrokerRefused),
    (failure(400, "OrderException"), BrokerUnavailable),
    (failure(400, "GeneralException"), BrokerUnavailable),
    (failure(404, "GeneralException", "Couldn't find that `order_id`."), BrokerRefused),
    (failure(400, "SomethingNewException"), BrokerUnavailable),
    (failure(429, "NetworkException"), BrokerUnavailable),
    (failure(500, "GeneralException"), BrokerUnavailable),
    (failure(502, "DataException"), BrokerUnavailable),
    (failure(503, "NetworkException"), BrokerUnavailable),
    (failure(503, "TokenException"), BrokerUnavailable),
    (answer(502, HTML), BrokerUnavailable),
    (answer(403, HTML), BrokerUnavailable),
    (answer(302, b""), BrokerUnavailable),
    (answer(200, HTML), UnreadableAnswer),
    (answer(200, b'{"status":"success","data":[{"order'), UnreadableAnswer),
    (answer(200, b'{"status":"success","data":[NaN]}'), UnreadableAnswer),
    (answer(200, b""), UnreadableAnswer),
    (answer(200, {"status": "success"}), UnreadableAnswer),
    (failure(200, "TokenException"), UnreadableAnswer),
]


@pytest.mark.parametrize(("result", "error"), READS)
def test_a_read_that_did_not_succeed_raises(result: WireResult, error: type[BrokerError]) -> None:
    with pytest.raises(error) as caught:
        read_data(result)
    assert type(caught.value) is error


def test_a_read_that_succeeded_gives_its_data() -> None:
    assert read_data(success([])) == []
    assert read_data(success(None)) is None


def test_a_login_that_is_refused_is_refused_rather_than_expired() -> None:
    with pytest.raises(BrokerRefused, match="checksum"):
        login_data(failure(403, "TokenException", "Invalid `checksum`."))
    with pytest.raises(BrokerUnavailable):
        login_data(NoAnswer("timed out"))
