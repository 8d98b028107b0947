"""Users, their sessions, and who did what."""

from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, Index, Integer, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Record, text_enum


class Role(str, Enum):
    ADMIN = "Admin"
    USER = "User"
    BROKER = "Broker"


class UserState(str, Enum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class User(Record):
    __tablename__ = "users"
    id_prefix = "usr"
    __table_args__ = (
        Index("uq_users_email", text("lower(email)"), unique=True, postgresql_where=text("deleted_at IS NULL")),
        # Asked with every sweep of every worker.
        Index("ix_users_suspended", "id", postgresql_where=text("state <> 'active'")),
    )

    email: Mapped[str] = mapped_column(String(320))
    name: Mapped[str] = mapped_column(String(200), server_default="")
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(text_enum(Role), default=Role.USER)
    state: Mapped[UserState] = mapped_column(text_enum(UserState), default=UserState.ACTIVE)
    # Staff of a broker see that broker's statistics only.
    broker: Mapped[str | None] = mapped_column(String(24))
    # The second factor is on from its confirmation; the step of the last code that was taken, so that none works twice.
    sealed_totp_secret: Mapped[str | None] = mapped_column(Text)
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)


class RecoveryCode(Record):
    """Stands in for the second factor, once. Only its hash is stored."""

    __tablename__ = "recovery_codes"
    id_prefix = "rcv"
    __table_args__ = (Index("uq_recovery_codes_user_hash", "user_id", "code_hash", unique=True),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]


class ApiKey(Record):
    """A key of a user's own programs. Only its hash is stored; `beginning` lets a person tell keys apart."""

    __tablename__ = "api_keys"
    id_prefix = "key"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    beginning: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(24)))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Session(Record):
    """One refresh token of a rotating family. Presenting a used one ends the whole family: it was stolen."""

    __tablename__ = "sessions"
    id_prefix = "ses"
    __table_args__ = (Index("ix_sessions_family", "family_id"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    family_id: Mapped[str] = mapped_column(String(40))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # What it was made from, for the person who looks at their sessions.
    address: Mapped[str] = mapped_column(String(64), server_default="")
    user_agent: Mapped[str] = mapped_column(String(200), server_default="")


class AuditEntry(Record):
    """Append-only. Chained a moment after it was written: `hash` covers the entry and the hash before it.

    `number` is the order of writing, with holes where a transaction was given up; `sequence` the place in the chain, without any.
    """

    __tablename__ = "audit_log"
    id_prefix = "aud"
    __table_args__ = (Index("ix_audit_log_unsealed", "number", postgresql_where=text("sequence IS NULL")),)

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    sequence: Mapped[int | None] = mapped_column(Integer, unique=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor_id: Mapped[str | None] = mapped_column(String(40), index=True)
    action: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[str | None] = mapped_column(String(40), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    hash: Mapped[str | None] = mapped_column(String(64))


class IdempotencyKey(Record):
    """The answer a mutation gave the first time; the same key gives the same answer for a day."""

    __tablename__ = "idempotency_keys"
    id_prefix = "idk"
    __table_args__ = (Index("uq_idempotency_keys_user_key", "user_id", "key", unique=True),)

    user_id: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[str] = mapped_column(String(64))
    answer_status: Mapped[int | None] = mapped_column(Integer)
    answer_body: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime]
