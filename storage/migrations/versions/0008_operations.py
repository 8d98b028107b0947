"""the audit log is chained after it was written; measurements by the minute; errors and failed broker calls

Revision ID: 0008
Revises: 0006
"""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

_CHAIN_COLUMNS = ("sequence", "previous_hash", "hash")


def _record_columns() -> list[sa.Column]:
    instant = sa.DateTime(timezone=True)
    return [
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.String(length=24), server_default="active", nullable=False),
        sa.Column("created_at", instant, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=True),
        sa.Column("updated_at", instant, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_by", sa.String(length=40), nullable=True),
        sa.Column("deleted_at", instant, nullable=True),
        sa.Column("deleted_by", sa.String(length=40), nullable=True),
    ]


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "audit_seals",
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", instant, server_default=sa.text("clock_timestamp()"), nullable=False),
        *_record_columns(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("sequence", name=op.f("uq_audit_seals_sequence")),
    )
    op.create_table(
        "metric_samples",
        sa.Column("process", sa.String(length=120), nullable=False),
        sa.Column("minute", instant, nullable=False),
        sa.Column("measured", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        *_record_columns(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_samples")),
    )
    op.create_index("uq_metric_samples_process_minute", "metric_samples", ["process", "minute"], unique=True)
    op.create_index("ix_metric_samples_minute", "metric_samples", ["minute"])
    op.create_table(
        "platform_log",
        sa.Column("kind", sa.Enum("error", "broker", name="logkind", native_enum=False, length=24), nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("process", sa.String(length=120), nullable=False),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("event", sa.String(length=80), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("data", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        *_record_columns(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform_log")),
    )
    op.create_index("ix_platform_log_kind", "platform_log", ["kind", "id"])
    _free_the_audit_log()


def _free_the_audit_log() -> None:
    """Entries that were chained while they were written keep their place; the newest of them is the first seal."""
    op.add_column("audit_log", sa.Column("number", sa.BigInteger(), nullable=True))
    op.execute("UPDATE audit_log SET number = sequence")
    op.alter_column("audit_log", "number", nullable=False)
    op.execute("ALTER TABLE audit_log ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        "SELECT setval(pg_get_serial_sequence('audit_log', 'number'), (SELECT COALESCE(max(number), 0) + 1 FROM audit_log), false)"
    )
    op.create_unique_constraint(op.f("uq_audit_log_number"), "audit_log", ["number"])
    for column in _CHAIN_COLUMNS:
        op.alter_column("audit_log", column, nullable=True)
    op.create_index("ix_audit_log_unsealed", "audit_log", ["number"], postgresql_where=sa.text("sequence IS NULL"))
    op.execute(
        "INSERT INTO audit_seals (id, sequence, hash) "
        "SELECT 'sea_first', sequence, hash FROM audit_log ORDER BY sequence DESC LIMIT 1"
    )


def downgrade() -> None:
    _chain_the_rest()
    op.drop_index("ix_audit_log_unsealed", table_name="audit_log")
    for column in _CHAIN_COLUMNS:
        op.alter_column("audit_log", column, nullable=False)
    op.drop_constraint(op.f("uq_audit_log_number"), "audit_log", type_="unique")
    op.drop_column("audit_log", "number")
    for table in ("platform_log", "metric_samples", "audit_seals"):
        op.drop_table(table)


def _chain_the_rest() -> None:
    """The schema before knows no entry without a place in the chain."""
    connection = op.get_bind()
    newest = sa.text("SELECT sequence, hash FROM audit_log WHERE sequence IS NOT NULL ORDER BY sequence DESC LIMIT 1")
    last = connection.execute(newest).first()
    sequence, previous = (last.sequence, last.hash) if last else (0, "0" * 64)
    rest = sa.text("SELECT id, at, actor_id, action, subject_id, data FROM audit_log WHERE sequence IS NULL ORDER BY number")
    place = sa.text("UPDATE audit_log SET sequence = :sequence, previous_hash = :previous, hash = :hash WHERE id = :id")
    for entry in connection.execute(rest).all():
        sequence += 1
        at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
        content = [sequence, at, entry.actor_id, entry.action, entry.subject_id, entry.data, previous]
        hashed = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        connection.execute(place, {"sequence": sequence, "previous": previous, "hash": hashed, "id": entry.id})
        previous = hashed
