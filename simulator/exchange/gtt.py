"""Good-till-triggered orders: kept by the broker, not by the exchange, until a price fires them."""

from dataclasses import dataclass, field

from simulator.exchange.orders import OrderRequest

DAY_NS = 24 * 3600 * 1_000_000_000
LIFETIME_NS = 365 * DAY_NS


@dataclass(frozen=True, slots=True)
class Gtt:
    """One trigger: single (one price) or two-leg (the order of the leg whose price trades first is placed).

    `requests` holds one order request per trigger price; `fired_leg` and `result` tell what became of it.
    """

    trigger_id: int
    account: str
    kind: str
    instrument: str
    trigger_prices: tuple[int, ...]
    last_price: int
    requests: tuple[OrderRequest, ...]
    created_ns: int
    updated_ns: int
    status: str = "active"
    fired_leg: int | None = None
    result: dict[str, str] = field(default_factory=dict)

    def leg_hit(self, price: int) -> int | None:
        """The leg that this price fires: each trigger fires when the price comes to it from where it was at the start."""
        for leg, trigger in enumerate(self.trigger_prices):
            if (price >= trigger) if trigger > self.last_price else (price <= trigger):
                return leg
        return None
