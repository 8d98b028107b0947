"""What a simulator is started with."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from simulator.exchange.sessions import Hours


class RateLimits(StrEnum):
    """Which of the documented limits are enforced."""

    ON = "on"
    ORDERS = "orders"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one simulator; the command line explains them (README). Port 0 takes a free one."""

    host: str = "127.0.0.1"
    kite_port: int = 8090
    control_port: int = 8091
    dhan_port: int = 8092
    angel_one_port: int = 8093
    fyers_port: int = 8094
    data: Path | None = None
    seed: int = 1
    market: Hours = Hours.ALWAYS_OPEN
    rate_limits: RateLimits = RateLimits.ON
    log: Path | None = None
    prices: str = "walk"
    open_accounts: bool = True
    extra_instruments: int = 0
    ticker_connections: int = 3
    redirect_url: str | None = None

    def port_of(self, dialect: str) -> int:
        """The port a dialect is to listen on."""
        return int(getattr(self, "kite_port" if dialect == "zerodha" else f"{dialect}_port"))
