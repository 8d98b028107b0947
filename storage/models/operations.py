"""What operators look at afterwards: seals of the audit log, measurements by the minute, errors and failed broker calls."""

from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Record, text_enum


class AuditSeal(Record):
    """How far the audit log was chained, and the hash there: without it, entries could be taken off the end unseen."""

    __tablename__ = "audit_seals"
    id_prefix = "sea"

    sequence: Mapped[int] = mapped_column(BigInteger, unique=True)
    hash: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class MetricSample(Record):
    """What one process measured in one minute, by the names of `runtime/metrics.py`; what was zero is left out."""

    __tablename__ = "metric_samples"
    id_prefix = "msa"
    __table_args__ = (
        Index("uq_metric_samples_process_minute", "process", "minute", unique=True),
        Index("ix_metric_samples_minute", "minute"),
    )

    process: Mapped[str] = mapped_column(String(120))
    minute: Mapped[datetime]
    measured: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class LogKind(str, Enum):
    ERROR = "error"
    BROKER = "broker"


class LogEntry(Record):
    """A warning or an error of a process, or a call to a broker that failed. Kept for a while; secrets removed before."""

    __tablename__ = "platform_log"
    id_prefix = "plg"
    # Ids grow with time: a span of time is a span of ids.
    __table_args__ = (Index("ix_platform_log_kind", "kind", "id"),)

    kind: Mapped[LogKind] = mapped_column(text_enum(LogKind))
    at: Mapped[datetime]
    process: Mapped[str] = mapped_column(String(120))
    level: Mapped[str] = mapped_column(String(12))
    event: Mapped[str] = mapped_column(String(80))
    message: Mapped[str] = mapped_column(Text, server_default="")
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
