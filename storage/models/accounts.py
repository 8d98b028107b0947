"""Broker accounts, instruments, desk leases."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Index, Integer, String, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Price, Record, text_enum
from trading.accounts import BrokerName, Environment
from trading.day_readiness import Verdict
from trading.instruments import Segment


class BrokerAccount(Record):
    """One account at one broker. Secrets are sealed, bound to user and field."""

    __tablename__ = "broker_credentials"
    id_prefix = "brk"
    __table_args__ = (
        Index(
            "uq_broker_credentials_account",
            "user_id",
            "broker",
            "broker_user_id",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    broker: Mapped[BrokerName] = mapped_column(text_enum(BrokerName))
    environment: Mapped[Environment] = mapped_column(text_enum(Environment))
    broker_user_id: Mapped[str] = mapped_column(String(64), server_default="")
    label: Mapped[str] = mapped_column(String(100), server_default="")
    sealed_api_key: Mapped[str] = mapped_column(Text)
    sealed_api_secret: Mapped[str] = mapped_column(Text)
    sealed_access_token: Mapped[str | None] = mapped_column(Text)
    sealed_refresh_token: Mapped[str | None] = mapped_column(Text)
    sealed_feed_token: Mapped[str | None] = mapped_column(Text)
    token_expires_at: Mapped[datetime | None]
    # Grows with every login, so that a desk knows when to unseal again.
    session_version: Mapped[int] = mapped_column(Integer, server_default="0")
    session_started_at: Mapped[datetime | None]
    health: Mapped[str] = mapped_column(String(24), server_default="unknown")
    health_detail: Mapped[str] = mapped_column(Text, server_default="")


class InstrumentRow(Record):
    """An instrument as the brokers' masters list it; `broker_tokens` maps a broker's name to its own key for it."""

    __tablename__ = "instruments"
    id_prefix = "ins"
    __table_args__ = (Index("uq_instruments_exchange_symbol", "exchange", "symbol", unique=True),)

    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200), server_default="")
    segment: Mapped[Segment] = mapped_column(text_enum(Segment))
    tick_size: Mapped[Decimal] = mapped_column(Price)
    lot_size: Mapped[int] = mapped_column(Integer, server_default="1")
    freeze_quantity: Mapped[int | None] = mapped_column(Integer)
    has_derivatives: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    lower_circuit: Mapped[Decimal | None] = mapped_column(Price)
    upper_circuit: Mapped[Decimal | None] = mapped_column(Price)
    broker_tokens: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    listed_on: Mapped[date] = mapped_column(Date)


class DeskLease(Record):
    """Which worker runs an account's desk. For order and speed only; safety is the claim on the order row."""

    __tablename__ = "desk_leases"
    id_prefix = "dsk"

    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"), unique=True)
    owner: Mapped[str | None] = mapped_column(String(120), index=True)
    epoch: Mapped[int] = mapped_column(BigInteger, server_default="0")
    expires_at: Mapped[datetime] = mapped_column(server_default=text("'epoch'::timestamptz"))
    # The database server on which the account's rows were last known to be whole. On any other one nothing is sent for the
    # account until its broker's book was compared with the rows; None: on no server yet.
    compared_server: Mapped[str | None] = mapped_column(String(60), server_default=text("database_server()"))


class DatabaseServer(Record):
    """A server this database was found on: the newest row is the one it was on last. Another one may have lost rows."""

    __tablename__ = "database_servers"
    id_prefix = "srv"

    identity: Mapped[str] = mapped_column(String(60))
    noticed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    is_change: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class DeskWorker(Record):
    """A worker process that can run desks, whether or not it holds any lease yet."""

    __tablename__ = "desk_workers"
    id_prefix = "wrk"

    owner: Mapped[str] = mapped_column(String(120), unique=True)
    expires_at: Mapped[datetime]


class ReadinessCheck(Record):
    """What a look before the open found of one account. One row per account, day and time of looking: its owner is told once.

    `ticket_hash`: of the random part of the login link in the message; the link works until `ticket_until`.
    """

    __tablename__ = "readiness_checks"
    id_prefix = "rdy"
    __table_args__ = (Index("uq_readiness_checks_look", "account_id", "trading_day", "check_time", unique=True),)

    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"))
    user_id: Mapped[str] = mapped_column(String(40))
    trading_day: Mapped[date] = mapped_column(Date)
    check_time: Mapped[str] = mapped_column(String(5))
    verdict: Mapped[Verdict] = mapped_column(text_enum(Verdict))
    checks: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    ticket_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    ticket_until: Mapped[datetime]


class PositionLedger(Record):
    """Whose shares are whose, per account, instrument, product and day. `baseline`: the position before the day's trades;
    `delivered`: shares of earlier days, which a delivery position does not show. None: not read."""

    __tablename__ = "position_ledger"
    id_prefix = "led"
    __table_args__ = (Index("uq_position_ledger_key", "account_id", "exchange", "symbol", "product", "trading_day", unique=True),)

    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"))
    user_id: Mapped[str] = mapped_column(String(40))
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(8))
    trading_day: Mapped[date] = mapped_column(Date)
    baseline: Mapped[int | None] = mapped_column(Integer)
    delivered: Mapped[int | None] = mapped_column(Integer)
    # Net of trades in the broker's trade book that no run of ours explains.
    foreign_quantity: Mapped[int] = mapped_column(Integer, server_default="0")
    read_at: Mapped[datetime | None]
