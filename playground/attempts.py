"""One attempt of a rehearsed run, as the database would have it, under the platform's own table of states."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from trading.fills import TradeSum
from trading.next_step import AttemptView
from trading.orders import DEAD_STATES, Leg, OrderState, SupersededFor, can_become

ZERO = Decimal(0)
NOTHING = TradeSum(0, ZERO)


class CannotBe(Exception):
    """An order did what the platform's own table of states forbids: a fault of ours, never a result."""


@dataclass(slots=True)
class Attempt:
    """Known by its tag, as at a broker. `limit`, `average`: rupees; `traded`: its executions, each counted once."""

    leg: Leg
    view: AttemptView
    limit: Decimal = ZERO
    broker_order_id: str = ""
    traded: TradeSum = NOTHING
    average: Decimal = ZERO
    superseded_for: SupersededFor | None = None
    message: str = ""

    @property
    def tag(self) -> str:
        return self.view.order_id

    def become(self, state: OrderState, now: datetime) -> None:
        """Raises CannotBe."""
        if not can_become(self.view.state, state):
            raise CannotBe(f"{self.tag} from {self.view.state.value} to {state.value}")
        ends_now = state in DEAD_STATES and self.view.state not in DEAD_STATES
        self.view = replace(self.view, state=state, ended_at=now if ends_now else self.view.ended_at)


def sums(attempts: Sequence[Attempt]) -> tuple[int, Decimal]:
    """Shares filled, and what their trades cost or brought."""
    return sum(attempt.view.filled_quantity for attempt in attempts), sum((attempt.traded.value for attempt in attempts), ZERO)
