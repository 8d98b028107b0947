"""why a kill switch was released, and when a daily loss tripped

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kill_switches", sa.Column("release_reason", sa.Text(), server_default="", nullable=False))
    op.add_column("risk_limits", sa.Column("square_off_on_loss", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("risk_limits", sa.Column("loss_tripped_on", sa.Date(), nullable=True))
    op.add_column("risk_limits", sa.Column("loss_at_trip", sa.Numeric(precision=20, scale=4), nullable=True))


def downgrade() -> None:
    op.drop_column("risk_limits", "loss_at_trip")
    op.drop_column("risk_limits", "loss_tripped_on")
    op.drop_column("risk_limits", "square_off_on_loss")
    op.drop_column("kill_switches", "release_reason")
