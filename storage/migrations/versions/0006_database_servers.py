"""which server the database is on, and on which one each account was last compared with its broker

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A copy restored from a dump has another system identifier, a promoted replica or a recovery to a point in time another timeline.
_IDENTITY = """
    CREATE FUNCTION database_server() RETURNS text LANGUAGE sql STABLE AS $$
        SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
    $$
"""


def upgrade() -> None:
    op.execute(_IDENTITY)
    op.create_table(
        "database_servers",
        sa.Column("identity", sa.String(length=60), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("is_change", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.String(length=24), server_default="active", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_by", sa.String(length=40), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_database_servers")),
    )
    op.execute("INSERT INTO database_servers (id, identity) VALUES ('srv_first', database_server())")
    op.add_column(
        "desk_leases",
        sa.Column("compared_server", sa.String(length=60), server_default=sa.text("database_server()"), nullable=True),
    )
    op.create_index("ix_alerts_open_account", "alerts", ["account_id"], postgresql_where=sa.text("cleared_at IS NULL"))


def downgrade() -> None:
    op.drop_index("ix_alerts_open_account", table_name="alerts")
    op.drop_column("desk_leases", "compared_server")
    op.drop_table("database_servers")
    op.execute("DROP FUNCTION database_server()")
