"""The playground: prices people brought along, what they had reckoned, and each day of it. Nothing here is ever traded."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Boolean, Date, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Money, Price, Record, text_enum


class JobKind(str, Enum):
    SIMULATE = "simulate"
    BACKTEST = "backtest"


class JobState(str, Enum):
    """`playing`: reckoned, and being shown at the chosen speed."""

    QUEUED = "queued"
    RUNNING = "running"
    PLAYING = "playing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class PlaygroundData(Record):
    """A file of prices, read and checked. `content`: the bars as the playground packs them."""

    __tablename__ = "playground_data"
    id_prefix = "dat"
    __table_args__ = (Index("ix_playground_data_user", "user_id", "id"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(120))
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    format: Mapped[str] = mapped_column(String(12))
    bar_seconds: Mapped[int] = mapped_column(Integer)
    row_count: Mapped[int] = mapped_column(Integer)
    day_count: Mapped[int] = mapped_column(Integer)
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class PlaygroundJob(Record):
    """One simulation or backtest: what was asked, how far it is, what came of it."""

    __tablename__ = "playground_jobs"
    id_prefix = "pgj"
    __table_args__ = (Index("ix_playground_jobs_user", "user_id", "id"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[JobKind] = mapped_column(text_enum(JobKind))
    state: Mapped[JobState] = mapped_column(text_enum(JobState), default=JobState.QUEUED)
    name: Mapped[str] = mapped_column(String(120), server_default="")
    # None: the sample that comes with the project, or a made-up day.
    data_id: Mapped[str | None] = mapped_column(String(40))
    request: Mapped[dict[str, Any]]
    total: Mapped[int] = mapped_column(Integer, default=1)
    finished: Mapped[int] = mapped_column(Integer, default=0)
    result: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"), default=dict)
    failure: Mapped[str] = mapped_column(Text, server_default="", default="")
    started_at: Mapped[datetime | None]
    playing_since: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class PlaygroundDay(Record):
    """What came of one plan on one day. `sequence` counts within the job, in the order of days."""

    __tablename__ = "playground_days"
    id_prefix = "pgd"
    __table_args__ = (Index("uq_playground_days_sequence", "job_id", "sequence", unique=True),)

    job_id: Mapped[str] = mapped_column(ForeignKey("playground_jobs.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(String(40))
    sequence: Mapped[int] = mapped_column(Integer)
    variant: Mapped[int] = mapped_column(Integer)
    trading_day: Mapped[date] = mapped_column(Date)
    outcome: Mapped[str] = mapped_column(String(24))
    is_judged: Mapped[bool] = mapped_column(Boolean)
    quantity: Mapped[int] = mapped_column(Integer)
    stop_loss: Mapped[Decimal | None] = mapped_column(Price)
    bought_at: Mapped[datetime | None]
    buy_price: Mapped[Decimal | None] = mapped_column(Price)
    sold_at: Mapped[datetime | None]
    sell_price: Mapped[Decimal | None] = mapped_column(Price)
    has_gap: Mapped[bool] = mapped_column(Boolean)
    gross: Mapped[Decimal] = mapped_column(Money)
    charges: Mapped[Decimal] = mapped_column(Money)
    net: Mapped[Decimal] = mapped_column(Money)
