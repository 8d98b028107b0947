"""One-time codes against the test vectors of RFC 6238, appendix B (its eight digits end in our six)."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from api.one_time_codes import code_of, enrolment_uri, matching_step, new_secret, step_at

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 11, 20, 4, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_of_the_rfc(seconds: int, code: str) -> None:
    assert code_of(SECRET, step_at(datetime.fromtimestamp(seconds, tz=UTC))) == code


@pytest.mark.parametrize(("off", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_taken_one_step_early_or_late_and_no_more(off: int, accepted: bool) -> None:
    step = step_at(NOW) + off
    assert matching_step(SECRET, code_of(SECRET, step), now=NOW, after=None) == (step if accepted else None)


def test_a_code_works_once_and_none_before_it_works_any_more() -> None:
    now = step_at(NOW)
    assert matching_step(SECRET, code_of(SECRET, now), now=NOW, after=now) is None
    assert matching_step(SECRET, code_of(SECRET, now - 1), now=NOW, after=now) is None
    assert matching_step(SECRET, code_of(SECRET, now + 1), now=NOW + timedelta(seconds=1), after=now) == now + 1


@pytest.mark.parametrize("code", ["", "000000", "28708", "2870820", "abcdef", "२८७०८२", "\x00"])
def test_nonsense_is_no_code(code: str) -> None:
    assert matching_step(SECRET, code, now=datetime.fromtimestamp(59, tz=UTC), after=None) is None


def test_secrets_are_different_and_apps_can_read_them() -> None:
    one, two = new_secret(), new_secret()
    assert one != two
    assert len(base64.b32decode(one)) == 20
    asked = urlsplit(enrolment_uri(one, email="asha+x@example.com", issuer="Algo trading"))
    assert (asked.scheme, asked.netloc, asked.path) == ("otpauth", "totp", "/Algo%20trading:asha%2Bx%40example.com")
    assert parse_qs(asked.query)["secret"] == [one]
