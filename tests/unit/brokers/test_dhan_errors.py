"""What Dhan's answers are taken to prove. Nothing but a well-formed refusal of a known kind says that no order exists."""

import json

import pytest

from brokers.answers import Answered, NoAnswer, NotSent, WireResult
from brokers.dhan.errors import DEFINITE, INDEFINITE, change_outcome, login_data, not_there, place_outcome, read_data, read_list
from trading.orders import Accepted, Placed, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer


def answer(value: object, status: int = 200) -> Answered:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Answered(status, "application/json", body, {})


def error(code: str, message: str = "no", status: int = 400) -> Answered:
    return answer({"errorType": "Order_Error", "errorCode": code, "errorMessage": message}, status)


TAKEN = [
    answer({"orderId": "112111182198", "orderStatus": "TRANSIT"}),
    answer({"orderId": "112111182198", "orderStatus": "REJECTED"}),
    answer({"orderId": 112111182198, "orderStatus": "PENDING"}, 202),
    answer({"status": "success", "remarks": "", "data": {"orderId": "112111182198", "orderStatus": "TRANSIT"}}),
]


@pytest.mark.parametrize("result", TAKEN, ids=str)
def test_an_order_id_is_an_order(result: Answered) -> None:
    assert place_outcome(result) == Placed("112111182198")
    assert change_outcome(result) == Accepted()


IN_DOUBT: list[WireResult] = [
    NoAnswer("timed out"),
    answer(b""),
    answer(b"null"),
    answer({}),
    answer([]),
    answer({"orderId": ""}),
    answer({"orderId": True}),
    answer({"orderStatus": "TRANSIT"}),
    answer(b'{"orderId": "1121'),
    answer({"errorType": "x", "errorCode": "DH-905", "errorMessage": "bad", "orderId": "1"}),
    error("DH-905", status=200),
    error("DH-905", status=500),
    error("DH-906", status=500),
    error("DH-901", status=502),
    error("DH-906", "Request timed out, please check order book"),
    error("DH-999"),
    answer(b"<html>502</html>", 502),
    answer(b"<html>moved</html>", 302),
    answer(b"Forbidden", 403),
    answer({"message": "Unauthorized"}, 401),
    answer({"status": "error", "message": "Something went wrong"}),
    answer({"status": "error", "message": "Something went wrong"}, 400),
    *(error(code) for code in sorted(INDEFINITE)),
]


@pytest.mark.parametrize("result", IN_DOUBT, ids=str)
def test_whatever_else_leaves_the_matter_open(result: WireResult) -> None:
    assert isinstance(place_outcome(result), Unknown)
    assert isinstance(change_outcome(result), Unknown)


@pytest.mark.parametrize(("code", "kind"), sorted(DEFINITE.items()))
def test_a_known_code_is_a_definite_no(code: str, kind: RefusalKind) -> None:
    assert place_outcome(error(code, "the words")) == Refused(kind, "the words")
    assert change_outcome(error(code, "the words")) == Refused(kind, "the words")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Insufficient Funds, add 2000 to trade", RefusalKind.MARGIN),
        ("RMS: Margin Shortfall", RefusalKind.MARGIN),
        ("Insufficient holdings to sell", RefusalKind.HOLDING),
        ("eDIS approval is pending", RefusalKind.HOLDING),
        ("Markets are Offline or Blocked", RefusalKind.INPUT),
        ("Trigger Price should be greater than Price", RefusalKind.INPUT),
    ],
)
def test_the_reasons_behind_one_code_differ_by_their_text(message: str, kind: RefusalKind) -> None:
    assert place_outcome(error("DH-906", message)) == Refused(kind, message)


def test_a_refused_address_is_a_missing_permission() -> None:
    assert place_outcome(error("DH-911", "Invalid IP address", 403)) == Refused(RefusalKind.PERMISSION, "Invalid IP address")


@pytest.mark.parametrize("body", [b"", b"<html>slow down</html>", b'{"errorCode":"DH-904","errorMessage":"slow"}'])
def test_too_many_requests_is_a_definite_no_in_any_shape(body: bytes) -> None:
    outcome = place_outcome(answer(body, 429))
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.RATE_LIMIT


def test_what_never_left_is_refused() -> None:
    assert place_outcome(NotSent("refused")) == Refused(RefusalKind.NOT_SENT, "refused")
    assert change_outcome(NotSent("refused")) == Refused(RefusalKind.NOT_SENT, "refused")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("DH-906", "Order is already traded", RefusalKind.GONE),
        ("DH-907", "Order cannot be cancelled as it is rejected", RefusalKind.GONE),
        ("DH-905", "Order not found", RefusalKind.GONE),
        ("DH-906", "The order is being processed, try again later", RefusalKind.BUSY),
        ("DH-906", "Order cannot be modified: it is already in process", RefusalKind.BUSY),
        ("DH-906", "Maximum modification count reached for this order", RefusalKind.BUDGET),
        ("DH-905", "Invalid price", RefusalKind.INPUT),
    ],
)
def test_refusals_of_a_change_are_told_apart_by_their_text(code: str, message: str, kind: RefusalKind) -> None:
    assert change_outcome(error(code, message)) == Refused(kind, message)


@pytest.mark.parametrize(
    ("result", "data"),
    [
        (answer([]), []),
        (answer({"a": 1}), {"a": 1}),
        (answer({"data": {"NSE_EQ": {}}, "status": "success"}), {"NSE_EQ": {}}),
        (answer([], 202), []),
    ],
)
def test_a_success_is_read_with_or_without_an_envelope(result: Answered, data: object) -> None:
    assert read_data(result) == data


@pytest.mark.parametrize(
    ("result", "raised"),
    [
        (NoAnswer("timed out"), BrokerUnavailable),
        (NotSent("refused"), BrokerUnavailable),
        (answer(b"<html></html>", 502), BrokerUnavailable),
        (answer(b"", 302), BrokerUnavailable),
        (answer(b"nobody here", 404), BrokerUnavailable),
        (error("DH-908", status=500), BrokerUnavailable),
        (error("DH-901", status=500), BrokerUnavailable),
        (error("DH-904", status=429), BrokerUnavailable),
        (error("DH-904"), BrokerUnavailable),
        (error("DH-999"), BrokerUnavailable),
        (answer({"status": "failed", "data": {"805": "Too many requests"}}), BrokerUnavailable),
        (answer({"status": "failed", "data": {"805": "Too many requests"}}, 429), BrokerUnavailable),
        (error("DH-901", "Client ID or user generated access token is invalid or expired.", 401), SessionExpired),
        (error("DH-901", status=400), SessionExpired),
        (answer({"status": "failed", "data": {"808": "Authentication Failed"}}, 401), SessionExpired),
        (answer({"status": "failed", "data": {"807": "Access Token is expired"}}), SessionExpired),
        (answer(b"", 401), SessionExpired),
        (error("DH-902", status=401), BrokerRefused),
        (answer({"status": "failed", "data": {"806": "Data APIs not Subscribed"}}, 401), BrokerRefused),
        (error("DH-905"), BrokerRefused),
        (error("DH-907", status=404), BrokerRefused),
        (answer(b""), UnreadableAnswer),
        (answer(b"null"), UnreadableAnswer),
        (answer(b"[1,"), UnreadableAnswer),
        (error("DH-905", status=200), UnreadableAnswer),
    ],
    ids=str,
)
def test_a_read_that_is_no_success_says_what_it_proves(result: WireResult, raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught:
        read_data(result)
    assert type(caught.value) is raised


@pytest.mark.parametrize(
    ("result", "proven"),
    [
        (error("DH-907", "No data found", 404), True),
        (error("DH-907", "No data found", 400), True),
        (error("DH-905", "No such correlation id", 404), True),
        (error("DH-1111", "No holdings", 400), True),
        (error("DH-905", "Bad", 400), False),
        (error("DH-1111", "No holdings", 500), False),
        (answer(b"", 404), True),
        (answer({"detail": "Not Found"}, 404), True),
        (answer(b"<html>not found</html>", 404), False),
        (answer(b'{"errorCode":"DH-', 404), False),
        (answer(b"Forbidden", 403), False),
        (answer(b"", 200), False),
        (answer([]), False),
        (NoAnswer("timed out"), False),
    ],
    ids=str,
)
def test_absence_is_only_what_the_broker_says_in_so_many_words(result: WireResult, proven: bool) -> None:
    assert not_there(result) is proven


@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_having_no_shares_is_an_error_with_a_code_of_its_own_and_any_status(status: int) -> None:
    assert read_list(error("DH-1111", "No holdings available", status)) == []


@pytest.mark.parametrize(
    ("result", "raised"),
    [
        (error("DH-907", "No data found", 404), BrokerRefused),
        (error("DH-908", "Internal error", 500), BrokerUnavailable),
        (error("DH-901", "Invalid token", 401), SessionExpired),
        (answer(b'[{"totalQty":', 200), UnreadableAnswer),
        (answer(b"", 404), BrokerUnavailable),
        (NoAnswer("timed out"), BrokerUnavailable),
    ],
    ids=str,
)
def test_nothing_else_passes_for_having_no_shares(result: WireResult, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        read_list(result)


def test_a_bad_login_is_a_refusal_not_an_expired_session() -> None:
    for status, code in ((400, "DH-906"), (401, "DH-901"), (400, "DH-1234")):
        with pytest.raises(BrokerRefused, match="Invalid TOTP"):
            login_data(error(code, "Invalid TOTP", status))
    for status in (200, 400, 401):
        with pytest.raises(BrokerRefused, match="Invalid TOTP"):
            login_data(answer({"status": "error", "message": "Invalid TOTP"}, status))
    for result in (NoAnswer("timed out"), error("DH-908", status=500), error("DH-909"), error("DH-904", status=429)):
        with pytest.raises(BrokerUnavailable):
            login_data(result)
