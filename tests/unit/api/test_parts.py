"""Small parts of the API that need no server."""

import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.errors import ApiError, ErrorCode
from api.paging import cursor_of, read_cursor
from api.passwords import NICENESS, Passwords
from api.plans import price_warnings
from api.schemas.common import TimeOfDay, rounded
from api.search import search
from api.tokens import ACCESS, BROKER_LOGIN, Signer, parse_keys
from storage.ids import is_id, new_id
from trading.instruments import Instrument, InstrumentId, Segment

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


def sign(signer: Signer, **changes: Any) -> str:
    wanted = {"audience": ACCESS, "user_id": "usr_1", "subject_id": "fam_1", "life": timedelta(minutes=15)}
    return signer.sign(**{**wanted, **changes})


def refusal(signer: Signer, token: str, *, audience: str = ACCESS) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        signer.read(token, audience=audience)
    return caught.value.code


def test_a_token_says_what_was_signed() -> None:
    clock = Clock()
    signer = Signer({"k1": NEW}, clock)
    claims = signer.read(sign(signer), audience=ACCESS)
    assert (claims.user_id, claims.subject_id, claims.expires_at) == ("usr_1", "fam_1", NOW + timedelta(minutes=15))


def test_a_token_lives_up_to_its_end_and_not_a_second_longer() -> None:
    clock = Clock()
    signer = Signer({"k1": NEW}, clock)
    token = sign(signer)
    clock.at = NOW + timedelta(minutes=15, seconds=-1)
    signer.read(token, audience=ACCESS)
    clock.at = NOW + timedelta(minutes=15)
    assert refusal(signer, token) is ErrorCode.TOKEN_EXPIRED


def test_keys_can_be_changed_while_people_stay_logged_in() -> None:
    clock = Clock()
    before = sign(Signer({"k1": OLD}, clock))
    during = Signer({"k2": NEW, "k1": OLD}, clock)
    during.read(before, audience=ACCESS)
    after = Signer({"k2": NEW}, clock)
    after.read(sign(during), audience=ACCESS)
    assert refusal(after, before) is ErrorCode.TOKEN_INVALID


def test_a_login_state_is_no_access_token() -> None:
    signer = Signer({"k1": NEW}, Clock())
    assert refusal(signer, sign(signer, audience=BROKER_LOGIN)) is ErrorCode.TOKEN_INVALID
    assert refusal(signer, sign(signer), audience=BROKER_LOGIN) is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("text", ["", " , ", "nokid", ":secret", "k1:" + "x" * 31])
def test_keys_that_are_missing_or_too_short_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match="JWT_KEYS") as caught:
        parse_keys(text)
    assert "xxx" not in str(caught.value)


def test_keys_keep_their_order_and_may_hold_colons() -> None:
    assert list(parse_keys(f"b:{'x' * 32}, a:{'y' * 20}:{'z' * 20}")) == ["b", "a"]


class CountingHasher(PasswordHasher):
    verified = 0

    def verify(self, *arguments: Any) -> Any:
        self.verified += 1
        return super().verify(*arguments)


async def test_a_user_who_does_not_exist_costs_as_much_as_one_who_does() -> None:
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    stored = await passwords.hash("right")
    assert await passwords.matches("right", stored)
    assert not await passwords.matches("wrong", stored)
    assert not await passwords.matches("a password that no user has", None)
    assert hasher.verified == 3
    passwords.close()


class HasherThatNotesItsPriority(PasswordHasher):
    niceness = 0

    def hash(self, *arguments: Any, **named: Any) -> str:
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return super().hash(*arguments, **named)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
async def test_hashes_are_made_behind_everything_else() -> None:
    hasher, own = HasherThatNotesItsPriority(time_cost=1, memory_cost=8, parallelism=1), os.getpriority(os.PRIO_PROCESS, 0)
    passwords = Passwords(hasher)
    await passwords.hash("right")
    assert hasher.niceness == max(own, NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    passwords.close()


async def test_a_hash_that_is_none_matches_nothing() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    assert not await passwords.matches("x", "not a hash")
    passwords.close()


def listed(exchange: str, symbol: str, name: str = "") -> Instrument:
    return Instrument(InstrumentId(exchange, symbol), name, Segment.CASH, Decimal("0.05"))


def test_the_exact_symbol_comes_first_then_beginnings_then_names() -> None:
    instruments = [
        listed("NSE", "TATASTEEL", "TATA STEEL"),
        listed("NSE", "STEEL", "STEEL LIMITED"),
        listed("BSE", "STEEL"),
        listed("NSE", "STEELCAS", "STEELCAST"),
        listed("NSE", "TCS", "TATA CONSULTANCY"),
    ]
    found = [str(instrument.id) for instrument in search(instruments, " steel ", exchange=None, limit=10)]
    assert found == ["NSE:STEEL", "BSE:STEEL", "NSE:STEELCAS", "NSE:TATASTEEL"]
    assert len(search(instruments, "steel", exchange=None, limit=2)) == 2
    assert [str(instrument.id) for instrument in search(instruments, "s", exchange="bse", limit=9)] == ["BSE:STEEL"]


@pytest.mark.parametrize(
    ("price", "code"), [("3499", "STOP_AT_OR_ABOVE_PRICE"), ("3500", "STOP_AT_OR_ABOVE_PRICE"), ("3503", "CLOSE_TO_STOP")]
)
def test_a_stop_near_the_price_is_worth_a_word(price: str, code: str) -> None:
    assert [warning.code for warning in price_warnings(Decimal(3500), None, Decimal(price))] == [code]
    assert price_warnings(Decimal(3500), Decimal(3600), Decimal(3504)) == []


@pytest.mark.parametrize("price", ["3600", "3601"])
def test_a_target_the_price_has_reached_is_worth_a_word(price: str) -> None:
    assert [warning.code for warning in price_warnings(Decimal(3500), Decimal(3600), Decimal(price))] == [
        "TARGET_AT_OR_BELOW_PRICE"
    ]


@given(st.decimals(min_value=-10_000_000, max_value=10_000_000, places=4))
def test_a_price_is_answered_within_half_a_paisa(value: Decimal) -> None:
    answered = Decimal(repr(rounded(value)))
    assert abs(answered - value) <= Decimal("0.005")
    assert -answered.as_tuple().exponent <= 2  # type: ignore[operator]


@given(st.times())
def test_every_whole_second_of_the_day_is_a_time_and_comes_back_as_it_was(value: Any) -> None:
    whole = value.replace(microsecond=0)
    adapter: TypeAdapter[Any] = TypeAdapter(TimeOfDay)
    assert adapter.validate_python(whole.isoformat()) == whole
    assert adapter.dump_python(whole, mode="json") == whole.isoformat()


@given(st.text(max_size=12))
def test_no_other_text_is_a_time(text: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(TimeOfDay)
    try:
        parsed = adapter.validate_python(text)
    except ValidationError:
        return
    assert parsed.isoformat() == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_cursor_comes_back_as_it_was(moment: datetime) -> None:
    row_id = new_id("str")
    after = read_cursor(cursor_of(moment, row_id), prefix="str")
    assert after is not None
    assert (after.created_at, after.id) == (moment, row_id)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(ApiError):
        read_cursor(text, prefix="str")


def test_an_id_is_known_by_its_kind() -> None:
    assert is_id(new_id("str"), "str")
    assert not any(is_id(text, "str") for text in (new_id("run"), "str_", "str_" + "A" * 26, "str_" + "a" * 26 + "\n", ""))
