"""orders are found by day

Revision ID: 0015
Revises: 0016
"""

from alembic import op

revision = "0015"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_orders_trading_day", "orders", ["trading_day", "account_id"])


def downgrade() -> None:
    op.drop_index("ix_orders_trading_day", table_name="orders")
