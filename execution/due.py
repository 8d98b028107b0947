"""An order whose moment has come, and what it is worth sending at."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from execution.armed import ArmedOrder
from execution.claim import WantedEntry, WantedExit
from trading.orders import Leg
from trading.runs import ExitReason

# A broker's answer older than this (seconds) is asked for again: the order may have waited for its budget meanwhile.
QUOTE_LIVES_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Quote:
    """What the order's own broker said its instrument is worth. `price` None: it was asked and said nothing.

    `at`: monotonic seconds.
    """

    price: Decimal | None
    at: float


@dataclass(frozen=True, slots=True)
class Due:
    """An armed order whose moment has come. `reason` is None for an entry; `trigger` is the price that crossed a stop or
    a target."""

    order: ArmedOrder
    wanted_at: datetime
    fired_by: str
    reason: ExitReason | None = None
    trigger: Decimal | None = None
    tries: int = 0
    held_since: float | None = None  # monotonic seconds: waits for a resting buy of ours to be taken back
    admitted_at: float = 0.0  # monotonic seconds: when the budget counted it
    quote: Quote | None = None

    def beats(self, other: "Due") -> bool:
        if self.reason is None or other.reason is None:
            return False
        return self.reason.beats(other.reason)

    def has_been_quoted(self, *, now: float) -> bool:
        """Whether its broker need not be asked. `now`: monotonic seconds.

        An exit asks a broker that said nothing once only: it has its stop to be measured by, and a process that is too busy to
        send within the quote's life would ask for ever.
        """
        if self.quote is None:
            return False
        if self.quote.price is None and self.order.leg is Leg.EXIT:
            return True
        return now - self.quote.at < QUOTE_LIVES_SECONDS


@dataclass(frozen=True, slots=True)
class Measured:
    """A due order with its protected limit and the price that was made from, rupees."""

    due: Due
    limit: Decimal
    reference: Decimal

    def as_entry(self) -> WantedEntry:
        order = self.due.order
        return WantedEntry(order.order_id, self.limit, self.reference, self.due.fired_by, order.band_step)

    def as_exit(self) -> WantedExit:
        return WantedExit(
            order_id=self.due.order.order_id,
            limit=self.limit,
            reference=self.reference,
            reason=self.due.reason or ExitReason.SELL_TIME,
            wanted_at=self.due.wanted_at,
            fired_by=self.due.fired_by,
            trigger=self.due.trigger,
            band_step=self.due.order.band_step,
        )
