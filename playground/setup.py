"""What a backtest is asked for, and the rules it keeps. Plain values, so that it travels as JSON and is stored as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from itertools import product
from typing import Any

from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.plan import Plan
from trading.sessions import ExchangeDay

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
    """One plan of a backtest. Of the two stops exactly one is set; the percentage counts below the last price known before the
    buy time, and becomes a price of that day."""

    number: int
    plan: Plan
    stop_percent: Decimal | None = None

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
            "stop_loss_percent": None if self.stop_percent is None else str(self.stop_percent),
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Variant":
        percent = stored["stop_loss_percent"]
        plan = Plan(
            instrument=InstrumentId(stored["exchange"], stored["symbol"]),
            product=Product(stored["product"]),
            quantity=stored["quantity"],
            buy_time=time.fromisoformat(stored["buy_time"]),
            sell_time=time.fromisoformat(stored["sell_time"]),
            # A percentage becomes a price of each day; until then one tick stands for "somewhere above zero".
            stop_loss=Decimal(stored["stop_loss"] or 1),
        )
        return cls(stored["number"], plan, None if percent is None else Decimal(percent))


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values to try instead of the plan's own; what is empty stays as the plan has it."""

    stop_losses: tuple[Decimal, ...] = ()
    stop_percents: tuple[Decimal, ...] = ()
    buy_times: tuple[time, ...] = ()
    sell_times: tuple[time, ...] = ()

    def count(self) -> int:
        """Plans that come of one."""
        stops = len(self.stop_losses) + len(self.stop_percents)
        return (stops or 1) * (len(self.buy_times) or 1) * (len(self.sell_times) or 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan as it was asked for, before the sweep."""

    plan: Plan
    stop_percent: Decimal | None = None


def variants(wanted: list[Wanted], sweep: Sweep) -> list[Variant]:
    """Every plan with every combination of the sweep. A combination that buys after it sells is left out."""
    found: list[Variant] = []
    for base in wanted:
        own: list[tuple[Decimal, Decimal | None]] = [(base.plan.stop_loss, base.stop_percent)]
        swept: list[tuple[Decimal, Decimal | None]] = [(stop, None) for stop in sweep.stop_losses]
        swept += [(base.plan.stop_loss, percent) for percent in sweep.stop_percents]
        buys, sells = sweep.buy_times or (base.plan.buy_time,), sweep.sell_times or (base.plan.sell_time,)
        for (stop, percent), buy, sell in product(swept or own, buys, sells):
            if buy < sell:
                plan = Plan(base.plan.instrument, base.plan.product, base.plan.quantity, buy, sell, stop)
                found.append(Variant(len(found), plan, percent))
    return found


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
