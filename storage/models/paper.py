"""Paper accounts: what the broker of a real account would keep. Everything of one account changes under the lock of its row.

Orders and holdings refer to that row and to no other: writing them then waits for no lock but the one that is held already.
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Date, ForeignKey, Index, Integer, Numeric, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Money, Price, Record, text_enum
from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side

_OPEN = text("state = 'open'")


class PaperAccount(Record):
    """Cash and rules of one paper account. `sequence` grows with every change of an order, so that followers miss none."""

    __tablename__ = "paper_accounts"
    id_prefix = "pap"

    account_id: Mapped[str] = mapped_column(ForeignKey("broker_credentials.id"), unique=True)
    user_id: Mapped[str] = mapped_column(String(40))
    starting_cash: Mapped[Decimal] = mapped_column(Money)
    cash: Mapped[Decimal] = mapped_column(Money)
    slippage_percent: Mapped[Decimal] = mapped_column(Numeric(6, 4))
    largest_fill: Mapped[int | None] = mapped_column(Integer)
    sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    reset_at: Mapped[datetime]


class PaperOrder(Record):
    """One order; its id is the broker's order id. A tag stands for one order for ever."""

    __tablename__ = "paper_orders"
    id_prefix = "por"
    __table_args__ = (
        Index("uq_paper_orders_tag", "account_id", "tag", unique=True),
        Index("ix_paper_orders_day", "account_id", "trading_day"),
        Index("ix_paper_orders_open", "account_id", postgresql_where=_OPEN),
    )

    account_id: Mapped[str] = mapped_column(ForeignKey("paper_accounts.account_id"))
    # None: placed for its owner by a reset.
    tag: Mapped[str | None] = mapped_column(String(20))
    trading_day: Mapped[date] = mapped_column(Date)
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    side: Mapped[Side] = mapped_column(text_enum(Side))
    quantity: Mapped[int] = mapped_column(Integer)
    price: Mapped[Decimal] = mapped_column(Price)
    tick_size: Mapped[Decimal] = mapped_column(Price)
    filled_quantity: Mapped[int] = mapped_column(Integer, server_default="0")
    filled_value: Mapped[Decimal] = mapped_column(Money, server_default="0")
    # The instant of the price that filled it last: one price seen fills an order once.
    filled_on: Mapped[datetime | None]
    state: Mapped[BrokerOrderStatus] = mapped_column(text_enum(BrokerOrderStatus))
    message: Mapped[str] = mapped_column(Text, server_default="")
    # The session in which it may fill; it dies with it.
    opens_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    sequence: Mapped[int] = mapped_column(BigInteger)


class PaperTrade(Record):
    """One execution. `price_seen`, `seen_at`: the price that made it."""

    __tablename__ = "paper_trades"
    id_prefix = "ptr"
    __table_args__ = (
        Index("ix_paper_trades_day", "account_id", "trading_day"),
        Index("uq_paper_trades_price", "order_id", "seen_at", unique=True),
    )

    account_id: Mapped[str] = mapped_column(String(40))
    order_id: Mapped[str] = mapped_column(ForeignKey("paper_orders.id"))
    trading_day: Mapped[date] = mapped_column(Date)
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    side: Mapped[Side] = mapped_column(text_enum(Side))
    quantity: Mapped[int] = mapped_column(Integer)
    price: Mapped[Decimal] = mapped_column(Price)
    price_seen: Mapped[Decimal] = mapped_column(Price)
    seen_at: Mapped[datetime]
    filled_at: Mapped[datetime]


class PaperHolding(Record):
    """What an account holds of an instrument in one product, and what that has earned since the last reset."""

    __tablename__ = "paper_holdings"
    id_prefix = "pho"
    __table_args__ = (Index("uq_paper_holdings_key", "account_id", "exchange", "symbol", "product", unique=True),)

    account_id: Mapped[str] = mapped_column(ForeignKey("paper_accounts.account_id"))
    exchange: Mapped[str] = mapped_column(String(12))
    symbol: Mapped[str] = mapped_column(String(64))
    product: Mapped[Product] = mapped_column(text_enum(Product))
    quantity: Mapped[int] = mapped_column(Integer)
    cost: Mapped[Decimal] = mapped_column(Money)
    realised: Mapped[Decimal] = mapped_column(Money)
    traded_on: Mapped[date] = mapped_column(Date)
