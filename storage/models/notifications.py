"""Whom a user wants told: addresses and devices. Both are secrets: whoever knows one can write to its owner."""

from datetime import datetime, time
from enum import Enum

from sqlalchemy import ForeignKey, Index, String, Text, Time, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Record, text_enum


class _Told:
    """Whoever is told: quiet hours are Indian times, both or neither are set."""

    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_to: Mapped[time | None] = mapped_column(Time)
    # The last message that left for it, and whether it was taken.
    told_at: Mapped[datetime | None]
    told_well: Mapped[bool | None]


class NotificationTarget(_Told, Record):
    """A user's own apprise address, sealed, bound to user and row."""

    __tablename__ = "notification_targets"
    id_prefix = "ntf"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    label: Mapped[str] = mapped_column(String(100), server_default="")
    sealed_address: Mapped[str] = mapped_column(Text)


class DevicePlatform(str, Enum):
    ANDROID = "android"
    IOS = "ios"
    WEB = "web"


class DeviceToken(_Told, Record):
    """A device that may be pushed to. The hash tells the same token again; a token belongs to whoever registered it last."""

    __tablename__ = "device_tokens"
    id_prefix = "dev"
    __table_args__ = (Index("uq_device_tokens_token", "token_hash", unique=True, postgresql_where=text("deleted_at IS NULL")),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    platform: Mapped[DevicePlatform] = mapped_column(text_enum(DevicePlatform))
    label: Mapped[str] = mapped_column(String(100), server_default="")
    token_hash: Mapped[str] = mapped_column(String(64))
    sealed_token: Mapped[str] = mapped_column(Text)
