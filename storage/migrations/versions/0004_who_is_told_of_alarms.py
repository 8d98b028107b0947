"""who is told of alarms

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('alert_deliveries',
    sa.Column('alert_id', sa.String(length=40), nullable=False),
    sa.Column('event', sa.Enum('raised', 'cleared', name='alertevent', native_enum=False, length=24), nullable=False),
    sa.Column('target', sa.String(length=80), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('tenant_id', sa.String(length=40), nullable=True),
    sa.Column('status', sa.String(length=24), server_default='active', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_by', sa.String(length=40), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deleted_by', sa.String(length=40), nullable=True),
    sa.ForeignKeyConstraint(['alert_id'], ['alerts.id'], name=op.f('fk_alert_deliveries_alert_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_alert_deliveries')),
    sa.UniqueConstraint('alert_id', 'event', 'target', name=op.f('uq_alert_deliveries_alert_id_event_target'))
    )
    op.create_index('ix_alert_deliveries_due', 'alert_deliveries', ['target', 'next_attempt_at'], unique=False, postgresql_where=sa.text('delivered_at IS NULL'))
    op.create_index('ix_alerts_cleared_at', 'alerts', ['cleared_at'], unique=False)
    op.create_index('ix_alerts_key', 'alerts', ['key'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_alerts_key', table_name='alerts')
    op.drop_index('ix_alerts_cleared_at', table_name='alerts')
    op.drop_index('ix_alert_deliveries_due', table_name='alert_deliveries', postgresql_where=sa.text('delivered_at IS NULL'))
    op.drop_table('alert_deliveries')
