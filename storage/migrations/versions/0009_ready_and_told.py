"""what a look before the open found of each account

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.String(length=24), server_default="active", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_by", sa.String(length=40), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=40), nullable=True),
    ]


def upgrade() -> None:
    op.create_table(
        "readiness_checks",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        sa.Column("check_time", sa.String(length=5), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum("ready", "look", "not_ready", "idle", name="verdict", native_enum=False, length=24),
            nullable=False,
        ),
        sa.Column("checks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("ticket_hash", sa.String(length=64), nullable=True),
        sa.Column("ticket_until", sa.DateTime(timezone=True), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(["account_id"], ["broker_credentials.id"], name=op.f("fk_readiness_checks_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readiness_checks")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_readiness_checks_ticket_hash")),
    )
    op.create_index(
        "uq_readiness_checks_look", "readiness_checks", ["account_id", "trading_day", "check_time"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_readiness_checks_look", table_name="readiness_checks")
    op.drop_table("readiness_checks")
