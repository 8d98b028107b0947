"""Orders, their states and their fills."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order is priced."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_LIMIT = "SL"
    STOP_MARKET = "SL-M"

    @property
    def waits_for_trigger(self) -> bool:
        """Stop orders rest outside the book until their trigger price trades."""
        return self in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)


class Product(StrEnum):
    """Delivery, intraday or carry-forward."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"


class Validity(StrEnum):
    """Until the end of the day, or immediate-or-cancel."""

    DAY = "DAY"
    IOC = "IOC"


class Status(StrEnum):
    """The states of an order as Indian order management systems name them."""

    RECEIVED = "PUT ORDER REQ RECEIVED"
    VALIDATION_PENDING = "VALIDATION PENDING"
    OPEN_PENDING = "OPEN PENDING"
    TRIGGER_PENDING = "TRIGGER PENDING"
    OPEN = "OPEN"
    MODIFY_VALIDATION_PENDING = "MODIFY VALIDATION PENDING"
    MODIFY_PENDING = "MODIFY PENDING"
    MODIFIED = "MODIFIED"
    NOT_MODIFIED = "NOT MODIFIED"
    CANCEL_PENDING = "CANCEL PENDING"
    NOT_CANCELLED = "NOT CANCELLED"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self in TERMINAL


TERMINAL = frozenset({Status.COMPLETE, Status.CANCELLED, Status.REJECTED})


class Snapshot(NamedTuple):
    """An order as it was at one moment. Prices in price units, instants in epoch nanoseconds."""

    status: Status
    at_ns: int
    order_type: OrderType
    price: int
    trigger_price: int
    validity: Validity
    quantity: int
    disclosed_quantity: int
    filled: int
    filled_value: int
    pending: int
    cancelled: int
    market_protection: str
    exchange_order_id: str | None
    exchange_at_ns: int
    message: str | None
    message_raw: str | None
    modified: bool


@dataclass(slots=True)
class Order:
    """An order in the engine's hands. Changes only through the engine, which records a Snapshot of each state.

    `fill_cap` is how many may fill at all (None: no cap), set by faults. `priority` orders equal prices by time;
    `rests_in` is where the order waits: "book", "triggers" or nowhere.
    `opening_left` is the part that would open a position and therefore blocks `margin_unit` (price units) each.
    """

    order_id: str
    account: str
    instrument: str
    side: Side
    product: Product
    tag: str | None
    tags: tuple[str, ...]
    placed_by: str
    via_api: bool
    created_ns: int
    order_type: OrderType
    price: int
    trigger_price: int
    validity: Validity
    quantity: int
    disclosed_quantity: int = 0
    market_protection: str = "0"
    fill_cap: int | None = None
    status: Status = Status.RECEIVED
    filled: int = 0
    filled_value: int = 0
    cancelled: int = 0
    exchange_order_id: str | None = None
    exchange_at_ns: int = 0
    message: str | None = None
    message_raw: str | None = None
    modifications: int = 0
    priority: int = 0
    rests_in: str = ""
    opening_left: int = 0
    margin_unit: int = 0
    history: list[Snapshot] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """Quantity not traded and not yet cancelled."""
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self.status not in TERMINAL

    @property
    def can_fill(self) -> int:
        """How much may still trade, within the cap."""
        if self.fill_cap is None:
            return self.pending
        return max(0, min(self.pending, self.fill_cap - self.filled))

    def crosses(self, price: int) -> bool:
        """Whether the limit reaches this price."""
        return self.price >= price if self.side is Side.BUY else self.price <= price

    def snapshot(self, at_ns: int) -> Snapshot:
        """Freeze the present state."""
        rejected = self.status is Status.REJECTED
        return Snapshot(
            self.status,
            at_ns,
            self.order_type,
            self.price,
            self.trigger_price,
            self.validity,
            self.quantity,
            self.disclosed_quantity,
            self.filled,
            self.filled_value,
            0 if rejected else self.pending,
            self.cancelled,
            self.market_protection,
            self.exchange_order_id,
            self.exchange_at_ns,
            self.message,
            self.message_raw,
            self.modifications > 0,
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of one order."""

    trade_id: str
    order_id: str
    account: str
    instrument: str
    side: Side
    product: Product
    quantity: int
    price: int
    at_ns: int
    exchange_order_id: str
    ordered_ns: int


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for, already parsed. Prices in price units; `protection` in percent, None if absent, -1 automatic."""

    account: str
    instrument: str
    side: Side
    order_type: OrderType
    product: Product
    quantity: int
    price: int = 0
    trigger_price: int = 0
    validity: Validity = Validity.DAY
    disclosed_quantity: int = 0
    protection: Decimal | None = None
    tag: str | None = None
    system_tags: tuple[str, ...] = ()
    via_api: bool = True
    fill_cap: int | None = None
    reject_message: str | None = None


@dataclass(frozen=True, slots=True)
class ModifyRequest:
    """The fields a client wants changed; None keeps a field."""

    account: str
    order_id: str
    order_type: OrderType | None = None
    quantity: int | None = None
    price: int | None = None
    trigger_price: int | None = None
    validity: Validity | None = None
    disclosed_quantity: int | None = None
    protection: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for the exchange's own log: arrival instants and what was asked."""

    arrived_ns: int = 0
    monotonic_ns: int = 0
    parameters: dict[str, str] = field(default_factory=dict)
    fault: str | None = None
