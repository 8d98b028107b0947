"""Made-up logs and rows for the judge's own tests: a clean trade, which each test then spoils in one way."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.chaos.entries import SECOND_NS
from tests.chaos.evidence import Evidence, OrderFacts, RunFacts

ACCOUNT, SYMBOL = "sim-asha", "TCS"


@dataclass
class Log:
    """Entries in the shape of the exchange's own log; times are seconds since the epoch."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def _add(self, action: str, at: float, **fields: Any) -> None:
        entry = {"sequence": len(self.entries) + 1, "action": action, "arrived_ns": int(at * SECOND_NS), **fields}
        self.entries.append(entry)

    def price(self, at: float, price: str, symbol: str = SYMBOL) -> None:
        self._add("price", at, prices={f"NSE:{symbol}": price}, sent_ns=int(at * SECOND_NS))

    def place(
        self, at: float, tag: str | None, side: str, *, order_id: str = "", outcome: str = "accepted", via_api: bool = True
    ) -> None:
        parameters = {"transaction_type": side, "tradingsymbol": SYMBOL}
        fields = {"tag": tag, "order_id": order_id or tag, "outcome": outcome, "parameters": parameters, "via_api": via_api}
        self._add("place", at, account=ACCOUNT, side=side if outcome == "accepted" else None, **fields)

    def fill(self, at: float, tag: str | None, side: str, quantity: int, *, order_id: str = "") -> None:
        fields = {"tag": tag, "order_id": order_id or tag, "instrument": f"NSE:{SYMBOL}", "at_ns": int(at * SECOND_NS)}
        self._add("fill", at, account=ACCOUNT, side=side, quantity=quantity, **fields)

    def terminal(self, at: float, tag: str | None) -> None:
        self._add("terminal", at, account=ACCOUNT, tag=tag, order_id=tag)

    def trade(self, at: float, tag: str, side: str, quantity: int = 10) -> None:
        """Placed, filled and over."""
        self.place(at, tag, side)
        self.fill(at, tag, side, quantity)
        self.terminal(at, tag)

    def by_hand(self, at: float, side: str, quantity: int) -> None:
        order_id = f"hand{len(self.entries)}"
        self.place(at, None, side, order_id=order_id, via_api=False)
        self.fill(at, None, side, quantity, order_id=order_id)


def run(**changes: Any) -> RunFacts:
    """A run that bought 10 with tag `buy` and sold them with tag `sell` (or `again`); its stop is 3500."""
    values: dict[str, Any] = {
        "run_id": "run_1",
        "account": ACCOUNT,
        "symbol": SYMBOL,
        "orders": (OrderFacts("buy", "entry", deadline=130.0), OrderFacts("sell", "exit"), OrderFacts("again", "exit")),
        "stops": ((0.0, Decimal(3500)),),
        "bought": 10,
        "sold": 10,
        "end_reason": "stop_loss",
    }
    return RunFacts(**{**values, **changes})


def clean_log() -> Log:
    """Bought at 100, the stop crossed at 110, sold 0.1 s later."""
    log = Log()
    log.price(50, "3600")
    log.trade(100, "buy", "BUY")
    log.price(110, "3490")
    log.trade(110.1, "sell", "SELL")
    log.price(200, "3490")
    return log


def evidence(log: Log, runs: Iterable[RunFacts]) -> Evidence:
    return Evidence(tuple(log.entries), tuple(runs))
