"""devices are told: quiet hours, and when the last message left for each

Revision ID: 0016
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = {
    "quiet_from": sa.Time(),
    "quiet_to": sa.Time(),
    "told_at": sa.DateTime(timezone=True),
    "told_well": sa.Boolean(),
}


def upgrade() -> None:
    for name, kind in _COLUMNS.items():
        op.add_column("device_tokens", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("device_tokens", name)
