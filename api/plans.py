"""From what a user sent to a plan that can run, with everything they should know about it."""

from datetime import time
from decimal import Decimal

from api.errors import ApiError, ErrorCode, FieldProblem
from api.schemas.strategy import PlanWarning
from api.services import Services
from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from execution.timeline import rupees
from trading.instruments import Instrument, InstrumentId
from trading.plan import Plan, PlanProblem, check_plan, effective_sell_time
from trading.sessions import Session, session_of

# Nearer than this to the last price, ordinary noise will reach the stop (percent).
CLOSE_PERCENT = Decimal("0.1")


def listed_instrument(services: Services, wanted: InstrumentId) -> Instrument:
    """Raises ApiError UNKNOWN_SYMBOL, InstrumentsNotLoaded."""
    instrument = services.instruments.find(wanted)
    if instrument is None:
        raise ApiError(ErrorCode.UNKNOWN_SYMBOL, f"{wanted.symbol} is not listed on {wanted.exchange}")
    return instrument


def typical_session(services: Services, instrument: Instrument) -> Session:
    return session_of(instrument, services.calendar.typical_day())


def check(services: Services, plan: Plan) -> Instrument:
    """Raises ApiError with every reason why the plan cannot run."""
    instrument = listed_instrument(services, plan.instrument)
    problems = check_plan(plan, instrument=instrument, session=typical_session(services, instrument))
    if problems:
        raise refusal(problems)
    return instrument


def refusal(problems: tuple[PlanProblem, ...]) -> ApiError:
    details = [
        FieldProblem(field=f"body.{problem.field}", code=problem.code.value, message=problem.message) for problem in problems
    ]
    return ApiError(ErrorCode(problems[0].code.value), "; ".join(problem.message for problem in problems), details=details)


def effective_sell(services: Services, plan: Plan) -> time | None:
    """When the plan sells at the latest; None while the instrument is not listed or nothing is loaded."""
    instrument = services.instruments.find(plan.instrument) if services.instruments.count else None
    return effective_sell_time(plan, typical_session(services, instrument)) if instrument else None


async def hot_price(services: Services, instrument: InstrumentId) -> HotPrice | None:
    """The price of a followed symbol, or None; never waits for a broker."""
    try:
        return (await PriceCache(services.redis).read([instrument])).get(instrument)
    except CacheUnavailable:
        return None


async def warnings(services: Services, plan: Plan) -> list[PlanWarning]:
    found = []
    effective = effective_sell(services, plan)
    if effective is not None and effective != plan.sell_time:
        message = f"The sell time {plan.sell_time} is past the last safe moment; it will be sold at {effective}"
        found.append(PlanWarning(code="SELL_TIME_ADVANCED", message=message))
    hot = await hot_price(services, plan.instrument)
    if hot is not None:
        found += price_warnings(plan.stop_loss, plan.target_price, hot.price)
    return found


def price_warnings(stop_loss: Decimal, target_price: Decimal | None, price: Decimal) -> list[PlanWarning]:
    """What the last price says about a stop and a target."""
    found = _stop_warnings(stop_loss, price)
    if target_price is not None and target_price <= price:
        message = (
            f"The target {rupees(target_price)} is not above the last price {rupees(price)}: "
            "if that is still so at the buy time, nothing is bought"
        )
        found.append(PlanWarning(code="TARGET_AT_OR_BELOW_PRICE", message=message))
    return found


def _stop_warnings(stop_loss: Decimal, price: Decimal) -> list[PlanWarning]:
    if stop_loss >= price:
        message = (
            f"The stop-loss {rupees(stop_loss)} is not below the last price {rupees(price)}: "
            "if that is still so at the buy time, nothing is bought"
        )
        return [PlanWarning(code="STOP_AT_OR_ABOVE_PRICE", message=message)]
    if (price - stop_loss) * 100 < price * CLOSE_PERCENT:
        message = f"The stop-loss {rupees(stop_loss)} is very close to the last price {rupees(price)}"
        return [PlanWarning(code="CLOSE_TO_STOP", message=message)]
    return []
