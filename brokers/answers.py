"""How one exchange with a broker's server can end, as far as the wire can tell. No HTTP library is needed to read this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from trading.ports.broker import BrokerUnavailable


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer. Header names are lower case; the body may hold secrets and is kept out of the repr."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotSent:
    """It failed before the first byte was written: the server cannot know of it."""

    why: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """At least one byte may have been written and no complete answer came: the server may or may not have acted."""

    why: str


@dataclass(frozen=True, slots=True)
class StatedTime:
    """What a server said the time was: its `Date` header as received, between two moments of our own clock (aware)."""

    server: str
    date: str
    asked_at: datetime
    answered_at: datetime


WireResult: TypeAlias = Answered | NotSent | NoAnswer


def complete(result: WireResult) -> Answered:
    """The answer to a read. Raises BrokerUnavailable when none came."""
    if isinstance(result, Answered):
        return result
    raise BrokerUnavailable(result.why)
