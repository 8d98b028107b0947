"""What a backtest is asked for, and the rules it keeps. Plain values, so that it travels as JSON and is stored as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any

from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.plan import Plan
from trading.sessions import ExchangeDay
from trading.trailing import Trail, trail_of

MOST_VARIANTS = 500
MOST_STRATEGY_DAYS = 100_000


@dataclass(frozen=True, slots=True)
class Rules:
    """How the past is judged. `slippage_bps`: hundredths of a percent lost on either side; `stale_after_seconds`: a price that
    comes later than this after its moment is no price for it; charges are estimated by that broker's rates."""

    slippage_bps: Decimal = Decimal(5)
    stale_after_seconds: int = 120
    with_charges: bool = True
    broker: BrokerName = BrokerName.ZERODHA

    @property
    def slippage_millionths(self) -> int:
        return int(self.slippage_bps * 100)


@dataclass(frozen=True, slots=True)
class Variant:
    """One plan of a backtest. Percentages count from the last price known before the buy time, become a price of that day, and
    stand instead of the plan's own stop or target."""

    number: int
    plan: Plan
    stop_percent: Decimal | None = None
    target_percent: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "number": self.number,
            "exchange": plan.instrument.exchange,
            "symbol": plan.instrument.symbol,
            "product": plan.product.value,
            "quantity": plan.quantity,
            "buy_time": plan.buy_time.isoformat(),
            "sell_time": plan.sell_time.isoformat(),
            "stop_loss": None if self.stop_percent is not None else str(plan.stop_loss),
            "stop_loss_percent": _text(self.stop_percent),
            "target_price": _text(plan.target_price),
            "target_percent": _text(self.target_percent),
            "trailing_by": _text(None if plan.trail is None else plan.trail.rupees),
            "trailing_percent": _text(None if plan.trail is None else plan.trail.percent),
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Variant":
        plan = Plan(
            instrument=InstrumentId(stored["exchange"], stored["symbol"]),
            product=Product(stored["product"]),
            quantity=stored["quantity"],
            buy_time=time.fromisoformat(stored["buy_time"]),
            sell_time=time.fromisoformat(stored["sell_time"]),
            # A percentage becomes a price of each day; until then one tick stands for "somewhere above zero".
            stop_loss=Decimal(stored["stop_loss"] or 1),
            target_price=_decimal(stored.get("target_price")),
            trail=trail_of(_decimal(stored.get("trailing_by")), _decimal(stored.get("trailing_percent"))),
        )
        return cls(stored["number"], plan, _decimal(stored["stop_loss_percent"]), _decimal(stored.get("target_percent")))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values to try instead of the plan's own; what is empty stays as the plan has it."""

    stop_losses: tuple[Decimal, ...] = ()
    stop_percents: tuple[Decimal, ...] = ()
    target_prices: tuple[Decimal, ...] = ()
    target_percents: tuple[Decimal, ...] = ()
    trailing_percents: tuple[Decimal, ...] = ()
    buy_times: tuple[time, ...] = ()
    sell_times: tuple[time, ...] = ()

    def count(self) -> int:
        """Plans that come of one."""
        stops = len(self.stop_losses) + len(self.stop_percents)
        targets = len(self.target_prices) + len(self.target_percents)
        return prod(
            number or 1 for number in (stops, targets, *map(len, (self.trailing_percents, self.buy_times, self.sell_times)))
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan as it was asked for, before the sweep."""

    plan: Plan
    stop_percent: Decimal | None = None
    target_percent: Decimal | None = None


def variants(wanted: list[Wanted], sweep: Sweep) -> list[Variant]:
    """Every plan with every combination of the sweep. A combination that buys after it sells, or whose target is not above its
    stop, is left out."""
    found: list[Variant] = []
    for base in wanted:
        plan = base.plan
        stops = _prices_or_percents(plan.stop_loss, base.stop_percent, sweep.stop_losses, sweep.stop_percents)
        targets = _prices_or_percents(plan.target_price, base.target_percent, sweep.target_prices, sweep.target_percents)
        swept: list[Trail | None] = [Trail(percent=percent) for percent in sweep.trailing_percents]
        trails = swept or [plan.trail]
        buys, sells = sweep.buy_times or (plan.buy_time,), sweep.sell_times or (plan.sell_time,)
        for (stop, percent), (target, above), trail, buy, sell in product(stops, targets, trails, buys, sells):
            one = replace(plan, stop_loss=stop or plan.stop_loss, target_price=target, trail=trail, buy_time=buy, sell_time=sell)
            is_upside_down = percent is None and target is not None and target <= one.stop_loss
            if buy < sell and not is_upside_down:
                found.append(Variant(len(found), one, percent, above))
    return found


def _prices_or_percents(
    own: Decimal | None, own_percent: Decimal | None, prices: tuple[Decimal, ...], percents: tuple[Decimal, ...]
) -> list[tuple[Decimal | None, Decimal | None]]:
    """What the sweep names, or the plan's own: prices without a percentage, and percentages without a price."""
    if not prices and not percents:
        return [(own if own_percent is None else None, own_percent)]
    return [*((price, None) for price in prices), *((None, percent) for percent in percents)]


def instrument_as_json(instrument: Instrument) -> dict[str, Any]:
    return {
        "exchange": instrument.id.exchange,
        "symbol": instrument.id.symbol,
        "segment": instrument.segment.value,
        "tick_size": str(instrument.tick_size),
        "lot_size": instrument.lot_size,
        "freeze_quantity": instrument.freeze_quantity,
        "has_derivatives": instrument.has_derivatives,
    }


def instrument_of_json(stored: Mapping[str, Any]) -> Instrument:
    return Instrument(
        InstrumentId(stored["exchange"], stored["symbol"]),
        stored["symbol"],
        Segment(stored["segment"]),
        Decimal(stored["tick_size"]),
        lot_size=stored["lot_size"],
        freeze_quantity=stored["freeze_quantity"],
        has_derivatives=stored["has_derivatives"],
    )


def rules_as_json(rules: Rules) -> dict[str, Any]:
    return {
        "slippage_bps": str(rules.slippage_bps),
        "stale_after_seconds": rules.stale_after_seconds,
        "with_charges": rules.with_charges,
        "broker": rules.broker.value,
    }


def rules_of_json(stored: Mapping[str, Any]) -> Rules:
    return Rules(
        Decimal(stored["slippage_bps"]), stored["stale_after_seconds"], stored["with_charges"], BrokerName(stored["broker"])
    )


def day_or_none(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def exchange_day_as_json(day: ExchangeDay | None) -> dict[str, Any] | None:
    if day is None:
        return None
    return {
        "opens": day.opens.isoformat(),
        "closes": day.closes.isoformat(),
        "is_regular": day.is_regular,
        "is_always_open": day.is_always_open,
    }


def exchange_day_of_json(day: date, stored: Mapping[str, Any]) -> ExchangeDay:
    opens, closes = time.fromisoformat(stored["opens"]), time.fromisoformat(stored["closes"])
    return ExchangeDay(day, opens, closes, is_regular=stored["is_regular"], is_always_open=stored["is_always_open"])
