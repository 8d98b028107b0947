"""What Fyers' answers are taken to mean: definite only where no order can exist, unknown otherwise."""

import json

import pytest

from brokers.answers import Answered, NoAnswer, NotSent
from brokers.fyers.errors import change_outcome, is_minute_breach, login_body, place_outcome, read_body
from trading.orders import Accepted, Placed, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

PLACED = {
    "s": "ok",
    "code": 1101,
    "message": "Order submitted successfully. Your Order Ref. No.808058117761",
    "id": "808058117761",
}
SHORTFALL = "RED:Margin Shortfall:INR 5,25,690.20 Available:INR 0.00 for C-XXXX"
OLD_APP = "Request rejected: Order placement restricted. Algo orders are not allowed from this app ABCDEFGHIJ-100"


def answer(status: int, body: object, **headers: str) -> Answered:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answered(status, "application/json", json.dumps(body).encode(), named)


def error(code: int, message: str = "no", **more: object) -> dict[str, object]:
    return {"s": "error", "code": code, "message": message, **more}


HTML = Answered(403, "text/html", b"<html>Access denied</html>", {})


def test_an_order_with_a_number_is_placed_also_where_the_number_is_no_text() -> None:
    assert place_outcome(answer(200, PLACED)) == Placed("808058117761")
    assert place_outcome(answer(200, PLACED | {"id": 808058117761})) == Placed("808058117761")


@pytest.mark.parametrize(
    "result",
    [
        NoAnswer("timed out"),
        answer(200, PLACED | {"code": 201}),
        answer(200, {"s": "ok", "code": 1101, "message": ""}),
        answer(200, {"id": "1"}),
        answer(200, [PLACED]),
        answer(200, error(-96)),
        answer(400, error(-96)),
        answer(500, error(500)),
        answer(500, error(-50)),
        answer(502, error(-99, SHORTFALL)),
        answer(400, error(-201)),
        answer(400, error(-205)),
        answer(400, error(-12345)),
        answer(400, error(-50, "the request timed out, check the order book")),
        answer(302, PLACED),
        answer(503, PLACED),
        HTML,
        Answered(200, "application/json", b'{"s":"ok","co', {}),
        Answered(502, "text/html", b"<html>", {}),
    ],
    ids=repr,
)
def test_whatever_leaves_room_for_an_order_is_unknown(result: Answered) -> None:
    assert isinstance(place_outcome(result), Unknown)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (NotSent("refused"), RefusalKind.NOT_SENT),
        (answer(400, error(-50, "The input symbol is invalid.")), RefusalKind.INPUT),
        (answer(200, error(-50, "StopPrice not a multiple of tick size 0.1000")), RefusalKind.INPUT),
        (answer(400, error(-300)), RefusalKind.INPUT),
        (answer(400, error(-99, SHORTFALL)), RefusalKind.MARGIN),
        (answer(400, error(-99, "RED:Insufficient holdings")), RefusalKind.HOLDING),
        (answer(400, error(-99, "RED:RULE:{Check circuit limit}")), RefusalKind.INPUT),
        (answer(400, error(-99, "RED:Block Type:NonSqroff Reason:expiry")), RefusalKind.OTHER),
        (answer(400, error(-50, OLD_APP)), RefusalKind.PERMISSION),
        (answer(403, error(-373)), RefusalKind.PERMISSION),
        (answer(401, error(-16, "Could not authenticate the user")), RefusalKind.SESSION),
        (answer(401, error(-8)), RefusalKind.SESSION),
        (answer(401, error(-17)), RefusalKind.SESSION),
        (answer(400, error(-352)), RefusalKind.SESSION),
        (answer(401, error(-999)), RefusalKind.SESSION),
        (answer(429, error(-429, "request limit reached")), RefusalKind.RATE_LIMIT),
        (Answered(429, "text/html", b"<html>", {}), RefusalKind.RATE_LIMIT),
        (answer(400, error(-353)), RefusalKind.RATE_LIMIT),
    ],
    ids=repr,
)
def test_a_refusal_names_its_kind_and_keeps_the_brokers_words(result: Answered, kind: RefusalKind) -> None:
    outcome = place_outcome(result)
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind
    assert outcome.message


def test_a_rejection_that_carries_a_number_is_an_order_the_book_shows() -> None:
    assert place_outcome(answer(400, error(-99, "RED:rejected", id="25070400129405"))) == Placed("25070400129405")


def test_codes_that_are_text_and_missing_words_are_read_all_the_same() -> None:
    outcome = place_outcome(answer(400, {"s": "error", "code": "-50"}))
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.INPUT


@pytest.mark.parametrize("code", [1101, 1102, 1103])
def test_a_change_is_accepted_with_each_of_its_codes(code: int) -> None:
    assert change_outcome(answer(200, {"s": "ok", "code": code, "message": "", "id": "1"})) == Accepted()
    assert change_outcome(answer(200, {"s": "ok", "code": code, "message": ""})) == Accepted()


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (answer(400, error(-161)), RefusalKind.GONE),
        (answer(400, error(-162)), RefusalKind.GONE),
        (answer(400, error(-164)), RefusalKind.GONE),
        (answer(400, error(-50, "Order is already traded")), RefusalKind.GONE),
        (answer(400, error(-51, "invalid order id")), RefusalKind.BUSY),
        (answer(400, error(-50, "The order cannot be modified as it is being processed")), RefusalKind.BUSY),
        (answer(400, error(-99, "Maximum allowed order modifications exceeded")), RefusalKind.BUDGET),
        (answer(400, error(-50, "limitPrice does not match: 0")), RefusalKind.INPUT),
        (answer(429, error(-429, "already too many")), RefusalKind.RATE_LIMIT),
        (answer(401, error(-16, "already expired")), RefusalKind.SESSION),
        (NotSent("x"), RefusalKind.NOT_SENT),
    ],
    ids=repr,
)
def test_a_change_refused_is_told_apart(result: Answered, kind: RefusalKind) -> None:
    outcome = change_outcome(result)
    assert isinstance(outcome, Refused)
    assert outcome.kind is kind


@pytest.mark.parametrize(
    "result",
    [
        NoAnswer("x"),
        answer(200, {"s": "ok", "code": 201, "id": "1"}),
        answer(200, {"s": "ok", "code": 200}),
        answer(500, error(-161)),
        answer(502, error(-50, "already")),
        answer(400, error(-96, "already")),
        HTML,
    ],
    ids=repr,
)
def test_a_change_without_a_clear_answer_is_unknown(result: Answered) -> None:
    assert isinstance(change_outcome(result), Unknown)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (NoAnswer("x"), BrokerUnavailable),
        (HTML, BrokerUnavailable),
        (answer(302, {"s": "ok", "code": 200}), BrokerUnavailable),
        (answer(500, {"s": "ok", "code": 200}), BrokerUnavailable),
        (answer(429, error(-429)), BrokerUnavailable),
        (answer(400, error(-353)), BrokerUnavailable),
        (answer(400, error(-12345)), BrokerUnavailable),
        (answer(401, error(-16)), SessionExpired),
        (answer(200, error(-8)), SessionExpired),
        (answer(400, error(-51)), BrokerRefused),
        (answer(403, error(-373)), BrokerRefused),
        (answer(200, error(-96)), UnreadableAnswer),
        (answer(200, {"orderBook": []}), UnreadableAnswer),
        (Answered(200, "application/json", b'{"s":"ok"', {}), UnreadableAnswer),
    ],
    ids=repr,
)
def test_a_read_that_fails_says_how(result: Answered, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        read_body(result)
    assert type(caught.value) is kind


def test_market_data_without_a_code_is_read() -> None:
    assert read_body(answer(200, {"s": "ok", "d": {}}))["d"] == {}


def test_a_refused_login_is_a_refusal_and_not_the_end_of_a_session() -> None:
    with pytest.raises(BrokerRefused):
        login_body(answer(401, error(-16)))


@pytest.mark.parametrize(
    ("result", "is_breach"),
    [
        (answer(429, error(-429)), True),
        (answer(429, error(-429), retry_after="37"), True),
        (answer(429, error(-429), retry_after="later"), True),
        (answer(400, error(-353)), True),
        (answer(429, error(-429), retry_after="1"), False),
        (answer(429, error(-429), retry_after="1", x_retry_after_ms="240"), False),
        (answer(400, error(-50)), False),
        (answer(200, {"s": "ok", "code": 200}), False),
    ],
    ids=repr,
)
def test_too_many_at_once_is_not_a_breach_of_the_minute(result: Answered, *, is_breach: bool) -> None:
    assert is_minute_breach(result) is is_breach
