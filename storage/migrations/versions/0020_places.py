"""runs that are due in the same second have a place in it

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("place_in_buys", "place_in_sales"):
        op.add_column("runs", sa.Column(column, sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_runs_to_buy", "runs", ["buy_at"], postgresql_where=sa.text("state = 'scheduled'"))
    op.create_index("ix_runs_to_sell", "runs", ["sell_at"], postgresql_where=sa.text("state <> 'ended'"))


def downgrade() -> None:
    op.drop_index("ix_runs_to_sell", "runs")
    op.drop_index("ix_runs_to_buy", "runs")
    for column in ("place_in_sales", "place_in_buys"):
        op.drop_column("runs", column)
