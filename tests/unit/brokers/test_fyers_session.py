"""A Fyers token: who it belongs to and when it ends."""

import base64
import json
from datetime import UTC, datetime

import pytest

from brokers.fyers.session import authorization, bare_token, claimed_text, claims, session_end, session_headers
from trading.accounts import Credentials

NOW = datetime(2026, 8, 3, 4, 0, tzinfo=UTC)
SIX_TOMORROW = datetime(2026, 8, 4, 0, 30, tzinfo=UTC)


def jwt(**said: object) -> str:
    parts = (json.dumps({"alg": "HS256"}), json.dumps(said), "signature")
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def test_the_header_carries_the_app_and_the_token() -> None:
    credentials = Credentials("ABCDEFGHIJ-200", "secret", "a.b.c")
    assert session_headers(credentials) == {"version": "3", "Authorization": "ABCDEFGHIJ-200:a.b.c"}
    assert authorization(Credentials("ABCDEFGHIJ-200", "secret", " ABCDEFGHIJ-200:a.b.c ")) == "ABCDEFGHIJ-200:a.b.c"


def test_claims_are_read_with_and_without_the_app() -> None:
    token = jwt(hsm_key="5def", fy_id="XA00001")
    assert claimed_text(token, "hsm_key") == claimed_text(f"ABCDEFGHIJ-200:{token}", "hsm_key") == "5def"
    assert bare_token(f"ABCDEFGHIJ-200:{token}") == token
    assert claimed_text(token, "name") == ""


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.!!!.c", "a.e30x.c", "a.W10.c", "a.\u00e9.c"])
def test_what_is_no_token_claims_nothing(token: str) -> None:
    assert claims(token) == {}


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ({}, SIX_TOMORROW),
        ({"exp": int(SIX_TOMORROW.timestamp())}, SIX_TOMORROW),
        ({"exp": int(NOW.timestamp()) + 60}, datetime(2026, 8, 3, 4, 1, tzinfo=UTC)),
        ({"exp": 10**15}, SIX_TOMORROW),
        ({"exp": "soon"}, SIX_TOMORROW),
        ({"exp": 0}, SIX_TOMORROW),
    ],
    ids=str,
)
def test_a_session_ends_with_its_token_and_never_after_six(said: dict[str, object], end: datetime) -> None:
    assert session_end(jwt(**said), NOW) == end


def test_before_six_the_session_ends_the_same_morning() -> None:
    before_six = datetime(2026, 8, 3, 0, 0, tzinfo=UTC)
    assert session_end(jwt(), before_six) == datetime(2026, 8, 3, 0, 30, tzinfo=UTC)
