"""Alerts and who was told of them, kill switches, risk limits, settings an admin may change."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Boolean, Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Money, Record, text_enum


class Severity(str, Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Alert(Record):
    """Raised once per `key` while it lasts; cleared when over; acknowledged by a person."""

    __tablename__ = "alerts"
    id_prefix = "alt"
    __table_args__ = (
        Index("uq_alerts_open_key", "key", unique=True, postgresql_where=text("cleared_at IS NULL")),
        # What is open or was open until lately is asked for every second; the rest is history.
        Index("ix_alerts_cleared_at", "cleared_at"),
        Index("ix_alerts_key", "key"),
        # The claim of an entry asks for open alarms of its account.
        Index("ix_alerts_open_account", "account_id", postgresql_where=text("cleared_at IS NULL")),
    )

    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(40))
    severity: Mapped[Severity] = mapped_column(text_enum(Severity))
    message: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(String(40), index=True)
    account_id: Mapped[str | None] = mapped_column(String(40))
    run_id: Mapped[str | None] = mapped_column(String(40))
    raised_at: Mapped[datetime] = mapped_column(server_default=func.now())
    cleared_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(String(40))


class AlertEvent(str, Enum):
    RAISED = "raised"
    CLEARED = "cleared"


class AlertDelivery(Record):
    """What of an alert one target is told. A table of its own, so that telling never locks a row the order path writes."""

    __tablename__ = "alert_deliveries"
    id_prefix = "dlv"
    __table_args__ = (
        UniqueConstraint("alert_id", "event", "target"),
        Index("ix_alert_deliveries_due", "target", "next_attempt_at", postgresql_where=text("delivered_at IS NULL")),
    )

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[AlertEvent] = mapped_column(text_enum(AlertEvent))
    # A name without secrets; the address itself is a setting.
    target: Mapped[str] = mapped_column(String(80))
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]


class KillScope(str, Enum):
    PLATFORM = "platform"
    USER = "user"
    ACCOUNT = "account"
    STRATEGY = "strategy"


class KillSwitch(Record):
    """Engaged while `released_at` is empty; only a person releases it. `scope_id` is empty for the whole platform."""

    __tablename__ = "kill_switches"
    id_prefix = "kil"
    __table_args__ = (
        Index("uq_kill_switches_engaged", "scope", "scope_id", unique=True, postgresql_where=text("released_at IS NULL")),
    )

    scope: Mapped[KillScope] = mapped_column(text_enum(KillScope))
    scope_id: Mapped[str] = mapped_column(String(40), server_default="")
    square_off: Mapped[bool] = mapped_column(Boolean, default=False)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    engaged_at: Mapped[datetime] = mapped_column(server_default=func.now())
    engaged_by: Mapped[str | None] = mapped_column(String(40))
    released_at: Mapped[datetime | None]
    released_by: Mapped[str | None] = mapped_column(String(40))
    release_reason: Mapped[str] = mapped_column(Text, server_default="")


class RiskLimit(Record):
    """Limits of one account; an empty one leaves it to the platform's default. Values in rupees."""

    __tablename__ = "risk_limits"
    id_prefix = "lim"

    account_id: Mapped[str] = mapped_column(String(40), unique=True)
    user_id: Mapped[str] = mapped_column(String(40))
    max_order_value: Mapped[Decimal | None] = mapped_column(Money)
    max_open_value: Mapped[Decimal | None] = mapped_column(Money)
    max_orders_per_day: Mapped[int | None] = mapped_column(Integer)
    max_daily_loss: Mapped[Decimal | None] = mapped_column(Money)
    # The daily loss locks the account; selling what is held as well is the owner's choice.
    square_off_on_loss: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    # The trading day on which the daily loss last tripped, and the loss at that moment.
    loss_tripped_on: Mapped[date | None] = mapped_column(Date)
    loss_at_trip: Mapped[Decimal | None] = mapped_column(Money)


class Setting(Record):
    """A setting an admin may change while the platform runs."""

    __tablename__ = "settings"
    id_prefix = "set"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    value: Mapped[dict[str, Any]]
