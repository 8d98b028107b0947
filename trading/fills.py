"""What an order has done, judged from everything a broker ever said of it.

Updates arrive twice, late, out of order and sometimes backwards. The filled quantity is therefore the largest cumulative
quantity ever seen, never a sum of updates; a terminal state counts only once the order book and the trade book agree.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerTrade, OrderState

ZERO = Decimal(0)
# Held for certain: book and trades have agreed on how it ended.
ENDED_STATES = frozenset({OrderState.FILLED, OrderState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an order has come. `average_price` is zero while nothing is filled."""

    state: OrderState
    filled_quantity: int
    average_price: Decimal

    @property
    def value(self) -> Decimal:
        return self.average_price * self.filled_quantity


@dataclass(frozen=True, slots=True)
class TradeSum:
    """Executions of one order, each counted once."""

    quantity: int
    value: Decimal


def trades_of(broker_order_id: str, trades: Iterable[BrokerTrade]) -> dict[str, BrokerTrade]:
    """The order's executions by trade id: a trade book may list one twice."""
    return {trade.trade_id: trade for trade in trades if trade.broker_order_id == broker_order_id}


def sum_trades(trades: Iterable[BrokerTrade]) -> TradeSum:
    listed = list(trades)
    return TradeSum(sum(trade.quantity for trade in listed), sum((trade.quantity * trade.price for trade in listed), ZERO))


def follow(before: Progress, seen: BrokerOrder, traded: TradeSum | None) -> Progress:
    """The order's progress after one more look at it. `traded` None: the trade book was not read; nothing becomes terminal."""
    filled = max(before.filled_quantity, seen.filled_quantity, traded.quantity if traded else 0)
    average = _average(before, seen, traded, filled)
    return Progress(_state(before, seen, traded, filled), filled, average)


def _average(before: Progress, seen: BrokerOrder, traded: TradeSum | None, filled: int) -> Decimal:
    if traded and traded.quantity == filled and filled:
        return traded.value / filled
    if before.state in ENDED_STATES and filled == before.filled_quantity:
        # It ended with the trades' own average; a late update brings only the broker's rounded one.
        return before.average_price
    if seen.filled_quantity == filled and seen.average_price > 0:
        return seen.average_price
    return before.average_price


def _state(before: Progress, seen: BrokerOrder, traded: TradeSum | None, filled: int) -> OrderState:
    if not seen.status.is_terminal:
        # An older picture of an order that has already ended changes nothing.
        return before.state if before.state in ENDED_STATES else OrderState.OPEN
    if traded is None or not filled == seen.filled_quantity == traded.quantity:
        return before.state if before.state in ENDED_STATES else OrderState.OPEN
    if seen.status is BrokerOrderStatus.COMPLETE:
        return OrderState.FILLED
    if seen.status is BrokerOrderStatus.CANCELLED:
        return OrderState.CANCELLED
    # Rejected after a part was filled is a cancellation of the rest: its fills are ours.
    return OrderState.CANCELLED if filled else OrderState.REJECTED
