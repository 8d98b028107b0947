"""What a rehearsed day leaves behind: lines in order of time, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading.runs import EndReason, Holding


@dataclass(frozen=True, slots=True)
class Event:
    """One line of what happened."""

    at: datetime
    kind: str
    message: str
    price: Decimal | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the day ended. `end_reason` None: the prices ended first, and nothing is known."""

    events: tuple[Event, ...]
    holding: Holding
    end_reason: EndReason | None
    detail: str


class Timeline:
    """Grows at its end only."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def tell(self, at: datetime, kind: str, message: str, *, price: Decimal | None = None, quantity: int | None = None) -> None:
        self._events.append(Event(at, kind, message, price, quantity))

    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)
