"""paper accounts: cash, orders, trades and holdings of accounts without a broker

Revision ID: 0014
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0007"
branch_labels = None
depends_on = None

_PRODUCT = sa.Enum("MIS", "CNC", "NRML", name="product", native_enum=False, length=24)
_SIDE = sa.Enum("BUY", "SELL", name="side", native_enum=False, length=24)
_STATE = sa.Enum(
    "pending", "open", "complete", "cancelled", "rejected", name="brokerorderstatus", native_enum=False, length=24
)


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=True),
        sa.Column("status", sa.String(length=24), server_default="active", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_by", sa.String(length=40), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=40), nullable=True),
    ]


def _key() -> list[sa.Column]:
    return [
        sa.Column("exchange", sa.String(length=12), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("product", _PRODUCT, nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "paper_accounts",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("starting_cash", sa.Numeric(20, 4), nullable=False),
        sa.Column("cash", sa.Numeric(20, 4), nullable=False),
        sa.Column("slippage_percent", sa.Numeric(6, 4), nullable=False),
        sa.Column("largest_fill", sa.Integer(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reset_at", sa.DateTime(timezone=True), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(
            ["account_id"], ["broker_credentials.id"], name=op.f("fk_paper_accounts_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_accounts")),
        sa.UniqueConstraint("account_id", name=op.f("uq_paper_accounts_account_id")),
    )
    op.create_table(
        "paper_orders",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=20), nullable=True),
        sa.Column("trading_day", sa.Date(), nullable=False),
        *_key(),
        sa.Column("side", _SIDE, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(18, 4), nullable=False),
        sa.Column("tick_size", sa.Numeric(18, 4), nullable=False),
        sa.Column("filled_quantity", sa.Integer(), server_default="0", nullable=False),
        sa.Column("filled_value", sa.Numeric(20, 4), server_default="0", nullable=False),
        sa.Column("filled_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", _STATE, nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(["account_id"], ["paper_accounts.account_id"], name=op.f("fk_paper_orders_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_orders")),
    )
    op.create_index("uq_paper_orders_tag", "paper_orders", ["account_id", "tag"], unique=True)
    op.create_index("ix_paper_orders_day", "paper_orders", ["account_id", "trading_day"])
    op.create_index("ix_paper_orders_open", "paper_orders", ["account_id"], postgresql_where=sa.text("state = 'open'"))
    op.create_table(
        "paper_trades",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("trading_day", sa.Date(), nullable=False),
        *_key(),
        sa.Column("side", _SIDE, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(18, 4), nullable=False),
        sa.Column("price_seen", sa.Numeric(18, 4), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(["order_id"], ["paper_orders.id"], name=op.f("fk_paper_trades_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_trades")),
    )
    op.create_index("ix_paper_trades_day", "paper_trades", ["account_id", "trading_day"])
    op.create_index("uq_paper_trades_price", "paper_trades", ["order_id", "seen_at"], unique=True)
    op.create_table(
        "paper_holdings",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        *_key(),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Numeric(20, 4), nullable=False),
        sa.Column("realised", sa.Numeric(20, 4), nullable=False),
        sa.Column("traded_on", sa.Date(), nullable=False),
        *_record(),
        sa.ForeignKeyConstraint(["account_id"], ["paper_accounts.account_id"], name=op.f("fk_paper_holdings_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_holdings")),
    )
    op.create_index("uq_paper_holdings_key", "paper_holdings", ["account_id", "exchange", "symbol", "product"], unique=True)


def downgrade() -> None:
    op.drop_table("paper_holdings")
    op.drop_table("paper_trades")
    op.drop_table("paper_orders")
    op.drop_table("paper_accounts")
