"""Orders: the states of one attempt, the three ways a broker call can end, and what a broker's book says of an order."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from trading.instruments import InstrumentId, Product


class Side(str, Enum):
    BUY = "BUY"
    SELL = "SELL"


class Leg(str, Enum):
    """The two halves of a trade."""

    ENTRY = "entry"
    EXIT = "exit"

    @property
    def side(self) -> Side:
        return Side.BUY if self is Leg.ENTRY else Side.SELL


class OrderState(str, Enum):
    """Where one attempt stands. Everything after `sending` is what the broker's book proved, but for the last: its day ended
    before the book could be read, and only a person can tell now."""

    ARMED = "armed"
    SUPERSEDED = "superseded"
    SENDING = "sending"
    UNKNOWN = "unknown"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    ABSENT = "absent"
    HANDED_OVER = "handed_over"


# The one table that decides every change of state. Absent and rejected may be overtaken by the book: a request stuck in a
# broker's gateway can land after its absence was proved, and the book is always right.
_NEXT: dict[OrderState, frozenset[OrderState]] = {
    OrderState.ARMED: frozenset({OrderState.SENDING, OrderState.SUPERSEDED}),
    OrderState.SUPERSEDED: frozenset(),
    OrderState.SENDING: frozenset(
        {
            OrderState.ARMED,
            OrderState.UNKNOWN,
            OrderState.OPEN,
            OrderState.FILLED,
            OrderState.CANCELLED,
            OrderState.REJECTED,
            OrderState.ABSENT,
            OrderState.HANDED_OVER,
        }
    ),
    OrderState.UNKNOWN: frozenset(
        {
            OrderState.OPEN,
            OrderState.FILLED,
            OrderState.CANCELLED,
            OrderState.REJECTED,
            OrderState.ABSENT,
            OrderState.HANDED_OVER,
        }
    ),
    OrderState.OPEN: frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.HANDED_OVER}),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.REJECTED: frozenset({OrderState.OPEN, OrderState.FILLED, OrderState.CANCELLED}),
    OrderState.ABSENT: frozenset({OrderState.OPEN, OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}),
    OrderState.HANDED_OVER: frozenset(),
}

LIVE_STATES = frozenset({OrderState.ARMED, OrderState.SENDING, OrderState.UNKNOWN, OrderState.OPEN})
IN_DOUBT_STATES = frozenset({OrderState.SENDING, OrderState.UNKNOWN})
DEAD_STATES = frozenset(OrderState) - LIVE_STATES


def can_become(now: OrderState, then: OrderState) -> bool:
    """Whether the table allows the change; staying where one is always is."""
    return now is then or then in _NEXT[now]


class SupersededFor(str, Enum):
    """Why an armed order never left."""

    STOPPED = "stopped"
    PRICE_AT_STOP = "price_at_stop"
    PRICE_AT_TARGET = "price_at_target"
    DEADLINE = "deadline"
    KILL_SWITCH = "kill_switch"
    NOT_NEEDED = "not_needed"
    HANDED_OVER = "handed_over"
    RISK_LIMIT = "risk_limit"
    SUSPENDED = "suspended"


class BrokerOrderStatus(str, Enum):
    """A broker's words for an order, translated once per broker. A word nobody knows raises there."""

    PENDING = "pending"
    OPEN = "open"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_terminal(self) -> bool:
        return self in (BrokerOrderStatus.COMPLETE, BrokerOrderStatus.CANCELLED, BrokerOrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A DAY LIMIT order, complete and checked, as it goes to a broker. `price` in rupees, on the tick. With a `trigger_price` it
    is a stop-limit order: it waits until the price has been there. Only brokers whose limits say `resting_stops` get one."""

    tag: str
    instrument: InstrumentId
    product: Product
    side: Side
    quantity: int
    price: Decimal
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModifyRequest:
    """New total quantity and new limit price for a resting order, which is a plain limit order from then on, or one that waits
    for its `trigger_price`."""

    broker_order_id: str
    quantity: int
    price: Decimal
    trigger_price: Decimal | None = None


class RefusalKind(str, Enum):
    """Why a broker said a definite no, as far as it decides what happens next."""

    INPUT = "input"  # the order itself is wrong: sending it again would be refused again
    MARGIN = "margin"
    HOLDING = "holding"
    SESSION = "session"  # token expired or replaced: a person has to log in
    PERMISSION = "permission"  # account or address is not allowed to trade
    RATE_LIMIT = "rate_limit"
    NOT_SENT = "not_sent"  # failed before the first byte was written
    GONE = "gone"  # modify or cancel of an order that is already terminal
    BUSY = "busy"  # another change of that order is being processed
    BUDGET = "budget"  # modifications used up
    OTHER = "other"

    @property
    def is_retryable(self) -> bool:
        return self in (RefusalKind.RATE_LIMIT, RefusalKind.NOT_SENT, RefusalKind.BUSY)


@dataclass(frozen=True, slots=True)
class Placed:
    """The broker has the order. Not a fill: only the book says what became of it."""

    broker_order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A definite no: no order exists. `message` is the broker's own words."""

    kind: RefusalKind
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No proof either way. Only reading the broker's book ends this."""

    why: str


PlaceOutcome: TypeAlias = Placed | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker took the change; whether it came to pass is in the book."""


ChangeOutcome: TypeAlias = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker's book shows it. `average_price` is exact only once the trades were read. `trigger_price`: what it
    waits for; None once it has triggered, and for a plain limit order."""

    broker_order_id: str
    tag: str | None
    instrument: InstrumentId
    product: Product | None
    side: Side
    quantity: int
    filled_quantity: int
    price: Decimal
    average_price: Decimal
    status: BrokerOrderStatus
    message: str
    updated_at: datetime | None
    exchange_order_id: str | None = None
    algo_id: str | None = None
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BrokerTrade:
    """One execution as the broker's trade book shows it. `price` in rupees."""

    trade_id: str
    broker_order_id: str
    instrument: InstrumentId
    product: Product | None
    side: Side
    quantity: int
    price: Decimal
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """Net position of an instrument in one product; negative when short."""

    instrument: InstrumentId
    product: Product | None
    net_quantity: int
    average_price: Decimal
    last_price: Decimal


@dataclass(frozen=True, slots=True)
class BrokerHolding:
    """Shares bought for delivery on an earlier day, those still on their way included, pledged ones perhaps not. Whether what was
    sold today is still counted differs by broker and hour: today's trades are what tells. `average_price` in rupees."""

    instrument: InstrumentId
    quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The day's orders as read. `requested_at`, monotonic seconds, is taken before the request was sent: what happened before
    it is in the snapshot, if the broker's book is healthy."""

    orders: tuple[BrokerOrder, ...]
    requested_at: float

    def by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        return tuple(order for order in self.orders if order.tag == tag)
