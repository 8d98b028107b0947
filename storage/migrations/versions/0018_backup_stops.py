"""an exit may rest at the broker as a stop, wider than the plan's

Revision ID: 0018
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None

_PRICE = sa.Numeric(precision=18, scale=4)


def upgrade() -> None:
    for table in ("strategies", "runs"):
        op.add_column(table, sa.Column("backup_stop", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for column in ("backup_trigger", "change_trigger"):
        op.add_column("orders", sa.Column(column, _PRICE, nullable=True))


def downgrade() -> None:
    for column in ("change_trigger", "backup_trigger"):
        op.drop_column("orders", column)
    for table in ("runs", "strategies"):
        op.drop_column(table, "backup_stop")
