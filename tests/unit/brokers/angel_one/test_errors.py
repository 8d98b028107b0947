"""Every row of SmartAPI's error tables, and every trap, against the outcome it must have."""

import json

import pytest

from brokers.angel_one.errors import (
    DEFINITE,
    INDEFINITE,
    NO_POSITION,
    SESSION_CODES,
    change_outcome,
    login_data,
    place_outcome,
    read_data,
    read_list,
)
from brokers.answers import Answered, NoAnswer, NotSent, WireResult
from trading.orders import Accepted, Placed, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

HTML = b"<html><head><title>Request Rejected</title></head><body>Request Rejected</body></html>"
RATE = b"Access denied because of exceeding access rate"


def answer(status: int, body: bytes | dict[str, object], *, content_type: str = "application/json") -> Answered:
    return Answered(status, content_type, body if isinstance(body, bytes) else json.dumps(body).encode(), {})


def failure(code: str, message: str = "words of the broker", *, status: int = 200) -> Answered:
    return answer(status, {"status": False, "message": message, "errorcode": code, "data": None})


def other_spelling(code: str, message: str = "words of the broker", *, status: int = 200) -> Answered:
    return answer(status, {"success": False, "message": message, "errorCode": code, "data": ""})


def success(data: object, *, status: int = 200) -> Answered:
    return answer(status, {"status": True, "message": "SUCCESS", "errorcode": "", "data": data})


PLACED = success({"script": "SBIN-EQ", "orderid": "200910000000111", "uniqueorderid": "34reqfachdfih"})
CODES = [
    ("AG8001", RefusalKind.SESSION),
    ("AG8002", RefusalKind.SESSION),
    ("AG8003", RefusalKind.SESSION),
    ("AB1010", RefusalKind.SESSION),
    ("AB1011", RefusalKind.SESSION),
    ("AB8050", RefusalKind.SESSION),
    ("AB8051", RefusalKind.SESSION),
    ("AG7002", RefusalKind.PERMISSION),
    ("AB1006", RefusalKind.PERMISSION),
    ("AB2002", RefusalKind.PERMISSION),
    ("AB1008", RefusalKind.INPUT),
    ("AB1009", RefusalKind.INPUT),
    ("AB1012", RefusalKind.INPUT),
    ("AB1018", RefusalKind.INPUT),
    ("AB4008", RefusalKind.INPUT),
    ("AB4018", RefusalKind.INPUT),
    ("AB4036", RefusalKind.INPUT),
]

IN_DOUBT: list[WireResult] = [
    NoAnswer("timed out"),
    answer(403, RATE, content_type="text/plain"),
    answer(429, RATE, content_type="text/plain"),
    answer(429, HTML, content_type="text/html"),
    answer(200, HTML, content_type="text/html"),
    answer(400, b"", content_type="text/plain"),
    answer(502, HTML, content_type="text/html"),
    failure("AB1004", "Something Went Wrong, Please Try After Sometime"),
    failure("AB2000", "Error not specified"),
    failure("AB2001", "Internal Error, Please Try After Sometime"),
    failure("AB9999"),
    failure(""),
    failure("AG8001", status=500),
    failure("AB1009", status=503),
    failure("AG8001", status=302),
    answer(200, {"status": False, "message": "x", "errorcode": 5, "data": None}),
    answer(200, {"status": True, "message": "SUCCESS", "errorcode": "AB1004", "data": {"orderid": "1"}}),
    answer(200, {"status": "maybe", "message": "x", "errorcode": "AB1009", "data": None}),
    answer(200, {"message": "SUCCESS", "errorcode": "", "data": {"orderid": "1"}}),
    answer(200, b'{"status":true,"message":"SUCCESS","errorcode":"","data":{"orderid":"2009'),
    answer(200, b"null"),
    answer(200, b'"text"'),
    success({}),
    success(None),
    success({"orderid": ""}),
    success({"orderid": None}),
    success({"orderid": True}),
    success("200910000000111"),
    success({"orderid": "1"}, status=500),
    success({"orderid": "1"}, status=302),
    success({"orderid": "1"}, status=202),
]


def test_a_success_with_an_order_id_is_placed_or_accepted() -> None:
    assert place_outcome(PLACED) == Placed("200910000000111")
    assert place_outcome(success({"orderid": 200910000000111})) == Placed("200910000000111")
    assert change_outcome(PLACED) == Accepted()
    other = answer(200, {"success": True, "message": "SUCCESS", "errorCode": None, "data": {"orderid": "7"}})
    assert place_outcome(other) == Placed("7")


@pytest.mark.parametrize(("code", "kind"), CODES)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_code_after_which_no_order_exists_is_a_refusal_in_either_spelling_and_with_any_status(
    code: str, kind: RefusalKind, status: int
) -> None:
    for refused in (failure(code, status=status), other_spelling(code, status=status)):
        assert place_outcome(refused) == Refused(kind, f"words of the broker ({code})")
        assert change_outcome(refused) == Refused(kind, f"words of the broker ({code})")


def test_the_list_of_codes_above_is_complete() -> None:
    assert dict(CODES) == DEFINITE
    assert not INDEFINITE & DEFINITE.keys()


@pytest.mark.parametrize("result", IN_DOUBT)
def test_everything_else_leaves_the_matter_open(result: WireResult) -> None:
    assert isinstance(place_outcome(result), Unknown)
    assert isinstance(change_outcome(result), Unknown)


def test_what_was_not_sent_is_refused_as_such() -> None:
    for outcome in (place_outcome(NotSent("refused")), change_outcome(NotSent("refused"))):
        assert outcome == Refused(RefusalKind.NOT_SENT, "refused")


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (failure("AB1013", "Order not found"), RefusalKind.GONE),
        (failure("AB4444", "Order is already complete"), RefusalKind.GONE),
        (failure("AB4444", "Order cannot be modified"), RefusalKind.GONE),
        (failure("AB4444", "Order cannot be cancelled as it is being processed. Try later."), RefusalKind.BUSY),
        (failure("AB4444", "Maximum allowed order modifications exceeded"), RefusalKind.BUDGET),
    ],
)
def test_changes_know_refusals_of_their_own(answered: Answered, kind: RefusalKind) -> None:
    outcome = change_outcome(answered)
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind
    assert isinstance(place_outcome(answered), Unknown)


def test_an_internal_error_is_in_doubt_whatever_it_says() -> None:
    assert isinstance(change_outcome(failure("AB2001", "Order is already complete")), Unknown)


def test_reads_give_the_data_null_included_and_a_list_of_null_is_empty() -> None:
    assert read_data(success(None)) is None
    assert read_data(success([1])) == [1]
    assert read_list(success(None)) == read_list(success("")) == []
    assert read_list(success([1])) == [1]
    assert read_list(failure(NO_POSITION, "Position not found"), nothing=NO_POSITION) == []


@pytest.mark.parametrize(
    ("result", "error"),
    [
        *((failure(code), SessionExpired) for code in sorted(SESSION_CODES)),
        (other_spelling("AG8001", status=403), SessionExpired),
        (failure("AG7002"), BrokerRefused),
        (failure("AB1006"), BrokerRefused),
        (failure("AB1013", "Order not found"), BrokerRefused),
        (failure("AB1016", "Position not found"), BrokerUnavailable),
        (failure("AB1004"), BrokerUnavailable),
        (failure("AB9999"), BrokerUnavailable),
        (failure("AG8001", status=500), BrokerUnavailable),
        (answer(403, RATE, content_type="text/plain"), BrokerUnavailable),
        (answer(429, RATE), BrokerUnavailable),
        (answer(400, b""), BrokerUnavailable),
        (answer(302, b""), BrokerUnavailable),
        (answer(502, HTML), BrokerUnavailable),
        (answer(200, HTML), UnreadableAnswer),
        (answer(200, b'{"status":true,"message":"SUCCESS","errorcode":"","data":[{"variety'), UnreadableAnswer),
        (answer(200, {"status": True, "message": "SUCCESS", "errorcode": ""}), UnreadableAnswer),
        (success([], status=500), BrokerUnavailable),
        (NoAnswer("timed out"), BrokerUnavailable),
        (NotSent("refused"), BrokerUnavailable),
    ],
)
def test_a_read_that_did_not_succeed_says_so(result: WireResult, error: type[Exception]) -> None:
    for read in (read_data, read_list):
        with pytest.raises(error) as caught:
            read(result)
        assert type(caught.value) is error


def test_a_book_that_an_error_calls_empty_is_not_empty() -> None:
    with pytest.raises(BrokerRefused):
        read_list(failure("AB1013", "Order not found"))


def test_a_rate_limit_is_named_in_the_error() -> None:
    with pytest.raises(BrokerUnavailable, match="over the broker's access rate"):
        read_data(answer(403, RATE, content_type="text/plain"))


@pytest.mark.parametrize("code", ["AB1000", "AB1007", "AG8001", "AB8050"])
def test_a_login_refused_is_refused_and_not_an_expired_session(code: str) -> None:
    with pytest.raises(BrokerRefused, match=code):
        login_data(failure(code))
