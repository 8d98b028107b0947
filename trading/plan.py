"""A strategy as data: what to buy, when to buy it, when to sell it, and the price at which to get out early."""

from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from enum import Enum

from trading.instruments import Instrument, InstrumentId, Product
from trading.sessions import Session
from trading.trailing import Trail


class Repeat(str, Enum):
    ONCE = "once"
    DAILY = "daily"


# Brokers' lists do not always name the freeze quantity, above which the exchange refuses an order. Without one this ceiling
# holds: far above what one person trades in an order, far below what a slip of the finger writes.
MOST_WITHOUT_FREEZE = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Times are the exchange's local times of day; `stop_loss` is a price in rupees; `max_lateness_seconds` None: no limit.

    `target_price` (rupees): leave when the price is at or above it; None: there is none. `trail`: the stop follows the highest
    price since the entry, starting from `stop_loss`; None: it stands still.
    """

    instrument: InstrumentId
    product: Product
    quantity: int
    buy_time: time
    sell_time: time
    stop_loss: Decimal
    repeat: Repeat = Repeat.ONCE
    max_lateness_seconds: int | None = None
    target_price: Decimal | None = None
    trail: Trail | None = None


class PlanProblemCode(str, Enum):
    """What can be wrong with a plan; part of the public API."""

    INVALID_QUANTITY = "INVALID_QUANTITY"
    QUANTITY_NOT_IN_LOTS = "QUANTITY_NOT_IN_LOTS"
    QUANTITY_ABOVE_FREEZE = "QUANTITY_ABOVE_FREEZE"
    INVALID_STOP_LOSS = "INVALID_STOP_LOSS"
    STOP_LOSS_OFF_TICK = "STOP_LOSS_OFF_TICK"
    INVALID_TARGET_PRICE = "INVALID_TARGET_PRICE"
    TARGET_PRICE_OFF_TICK = "TARGET_PRICE_OFF_TICK"
    TARGET_NOT_ABOVE_STOP = "TARGET_NOT_ABOVE_STOP"
    INVALID_TRAILING_STOP = "INVALID_TRAILING_STOP"
    BUY_BEFORE_OPEN = "BUY_BEFORE_OPEN"
    SELL_AFTER_CLOSE = "SELL_AFTER_CLOSE"
    BUY_NOT_BEFORE_SELL = "BUY_NOT_BEFORE_SELL"
    PRODUCT_NOT_ALLOWED = "PRODUCT_NOT_ALLOWED"
    NOT_TRADABLE = "NOT_TRADABLE"
    INVALID_MAX_LATENESS = "INVALID_MAX_LATENESS"


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """One reason why a plan cannot run. `field` is the plan field it is about."""

    code: PlanProblemCode
    field: str
    message: str


def effective_sell_time(plan: Plan, session: Session) -> time:
    """The planned time, or the last moment that is still safe to sell at, if that is earlier."""
    return min(plan.sell_time, session.last_safe_exit)


def check_plan(plan: Plan, *, instrument: Instrument, session: Session) -> tuple[PlanProblem, ...]:
    """Every reason why this plan cannot run for this instrument in this kind of session; empty when it can."""
    return (
        *_quantity_problems(plan, instrument),
        *_stop_problems(plan, instrument),
        *_target_problems(plan, instrument),
        *_trail_problems(plan, instrument),
        *_time_problems(plan, session),
        *_product_problems(plan, instrument),
    )


def _quantity_problems(plan: Plan, instrument: Instrument) -> list[PlanProblem]:
    if plan.quantity <= 0:
        return [PlanProblem(PlanProblemCode.INVALID_QUANTITY, "quantity", f"quantity must be at least 1, was {plan.quantity}")]
    problems = []
    if plan.quantity % instrument.lot_size:
        message = f"quantity must be a multiple of the lot size {instrument.lot_size}, was {plan.quantity}"
        problems.append(PlanProblem(PlanProblemCode.QUANTITY_NOT_IN_LOTS, "quantity", message))
    most = MOST_WITHOUT_FREEZE if instrument.freeze_quantity is None else instrument.freeze_quantity
    if plan.quantity > most:
        whose = "our own ceiling for one order" if instrument.freeze_quantity is None else "the exchange's freeze quantity"
        message = f"quantity must be at most {most} ({whose}), was {plan.quantity}"
        problems.append(PlanProblem(PlanProblemCode.QUANTITY_ABOVE_FREEZE, "quantity", message))
    return problems


def _stop_problems(plan: Plan, instrument: Instrument) -> list[PlanProblem]:
    problem = stop_problem(plan.stop_loss, instrument.tick_size)
    return [problem] if problem else []


def stop_problem(stop_loss: Decimal, tick_size: Decimal) -> PlanProblem | None:
    """Why this stop price cannot stand, or None."""
    if not stop_loss.is_finite() or stop_loss <= 0:
        return PlanProblem(PlanProblemCode.INVALID_STOP_LOSS, "stop_loss", f"stop_loss must be above 0, was {stop_loss}")
    if stop_loss % tick_size:
        message = f"stop_loss must be a multiple of the tick size {tick_size}, was {stop_loss}"
        return PlanProblem(PlanProblemCode.STOP_LOSS_OFF_TICK, "stop_loss", message)
    return None


def _target_problems(plan: Plan, instrument: Instrument) -> list[PlanProblem]:
    if plan.target_price is None:
        return []
    problem = target_problem(plan.target_price, stop_loss=plan.stop_loss, tick_size=instrument.tick_size)
    return [problem] if problem else []


def target_problem(target: Decimal, *, stop_loss: Decimal, tick_size: Decimal) -> PlanProblem | None:
    """Why this target price cannot stand beside this stop, or None."""
    if not target.is_finite() or target <= 0:
        return PlanProblem(PlanProblemCode.INVALID_TARGET_PRICE, "target_price", f"target_price must be above 0, was {target}")
    if target % tick_size:
        message = f"target_price must be a multiple of the tick size {tick_size}, was {target}"
        return PlanProblem(PlanProblemCode.TARGET_PRICE_OFF_TICK, "target_price", message)
    if stop_loss.is_finite() and target <= stop_loss:
        message = f"target_price {target.normalize():f} must be above the stop_loss {stop_loss.normalize():f}"
        return PlanProblem(PlanProblemCode.TARGET_NOT_ABOVE_STOP, "target_price", message)
    return None


def _trail_problems(plan: Plan, instrument: Instrument) -> list[PlanProblem]:
    if plan.trail is None:
        return []
    rupees, percent = plan.trail.rupees, plan.trail.percent
    if percent is not None and not (percent.is_finite() and 0 < percent < 100):
        message = f"trailing_percent must be above 0 and below 100, was {percent}"
        return [PlanProblem(PlanProblemCode.INVALID_TRAILING_STOP, "trailing_percent", message)]
    if rupees is not None and not (rupees.is_finite() and rupees > 0 and not rupees % instrument.tick_size):
        message = f"trailing_by must be above 0 and a multiple of the tick size {instrument.tick_size}, was {rupees}"
        return [PlanProblem(PlanProblemCode.INVALID_TRAILING_STOP, "trailing_by", message)]
    return []


def _time_problems(plan: Plan, session: Session) -> list[PlanProblem]:
    problems = []
    if plan.buy_time < session.opens:
        message = f"buy_time must not be before the open at {session.opens}, was {plan.buy_time}"
        problems.append(PlanProblem(PlanProblemCode.BUY_BEFORE_OPEN, "buy_time", message))
    if plan.sell_time > session.closes:
        message = f"sell_time must not be after the session's end at {session.closes}, was {plan.sell_time}"
        problems.append(PlanProblem(PlanProblemCode.SELL_AFTER_CLOSE, "sell_time", message))
    effective = effective_sell_time(plan, session)
    if plan.buy_time >= effective:
        message = f"buy_time {plan.buy_time} must be before the effective sell time {effective}"
        problems.append(PlanProblem(PlanProblemCode.BUY_NOT_BEFORE_SELL, "buy_time", message))
    if plan.max_lateness_seconds is not None and plan.max_lateness_seconds < 0:
        message = f"max_lateness_seconds must not be negative, was {plan.max_lateness_seconds}"
        problems.append(PlanProblem(PlanProblemCode.INVALID_MAX_LATENESS, "max_lateness_seconds", message))
    return problems


def _product_problems(plan: Plan, instrument: Instrument) -> list[PlanProblem]:
    from_cash = instrument.segment.value == "CASH"
    if instrument.segment.value == "INDEX":
        return [PlanProblem(PlanProblemCode.NOT_TRADABLE, "symbol", f"{instrument.id} is an index and cannot be traded")]
    if from_cash and plan.product is Product.NRML:
        return [PlanProblem(PlanProblemCode.PRODUCT_NOT_ALLOWED, "product", "NRML is for derivatives; use MIS or CNC")]
    if not from_cash and plan.product is Product.CNC:
        return [PlanProblem(PlanProblemCode.PRODUCT_NOT_ALLOWED, "product", "CNC is for shares; use MIS or NRML")]
    return []
