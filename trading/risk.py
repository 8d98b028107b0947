"""Risk limits of one account: what an entry may cost, what a day may lose. Pure; values in rupees, before the broker's charges.

Only entries are ever refused: a limit that kept an exit from leaving would add to the risk it is there to bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from trading.runs import ZERO, Holding


class RiskCode(str, Enum):
    """Why an entry is refused; the API documents the same codes."""

    ORDER_VALUE = "RISK_LIMIT_ORDER_VALUE"
    OPEN_VALUE = "RISK_LIMIT_OPEN_VALUE"
    ORDERS_PER_DAY = "RISK_LIMIT_ORDERS_PER_DAY"
    DAILY_LOSS = "RISK_LIMIT_DAILY_LOSS"


@dataclass(frozen=True, slots=True)
class Limits:
    """None does not limit. `loss_at_trip` is today's loss when the daily limit last tripped, None if it has not."""

    max_order_value: Decimal | None = None
    max_open_value: Decimal | None = None
    max_orders_per_day: int | None = None
    max_daily_loss: Decimal | None = None
    square_off_on_loss: bool = False
    loss_at_trip: Decimal | None = None

    @property
    def is_any_set(self) -> bool:
        return any(
            limit is not None
            for limit in (self.max_order_value, self.max_open_value, self.max_orders_per_day, self.max_daily_loss)
        )

    @property
    def loss_allowed(self) -> Decimal | None:
        """The loss at which the day is over. After a trip, and a person's reset, it takes another limit's worth of loss."""
        return None if self.max_daily_loss is None else self.max_daily_loss + (self.loss_at_trip or ZERO)

    def or_else(self, defaults: "Limits") -> "Limits":
        """Each limit that is not set is taken from `defaults`."""
        return replace(
            self,
            max_order_value=_first(self.max_order_value, defaults.max_order_value),
            max_open_value=_first(self.max_open_value, defaults.max_open_value),
            max_orders_per_day=(defaults.max_orders_per_day if self.max_orders_per_day is None else self.max_orders_per_day),
            max_daily_loss=_first(self.max_daily_loss, defaults.max_daily_loss),
        )


def _first(own: Decimal | None, default: Decimal | None) -> Decimal | None:
    return default if own is None else own


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account has used: shares held at cost and what sent entries may still cost, entries sent today, realised loss."""

    open_value: Decimal = ZERO
    orders_today: int = 0
    realised_loss: Decimal = ZERO

    def plus(self, value: Decimal) -> "Usage":
        """With one more entry of that value."""
        return replace(self, open_value=self.open_value + value, orders_today=self.orders_today + 1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A local no, with a code that the API documents and words for the owner of the run."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that wants to leave. `value` is what it may cost at most: its quantity times its limit price."""

    order_id: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Admission:
    admitted: frozenset[str]
    refused: dict[str, Refusal]


def refuse(limits: Limits, usage: Usage, value: Decimal | None) -> Refusal | None:
    """Why an entry of that value may not leave, or None. Without a value (no price is known) limits by value are not judged."""
    if limits.loss_allowed is not None and usage.realised_loss >= limits.loss_allowed:
        return Refusal(
            RiskCode.DAILY_LOSS, f"today's loss is {_money(usage.realised_loss)}, the limit is {_money(limits.loss_allowed)}"
        )
    if limits.max_orders_per_day is not None and usage.orders_today >= limits.max_orders_per_day:
        return Refusal(
            RiskCode.ORDERS_PER_DAY, f"{usage.orders_today} entries were sent today, the limit is {limits.max_orders_per_day}"
        )
    if value is None:
        return None
    if limits.max_order_value is not None and value > limits.max_order_value:
        return Refusal(RiskCode.ORDER_VALUE, f"the order may cost {_money(value)}, the limit is {_money(limits.max_order_value)}")
    if limits.max_open_value is not None and usage.open_value + value > limits.max_open_value:
        wanted = usage.open_value + value
        return Refusal(RiskCode.OPEN_VALUE, f"{_money(wanted)} would be open, the limit is {_money(limits.max_open_value)}")
    return None


def admit(limits: Limits, usage: Usage, candidates: Sequence[Candidate]) -> Admission:
    """Which of the entries may leave together, in the order given. One that is refused takes nothing from those behind it."""
    admitted: set[str] = set()
    refused: dict[str, Refusal] = {}
    for candidate in candidates:
        refusal = refuse(limits, usage, candidate.value)
        if refusal is None:
            admitted.add(candidate.order_id)
            usage = usage.plus(candidate.value)
        else:
            refused[candidate.order_id] = refusal
    return Admission(frozenset(admitted), refused)


# --- the day's loss ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marked:
    """A run of the day. `price` is a price one may believe now, or None; `last_seen` is any older one, `stop_loss` the plan's."""

    holding: Holding
    stop_loss: Decimal
    price: Decimal | None = None
    last_seen: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DayLoss:
    """`assumed` prices every holding, `is_certain` says that none of these prices had to be assumed. A profit is negative."""

    assumed: Decimal
    is_certain: bool


def day_loss(runs: Sequence[Marked]) -> DayLoss:
    """Realised and open loss of those runs. A holding without a price is not worth what it cost: it counts at its stop-loss,
    or at the last price seen if that was lower."""
    profit, is_certain = ZERO, True
    for run in runs:
        profit += run.holding.realised_pnl
        if run.holding.open_quantity <= 0:
            continue
        price = run.price
        if price is None:
            is_certain = False
            price = run.stop_loss if run.last_seen is None else min(run.stop_loss, run.last_seen)
        profit += run.holding.unrealised_pnl(price)
    return DayLoss(-profit, is_certain)


class Verdict(str, Enum):
    """What the day's loss asks for."""

    NOTHING = "nothing"
    LOCK = "lock"
    SELL = "sell"


def judge_loss(limits: Limits, loss: DayLoss, *, is_locked: bool) -> Verdict:
    """At the allowed loss entries are locked; positions are sold only on the user's word, and never on an assumed price.

    `is_locked`: the account's switch is up and sells nothing. One that tripped on assumed prices sells once they are known to be
    as bad.
    """
    allowed = limits.loss_allowed
    may_sell = limits.square_off_on_loss and loss.is_certain
    if allowed is None:
        return Verdict.NOTHING
    if loss.assumed >= allowed:
        return Verdict.SELL if may_sell else Verdict.LOCK
    if is_locked and may_sell and limits.loss_at_trip is not None and loss.assumed >= limits.loss_at_trip:
        return Verdict.SELL
    return Verdict.NOTHING


def _money(value: Decimal) -> str:
    return f"₹{value:,.2f}"
