"""Prices pass through JSON without ever being a float."""

from decimal import Decimal

import pytest

from brokers.exact_json import encode_json, parse_json


def test_numbers_are_read_exactly() -> None:
    assert str(parse_json("[159.10, 0.1, 1953341975595868160]")) == "[Decimal('159.10'), Decimal('0.1'), 1953341975595868160]"


@pytest.mark.parametrize("body", ["NaN", "[Infinity]", '{"a": 1', "[" * 100_000, ""])
def test_what_is_not_json_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError):
        parse_json(body)


def test_a_price_goes_out_digit_for_digit() -> None:
    body = {"price": Decimal("159.10"), "large": Decimal("1E+3"), "small": Decimal("1E-7"), "quantity": 5, "l": [Decimal("0.05")]}
    assert encode_json(body) == b'{"price":159.10,"large":1000,"small":0.0000001,"quantity":5,"l":[0.05]}'


def test_everything_else_is_ordinary_json() -> None:
    body = {'M&M "x"': "₹\n", "no": None, "yes": True, "empty": [], "none": {}}
    assert parse_json(encode_json(body)) == body
