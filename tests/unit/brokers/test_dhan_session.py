"""When a Dhan session ends, from what a token says of itself."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from brokers.dhan.session import claimed_client_id, session_end

NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)


def token(**claims: object) -> str:
    parts = (json.dumps({"alg": "HS512"}), json.dumps(claims))
    head, body = (base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.signature"


def test_a_token_says_itself_when_it_ends() -> None:
    end = NOW + timedelta(hours=3)
    made = token(iss="dhan", exp=int(end.timestamp()), dhanClientId="1000000001")
    assert session_end(made, answer={"expiryTime": "2026-09-09T00:00:00.000"}, now=NOW) == end
    assert claimed_client_id(made) == "1000000001"


def test_without_that_the_login_says_it_in_indian_time() -> None:
    end = session_end("opaque", answer={"expiryTime": "2026-09-02T11:30:00.000"}, now=NOW)
    assert end == datetime(2026, 9, 2, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "made", ["opaque", "a.b.c", "a.!.c", token(exp="soon"), token(exp=True), token(exp=10**18), "a.W10.c", ""]
)
def test_without_either_it_lasts_a_day(made: str) -> None:
    assert session_end(made, answer={}, now=NOW) == NOW + timedelta(days=1)
    assert claimed_client_id(made) == ""
