"""brokers whose sessions have tokens of several kinds

Revision ID: 0012
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("broker_credentials", sa.Column("sealed_refresh_token", sa.Text(), nullable=True))
    op.add_column("broker_credentials", sa.Column("sealed_feed_token", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("broker_credentials", "sealed_feed_token")
    op.drop_column("broker_credentials", "sealed_refresh_token")
