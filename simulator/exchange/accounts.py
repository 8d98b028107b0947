"""Accounts at the broker: identity, session, funds, positions."""

import hashlib
import re
from dataclasses import dataclass, field

from simulator.exchange.orders import Order, Product, Trade
from simulator.exchange.positions import Holding, Position
from simulator.money import PRICE_SCALE

DEFAULT_FUNDS = 10_00_00_000 * PRICE_SCALE
"""Ten crore rupees in price units."""

_OPEN_KEY = re.compile(r"sim-[A-Za-z0-9_-]{1,40}\Z")


@dataclass(slots=True)
class Account:
    """One client of the broker with one app (api_key). Money is in price units."""

    api_key: str
    api_secret: str
    user_id: str
    funds: int = DEFAULT_FUNDS
    rate_limits: str | None = None
    redirect_url: str | None = None
    postback_url: str | None = None
    app_id: int = 1
    access_token: str | None = None
    access_token_expires_ns: int = 0
    login_ns: int = 0
    # The protocol of its newest login: only that one posts back.
    dialect: str = "zerodha"
    request_tokens: dict[str, int] = field(default_factory=dict)
    cash_flow: int = 0
    realised: int = 0
    position_margin: int = 0
    order_margin: int = 0
    positions: dict[tuple[str, Product], Position] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    @property
    def available(self) -> int:
        """Funds free for new orders."""
        return self.funds + self.cash_flow + self.realised - self.position_margin - self.order_margin

    def position(self, instrument: str, product: Product) -> Position:
        """The position row, made on first use."""
        found = self.positions.get((instrument, product))
        if found is None:
            found = self.positions[(instrument, product)] = Position(instrument, product)
        return found

    def sellable(self, instrument: str) -> int:
        """Shares that a delivery sell order may still sell: holdings and today's delivery buys, less pending sells."""
        holding = self.holdings.get(instrument)
        held = 0 if holding is None else holding.quantity + holding.t1_quantity
        position = self.positions.get((instrument, Product.CNC))
        return held if position is None else held + position.net - position.pending_sell


def is_open_key(api_key: str) -> bool:
    """Whether a made-up key of this form may exist without registration."""
    return _OPEN_KEY.match(api_key) is not None


def derived_user_id(api_key: str) -> str:
    """A stable user id for a key: two letters and six digits."""
    number = int.from_bytes(hashlib.sha256(api_key.encode()).digest()[:8], "big")
    letters = chr(65 + number % 26) + chr(65 + number // 26 % 26)
    return f"{letters}{number // 676 % 1_000_000:06d}"
