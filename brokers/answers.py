"""How one exchange with a broker's server can end, as far as the wire can tell. No HTTP library is needed to read this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar

from trading.orders import RefusalKind, Refused, Unknown
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


Outcome = TypeVar("Outcome")


def outcome_of(result: WireResult, meaning: Callable[[Answered], Outcome]) -> Outcome | Refused | Unknown:
    """What a write came to: not sent is a definite no, no answer leaves it open, and an answer means what its broker says."""
    match result:
        case NotSent(why):
            return Refused(RefusalKind.NOT_SENT, why)
        case NoAnswer(why):
            return Unknown(why)
    return meaning(result)


def complete(result: WireResult) -> Answered:
    """The answer to a read. Raises BrokerUnavailable when none came."""
    if isinstance(result, Answered):
        return result
    raise BrokerUnavailable(result.why)
