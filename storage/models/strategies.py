"""Strategies, their versions, their runs, and each run's timeline."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Identity, Index, Integer, String, Text, Time, func, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Money, Price, Record, text_enum
from trading.accounts import Environment
from trading.instruments import Product
from trading.plan import Repeat
from trading.runs import EndReason, ExitReason, LastAction, Position, RunState, StrategyState


class Strategy(Record):
    """The current plan. Every change also writes an immutable `StrategyVersion`."""

    __tablename__ = "strategies"
    id_prefix = "str"
    __table_args__ = (
        Index("ix_strategies_user_list", "user_id", "created_at", "id", postgresql_where=text("deleted_at IS NULL")),
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("broker_credentials.id"), index=True)
    name: Mapped[str] = mapped_column(String(120), server_default="")
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    quantity: Mapped[int] = mapped_column(Integer)
    buy_time: Mapped[time] = mapped_column(Time)
    sell_time: Mapped[time] = mapped_column(Time)
    stop_loss: Mapped[Decimal] = mapped_column(Price)
    target_price: Mapped[Decimal | None] = mapped_column(Price)
    # How the stop follows the highest price, in rupees or in percent of it; neither: it stands still.
    trailing_by: Mapped[Decimal | None] = mapped_column(Price)
    trailing_percent: Mapped[Decimal | None] = mapped_column(Price)
    # Whether the exit rests at the broker as a stop-limit order, wider than the stop, until it is wanted.
    backup_stop: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    repeat: Mapped[Repeat] = mapped_column(text_enum(Repeat), default=Repeat.ONCE)
    max_lateness_seconds: Mapped[int | None] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer, default=1)
    state: Mapped[StrategyState] = mapped_column(text_enum(StrategyState), default=StrategyState.CREATED)


class StrategyVersion(Record):
    __tablename__ = "strategy_versions"
    id_prefix = "ver"
    __table_args__ = (Index("uq_strategy_versions_version", "strategy_id", "version", unique=True),)

    strategy_id: Mapped[str] = mapped_column(ForeignKey("strategies.id"))
    user_id: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(Integer)
    plan: Mapped[dict[str, Any]]


class Run(Record):
    """One day of one strategy, with the plan as it was at the start. At most one run of a strategy is not `ended`."""

    __tablename__ = "runs"
    id_prefix = "run"
    __table_args__ = (
        Index("uq_runs_one_open", "strategy_id", unique=True, postgresql_where=text("state <> 'ended'")),
        Index("ix_runs_open", "account_id", "state", postgresql_where=text("state <> 'ended'")),
        Index("ix_runs_to_buy", "buy_at", postgresql_where=text("state = 'scheduled'")),
        Index("ix_runs_to_sell", "sell_at", postgresql_where=text("state <> 'ended'")),
        Index("ix_runs_account_instrument", "account_id", "exchange", "symbol", "trading_day"),
    )

    strategy_id: Mapped[str] = mapped_column(ForeignKey("strategies.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"))
    strategy_version: Mapped[int] = mapped_column(Integer)
    environment: Mapped[Environment] = mapped_column(text_enum(Environment))
    trading_day: Mapped[date] = mapped_column(Date)
    workflow_id: Mapped[str] = mapped_column(String(120), index=True)
    state: Mapped[RunState] = mapped_column(text_enum(RunState), default=RunState.SCHEDULED)

    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    quantity: Mapped[int] = mapped_column(Integer)
    buy_at: Mapped[datetime]
    sell_at: Mapped[datetime]
    # The product's last moment; what is open then is a person's, and `handed_over_at` says since when.
    hand_over_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]
    stop_loss: Mapped[Decimal] = mapped_column(Price)
    # Counts every change of the prices at which it leaves: the stop, raised ones included, and the target.
    stop_version: Mapped[int] = mapped_column(Integer, default=1)
    target_price: Mapped[Decimal | None] = mapped_column(Price)
    trailing_by: Mapped[Decimal | None] = mapped_column(Price)
    trailing_percent: Mapped[Decimal | None] = mapped_column(Price)
    backup_stop: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    # Of a stop that trails: the highest price since the entry that has moved it, its own purchase included.
    highest_price: Mapped[Decimal | None] = mapped_column(Price)
    max_lateness_seconds: Mapped[int | None] = mapped_column(Integer)
    starts_now: Mapped[bool] = mapped_column(Boolean, default=False)
    # How many that were written before it buy, and sell, in the same second.
    place_in_buys: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    place_in_sales: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))

    # What its own fills say; kept in the same transaction as the fills.
    bought: Mapped[int] = mapped_column(Integer, default=0)
    buy_value: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    sold: Mapped[int] = mapped_column(Integer, default=0)
    # Shares of this run that somebody else sold, as foreign trades prove: they are not ours to sell any more.
    taken_elsewhere: Mapped[int] = mapped_column(Integer, default=0)
    sell_value: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))
    position: Mapped[Position] = mapped_column(text_enum(Position), default=Position.NONE)
    last_action: Mapped[LastAction | None] = mapped_column(text_enum(LastAction))
    realised_pnl: Mapped[Decimal] = mapped_column(Money, default=Decimal(0))

    # Why it leaves or ended, and how late its orders were (milliseconds after the wanted instant).
    exit_reason: Mapped[ExitReason | None] = mapped_column(text_enum(ExitReason))
    exit_wanted_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None] = mapped_column(text_enum(EndReason))
    end_detail: Mapped[str] = mapped_column(Text, server_default="")
    entry_late_ms: Mapped[int | None] = mapped_column(Integer)
    exit_late_ms: Mapped[int | None] = mapped_column(Integer)
    # A user's stop with square_off=false: cancel what rests, leave the position, say so.
    leave_open: Mapped[bool] = mapped_column(Boolean, default=False)
    stop_requested_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class RunEvent(Record):
    """One line of a run's timeline, in plain words. Append-only; `sequence` is the resume point of live streams."""

    __tablename__ = "run_events"
    id_prefix = "evt"
    __table_args__ = (Index("ix_run_events_run", "run_id", "sequence"), Index("ix_run_events_user", "user_id", "sequence"))

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    strategy_id: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(Text)
    price: Mapped[Decimal | None] = mapped_column(Price)
    quantity: Mapped[int | None] = mapped_column(Integer)
    late_ms: Mapped[int | None] = mapped_column(Integer)
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
