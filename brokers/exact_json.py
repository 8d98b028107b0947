"""JSON whose numbers stay exact: digits on the wire and `Decimal` inside, never a float in between."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn, TypeAlias

Encodable: TypeAlias = "str | int | Decimal | bool | Mapping[str, Encodable] | Sequence[Encodable] | None"


def parse_json(body: bytes | str) -> object:
    """Raises ValueError for anything that is not complete JSON."""
    try:
        value: object = json.loads(body, parse_float=Decimal, parse_constant=_not_a_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def encode_json(value: Encodable) -> bytes:
    """Compact JSON. A `Decimal` goes out digit for digit, as a number without an exponent."""
    return _encode(value).encode()


def _encode(value: Encodable) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case str() | int() | None:
            return json.dumps(value)
        case Mapping():
            return "{" + ",".join(f"{json.dumps(key)}:{_encode(inner)}" for key, inner in value.items()) + "}"
        case Sequence():
            return "[" + ",".join(map(_encode, value)) + "]"
