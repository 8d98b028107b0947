"""Secrets in log lines become three dots: by type, by name, by look."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic import SecretStr

from runtime.logging import hide_secrets
from runtime.redaction import hidden_text


def logged(**event: object) -> dict[str, object]:
    return dict(hide_secrets(None, "info", event))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_secret",
        "access_token",
        "api_key",
        "Authorization",
        "totp",
        "mpin",
        "pin",
        "otp",
        "jwt",
        "cookie",
        "checksum",
    ],
)
def test_a_text_under_a_name_that_says_secret_is_hidden(name: str) -> None:
    assert logged(**{name: "hunter2"}) == {name: "..."}


def test_a_secret_type_is_hidden_under_any_name() -> None:
    assert logged(anything=SecretStr("hunter2")) == {"anything": "..."}


def test_secrets_inside_of_other_values_are_hidden() -> None:
    found = logged(data={"user": "asha", "login": {"api_secret": "hunter2"}, "calls": ["access_token=hunter2", "fine"]})
    assert found == {"data": {"user": "asha", "login": {"api_secret": "..."}, "calls": ["access_token=...", "fine"]}}


def test_what_can_only_be_printed_is_looked_through_as_it_prints() -> None:
    @dataclass
    class Login:
        access_token: str

    assert "hunter2" not in str(logged(login=Login("hunter2")))
    assert "hunter2" not in str(logged(error=ValueError("password=hunter2")))
    assert "hunter2" not in str(logged(raw=b"api_secret=hunter2"))


@pytest.mark.parametrize(
    "text",
    [
        "GET /quote?api_key=hunter2&access_token=hunter2",
        "Authorization: Bearer hunter2",
        "{'Authorization': 'token abc:hunter2', 'X': 1}",
        "sent Bearer abc.hunter2.def",
        '{"api_secret": "hunter2", "x": 1}',
        "{'jwtToken': 'hunter2'}",
        "refresh_token: hunter2",
        "password=hunter2",
        "postgresql+asyncpg://trader:hunter2@db/trading",
        "otpauth://totp/x?secret=hunter2",
        "tgram://123:hunter2/456",
        "eyJhbGciOiJIUzI1NiJ9.hunter2eyJ.hunter2",
        "rt_hunter2hunter2hunter2hunter2",
        "ak_hunter2hunter2hunter2hunter2",
        "appIdHash=hunter2",
    ],
)
def test_a_credential_inside_text_is_hidden(text: str) -> None:
    assert "hunter2" not in hidden_text(text), hidden_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Token is invalid or has expired.",
        "the token expired at 06:00",
        "spinning up 3 workers",
        "key k1 is not in the ring",
        "http://127.0.0.1:8000/api/v1/strategy/list",
        "redis://127.0.0.1:6379/0",
        "Incorrect `api_key` or `access_token`.",
    ],
)
def test_prose_is_left_alone(text: str) -> None:
    assert hidden_text(text) == text


def test_numbers_and_plain_values_stay_what_they_are() -> None:
    event = {"tokens": 3, "instrument_token": 408065, "price": Decimal("3500.05"), "ok": True, "nothing": None, "symbol": "TCS"}
    assert logged(**event) == event
