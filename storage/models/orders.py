"""Orders, fills, and the log of every request and answer."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, Integer, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Price, Record, text_enum
from trading.instruments import Product
from trading.orders import Leg, OrderState, Side, SupersededFor
from trading.runs import ExitReason


class ChangeKind(str, Enum):
    MODIFY = "modify"
    CANCEL = "cancel"


class ChangeState(str, Enum):
    """A change is written before it is sent, and may end without an answer like an order may."""

    INTENDED = "intended"
    UNKNOWN = "unknown"


class Order(Record):
    """One attempt of one leg, written before anything is sent; every change of it is one compare-and-set on `revision`."""

    __tablename__ = "orders"
    id_prefix = "ord"
    __table_args__ = (
        Index("uq_orders_attempt", "run_id", "leg", "attempt", unique=True),
        Index(
            "uq_orders_one_live",
            "run_id",
            "leg",
            unique=True,
            postgresql_where=text("state IN ('armed', 'sending', 'unknown', 'open')"),
        ),
        Index("uq_orders_tag", "account_id", "tag", unique=True),
        Index("ix_orders_live", "account_id", "state", postgresql_where=text("state IN ('armed', 'sending', 'unknown', 'open')")),
        Index("ix_orders_watched", "account_id", postgresql_where=text("watched_until IS NOT NULL")),
        Index("ix_orders_broker_order_id", "account_id", "broker_order_id"),
        Index("ix_orders_user_list", "user_id", "created_at", "id"),
        Index("ix_orders_trading_day", "trading_day", "account_id"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    strategy_id: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"))
    trading_day: Mapped[date] = mapped_column(Date)
    leg: Mapped[Leg] = mapped_column(text_enum(Leg))
    attempt: Mapped[int] = mapped_column(Integer)
    tag: Mapped[str] = mapped_column(String(20))
    state: Mapped[OrderState] = mapped_column(text_enum(OrderState))
    revision: Mapped[int] = mapped_column(Integer, default=1)

    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    side: Mapped[Side] = mapped_column(text_enum(Side))
    quantity: Mapped[int] = mapped_column(Integer)
    # The limit of the last request that was written down; None until the order is claimed.
    price: Mapped[Decimal | None] = mapped_column(Price)
    # The price the limit was made from, and how wide the band was (see trading/bands.py).
    # Of an exit that rests at the broker as a stop: its trigger. Cleared when it becomes the exit; kept when it dies before.
    backup_trigger: Mapped[Decimal | None] = mapped_column(Price)
    reference_price: Mapped[Decimal | None] = mapped_column(Price)
    band_step: Mapped[int] = mapped_column(Integer, default=0)

    # When it fires: at an instant, at a price, or at whichever comes first. An entry's stop_price is its guard instead:
    # at or below that price there is nothing to buy.
    fire_at: Mapped[datetime | None]
    stop_price: Mapped[Decimal | None] = mapped_column(Price)
    stop_version: Mapped[int] = mapped_column(Integer, default=1)
    # The same from above: an exit leaves at or above it, and an entry does not.
    target_price: Mapped[Decimal | None] = mapped_column(Price)
    # An entry is pointless after this instant; an exit never gives up.
    deadline_at: Mapped[datetime | None]
    # The reason it was fired for, and the instant at which that reason came true.
    reason: Mapped[ExitReason | None] = mapped_column(text_enum(ExitReason))
    wanted_at: Mapped[datetime | None]
    trigger_price: Mapped[Decimal | None] = mapped_column(Price)
    fired_by: Mapped[str | None] = mapped_column(String(16))

    superseded_for: Mapped[SupersededFor | None] = mapped_column(text_enum(SupersededFor))

    owner: Mapped[str | None] = mapped_column(String(120))
    send_by: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    filled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    late_ms: Mapped[int | None] = mapped_column(Integer)

    broker_order_id: Mapped[str | None] = mapped_column(String(40))
    exchange_order_id: Mapped[str | None] = mapped_column(String(40))
    algo_id: Mapped[str | None] = mapped_column(String(40))
    filled_quantity: Mapped[int] = mapped_column(Integer, default=0)
    average_price: Mapped[Decimal] = mapped_column(Price, default=Decimal(0))
    refusal: Mapped[str | None] = mapped_column(String(24))
    message: Mapped[str] = mapped_column(Text, server_default="")

    # A change under way: written before it is sent, ended by its answer or by the book.
    change_kind: Mapped[ChangeKind | None] = mapped_column(text_enum(ChangeKind))
    change_state: Mapped[ChangeState | None] = mapped_column(text_enum(ChangeState))
    change_quantity: Mapped[int | None] = mapped_column(Integer)
    change_price: Mapped[Decimal | None] = mapped_column(Price)
    change_trigger: Mapped[Decimal | None] = mapped_column(Price)
    changed_at: Mapped[datetime | None]
    modifications: Mapped[int] = mapped_column(Integer, default=0)
    cancel_wanted_at: Mapped[datetime | None]

    # Resolving: the first of the two fresh reads that did not find it.
    missing_since: Mapped[datetime | None]
    # Tags of absent and dead attempts are looked for until then.
    watched_until: Mapped[datetime | None]


class FillRow(Record):
    """One execution, as the broker's trade book lists it; a trade is stored once however often it is seen."""

    __tablename__ = "fills"
    id_prefix = "fil"
    __table_args__ = (Index("uq_fills_trade", "account_id", "trade_id", "broker_order_id", unique=True),)

    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"), index=True)
    run_id: Mapped[str] = mapped_column(String(40), index=True)
    user_id: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[str] = mapped_column(String(40))
    broker_order_id: Mapped[str] = mapped_column(String(40))
    trade_id: Mapped[str] = mapped_column(String(40))
    quantity: Mapped[int] = mapped_column(Integer)
    price: Mapped[Decimal] = mapped_column(Price)
    filled_at: Mapped[datetime]


class OrderLog(Record):
    """Append-only record of every request and answer, secrets removed, kept five years."""

    __tablename__ = "order_logs"
    id_prefix = "log"
    # Times are looked for by id, which begins with one: no index burdens the order path for it.
    __table_args__ = (Index("ix_order_logs_order", "order_id", "created_at"),)

    order_id: Mapped[str] = mapped_column(String(40))
    account_id: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    what: Mapped[str] = mapped_column(String(24))
    request: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    answer: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
