"""shares of earlier days beside the position of the morning

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("position_ledger", sa.Column("delivered", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("position_ledger", "delivered")
