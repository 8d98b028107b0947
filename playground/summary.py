"""What many days add up to, with everything a reader needs in order not to believe it too easily."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from playground.bars import to_rupees
from playground.engine import Trade
from playground.setup import Rules, Variant
from trading.charges import Executed, estimate
from trading.orders import Side

ZERO = Decimal(0)
# The last part of the days is kept out of the ranking: it shows what the best of the rest is worth on days it was not chosen by.
SHOWN_PERCENT = 70
FEW_DAYS = 30


@dataclass(slots=True)
class Tally:
    """Sums of one plan. Rupees; `net` is after the estimated charges where they are asked for."""

    variant: Variant
    outcomes: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    wins: int = 0
    days_with_gaps: int = 0
    gross: Decimal = ZERO
    charges: Decimal = ZERO
    net: Decimal = ZERO
    net_of_first_days: Decimal = ZERO
    net_of_last_days: Decimal = ZERO
    best_day: Decimal | None = None
    worst_day: Decimal | None = None
    peak: Decimal = ZERO
    drawdown: Decimal = ZERO

    def add(self, trade: Trade, *, charges: Decimal, is_held_back: bool) -> Decimal:
        """Count one day; its net profit."""
        why = trade.not_judged or trade.end_reason
        self.outcomes[why.value if why else "unknown"] += 1
        if not trade.is_trade:
            return ZERO
        gross = trade.gross(self.variant.plan.quantity)
        net = gross - charges
        self.trades += 1
        self.wins += net > 0
        self.days_with_gaps += trade.has_gap
        self.gross, self.charges, self.net = self.gross + gross, self.charges + charges, self.net + net
        if is_held_back:
            self.net_of_last_days += net
        else:
            self.net_of_first_days += net
        self.best_day = net if self.best_day is None else max(self.best_day, net)
        self.worst_day = net if self.worst_day is None else min(self.worst_day, net)
        self.peak = max(self.peak, self.net)
        self.drawdown = max(self.drawdown, self.peak - self.net)
        return net

    def as_json(self) -> dict[str, Any]:
        return {
            **self.variant.as_json(),
            "outcomes": dict(sorted(self.outcomes.items())),
            "trades": self.trades,
            "wins": self.wins,
            "days_with_gaps": self.days_with_gaps,
            "gross": str(self.gross),
            "charges": str(self.charges),
            "net": str(self.net),
            "net_of_first_days": str(self.net_of_first_days),
            "net_of_last_days": str(self.net_of_last_days),
            "best_day": None if self.best_day is None else str(self.best_day),
            "worst_day": None if self.worst_day is None else str(self.worst_day),
            "greatest_drawdown": str(self.drawdown),
        }


def first_held_back(days: Sequence[date]) -> date | None:
    """The first day that is kept out of the ranking; None when there are too few to keep any back."""
    shown = len(days) * SHOWN_PERCENT // 100
    return days[shown] if 0 < shown < len(days) else None


def charges_of(trade: Trade, variant: Variant, rules: Rules) -> Decimal | None:
    """What broker, exchange and state would take of it; nothing when they are not asked for, None when nobody knows."""
    if not rules.with_charges or not trade.is_trade:
        return ZERO
    plan = variant.plan
    sides = ((Side.BUY, trade.bought), (Side.SELL, trade.sold))
    executed = [Executed(side, plan.quantity, to_rupees(price) * plan.quantity) for side, price in sides]
    found = estimate(executed, broker=rules.broker, exchange=plan.instrument.exchange, product=plan.product)
    return None if found is None else found.total


def ranked(tallies: Sequence[Tally]) -> list[Tally]:
    """Best first by what they made on the days they may be chosen by."""
    return sorted(tallies, key=lambda tally: (-tally.net_of_first_days, tally.variant.number))
