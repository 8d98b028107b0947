"""a plan may leave at a target price, and its stop may follow the price

Revision ID: 0013
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0014"
branch_labels = None
depends_on = None

_PRICE = sa.Numeric(precision=18, scale=4)
_PLAN = ("target_price", "trailing_by", "trailing_percent")


def upgrade() -> None:
    for table in ("strategies", "runs"):
        for column in _PLAN:
            op.add_column(table, sa.Column(column, _PRICE, nullable=True))
    op.add_column("runs", sa.Column("highest_price", _PRICE, nullable=True))
    op.add_column("orders", sa.Column("target_price", _PRICE, nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "target_price")
    op.drop_column("runs", "highest_price")
    for table in ("runs", "strategies"):
        for column in _PLAN:
            op.drop_column(table, column)
