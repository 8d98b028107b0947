"""What every table has in common."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import DateTime, MetaData, Numeric, String, func
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.ids import new_id

# Fixed names, so that a downgrade can find what an upgrade made.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Instant = DateTime(timezone=True)
Price = Numeric(18, 4)
Money = Numeric(20, 4)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: Instant, Decimal: Price, dict[str, Any]: JSONB}


def text_enum(kind: type[Enum], length: int = 24) -> SqlEnum:
    """An enum stored as its text value; an unknown value in the database raises on read, it is never guessed."""
    return SqlEnum(kind, native_enum=False, length=length, values_callable=lambda members: [member.value for member in members])


class Record(Base):
    """Identity, authorship and life of a row. `deleted_at` set means gone for users and kept for the record."""

    __abstract__ = True
    id_prefix: str = "rec"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(24), server_default="active")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_by: Mapped[str | None] = mapped_column(String(40))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    updated_by: Mapped[str | None] = mapped_column(String(40))
    deleted_at: Mapped[datetime | None]
    deleted_by: Mapped[str | None] = mapped_column(String(40))

    def __init__(self, **values: Any) -> None:
        values.setdefault("id", new_id(self.id_prefix))
        super().__init__(**values)
