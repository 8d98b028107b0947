"""When a run is handed to a person

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Runs that began before there was such a moment are handed over when their trading day ends in India.
_END_OF_DAY = "(trading_day + 1)::timestamp AT TIME ZONE 'Asia/Kolkata' - interval '1 second'"


def upgrade() -> None:
    op.add_column("runs", sa.Column("hand_over_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(f"UPDATE runs SET hand_over_at = {_END_OF_DAY}")  # noqa: S608 (a constant)
    op.alter_column("runs", "hand_over_at", nullable=False)


def downgrade() -> None:
    op.drop_column("runs", "handed_over_at")
    op.drop_column("runs", "hand_over_at")
