"""A whole piece of work for the playground's own process: from a request and bars to lines of JSON, one after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from typing import Any

from playground import sample
from playground.backtest import backtest
from playground.bars import Bars, to_instant, to_milliseconds, to_rupees
from playground.csv_file import read_csv
from playground.engine import NotJudged, Trade, levels_on, trading_day
from playground.problems import BadFile
from playground.rehearsal import rehearse
from playground.rows import Stamp
from playground.setup import Rules, Variant, exchange_day_of_json, instrument_of_json, rules_of_json
from playground.summary import Tally, charges_of, first_held_back, ranked
from playground.timeline import Outcome
from playground.walk import Walk, walk
from trading.instruments import Instrument
from trading.schedule import window_on
from trading.sessions import ExchangeDay, UnknownDay

Line = dict[str, Any]
# Results are handed over in pieces of about so many plan-days.
PIECE = 1_000
PARQUET_MAGIC = b"PAR1"


def lines_of(request: Mapping[str, Any], content: bytes) -> Iterator[Line]:
    """What the request asks for; the last line has `done`. A file that is no good is a line too, not a failure."""
    try:
        yield from _KINDS[request["kind"]](request, content)
    except BadFile as bad:
        yield {"done": True, "bad_file": [asdict(problem) for problem in bad.problems]}


# --- a file of prices -------------------------------------------------------------------------------------------------


def _read(request: Mapping[str, Any], content: bytes) -> Iterator[Line]:
    stamp = Stamp(request["stamp"])
    if content[:4] == PARQUET_MAGIC:
        # Only here: the library is large, and most files are text.
        from playground.parquet_file import read_parquet

        bars, kind = read_parquet(content, bar_seconds=request["bar_seconds"], stamp=stamp), "parquet"
    else:
        bars, kind = read_csv(content, bar_seconds=request["bar_seconds"], stamp=stamp), "csv"
    yield {"done": True, **described(bars), "format": kind, "bars": bars.to_bytes().hex()}


def described(bars: Bars) -> Line:
    days = sum(1 for _ in bars.days())
    return {
        "bar_seconds": bars.bar_seconds,
        "rows": len(bars),
        "days": days,
        "first_day": bars.first_day.isoformat(),
        "last_day": bars.last_day.isoformat(),
    }


def _given(content: bytes) -> Bars:
    """A user's own prices, or without any the sample."""
    return Bars.from_bytes(content) if content else read_csv(sample.FILE.read_bytes())


# --- many days --------------------------------------------------------------------------------------------------------


class GivenCalendar:
    """The days as the platform's calendar has them, looked up before; others are not known."""

    def __init__(self, days: Mapping[str, Any]) -> None:
        self._days = days

    def day(self, day: date) -> ExchangeDay | None:
        """Raises UnknownDay."""
        if day.isoformat() not in self._days:
            raise UnknownDay(f"{day} is not in the calendar")
        found = self._days[day.isoformat()]
        return None if found is None else exchange_day_of_json(day, found)

    def typical_day(self) -> ExchangeDay:
        raise UnknownDay("only single days are known here")


def _backtest(request: Mapping[str, Any], content: bytes) -> Iterator[Line]:
    instrument, rules = instrument_of_json(request["instrument"]), rules_of_json(request["rules"])
    variants = [Variant.of_json(stored) for stored in request["variants"]]
    bars = _given(content)
    from_day, to_day = (None if request[name] is None else date.fromisoformat(request[name]) for name in ("from_day", "to_day"))
    wanted = bars.between(from_day, to_day)
    days = [day for day, _ in wanted.days()]
    held_back = first_held_back(days)
    tallies = [Tally(variant) for variant in variants]
    has_charges = rules.with_charges
    piece: list[Line] = []
    done = 0
    calendar = GivenCalendar(request["calendar"])
    for trades in backtest(variants, bars.between(None, to_day), instrument=instrument, calendar=calendar, rules=rules):
        if from_day is not None and trades[0].day < from_day:
            continue
        for tally, trade in zip(tallies, trades, strict=True):
            cost = charges_of(trade, tally.variant, rules)
            has_charges = has_charges and cost is not None
            net = tally.add(trade, charges=cost or Decimal(0), is_held_back=held_back is not None and trade.day >= held_back)
            piece.append(_trade_line(trade, tally.variant.plan.quantity, cost or Decimal(0), net))
            done += 1
            if len(piece) >= PIECE:
                yield {"rows": piece, "finished": done}
                piece = []
    yield {"rows": piece, "finished": done}
    yield {"done": True, "summary": _summary(tallies, days, held_back, has_charges=has_charges)}


def _trade_line(trade: Trade, quantity: int, charges: Decimal, net: Decimal) -> Line:
    why = trade.not_judged or trade.end_reason
    line: Line = {
        "variant": trade.variant,
        "trading_day": trade.day.isoformat(),
        "outcome": why.value if why else "",
        "is_judged": trade.not_judged is None,
        "quantity": quantity if trade.is_trade else 0,
        "stop_loss": str(to_rupees(trade.stop)) if trade.stop else None,
        "has_gap": trade.has_gap,
        "gross": str(trade.gross(quantity)),
        "charges": str(charges),
        "net": str(net),
    }
    if not trade.is_trade:
        return {**line, "bought_at": None, "buy_price": None, "sold_at": None, "sell_price": None}
    return {
        **line,
        "bought_at": to_instant(trade.bought_ms).isoformat(),
        "buy_price": str(to_rupees(trade.bought)),
        "sold_at": to_instant(trade.sold_ms).isoformat(),
        "sell_price": str(to_rupees(trade.sold)),
    }


def _summary(tallies: list[Tally], days: list[date], held_back: date | None, *, has_charges: bool) -> Line:
    return {
        "days": len(days),
        "first_day": days[0].isoformat() if days else None,
        "last_day": days[-1].isoformat() if days else None,
        "held_back_from": None if held_back is None else held_back.isoformat(),
        "has_charges": has_charges,
        "plans": [tally.as_json() for tally in ranked(tallies)],
    }


# --- one day, order by order --------------------------------------------------------------------------------------------


def _rehearse(request: Mapping[str, Any], content: bytes) -> Iterator[Line]:
    instrument, rules = instrument_of_json(request["instrument"]), rules_of_json(request["rules"])
    variant = Variant.of_json(request["variant"])
    day = date.fromisoformat(request["day"])
    calendar = GivenCalendar(request["calendar"])
    bars = _day_of(request, content, day, instrument)
    found = trading_day(day, bars, last_before=None, instrument=instrument, calendar=calendar)
    if isinstance(found, NotJudged):
        yield _not_judged(found)
        return
    window = window_on(variant.plan, instrument=instrument, exchange_day=found.exchange_day)
    levels = levels_on(variant, found, to_milliseconds(window.buy_at), instrument)
    if levels is None:
        yield _not_judged(NotJudged.NO_PRICE_FOR_STOP)
        return
    target = None if levels.target is None else to_rupees(levels.target)
    plan = replace(variant.plan, stop_loss=to_rupees(levels.stop), target_price=target)
    outcome = rehearse(plan, window, found.bars, instrument=instrument, rules=rules, depth=request.get("depth"))
    yield {"done": True, **_outcome_line(outcome, window.buy_at.isoformat(), rules)}


def _not_judged(why: NotJudged) -> Line:
    return {"done": True, "outcome": why.value, "events": [], "starts_at": None, "ends_at": None}


def _day_of(request: Mapping[str, Any], content: bytes, day: date, instrument: Instrument) -> Bars:
    made = request["walk"]
    if made is None:
        return _given(content).between(day, day)
    found = exchange_day_of_json(day, request["calendar"][day.isoformat()])
    given = Walk(made["seed"], Decimal(made["start_price"]), instrument.tick_size, Decimal(made["step_percent"]))
    return walk([day], given, opens=found.opens, closes=found.closes, bar_seconds=0)


def _outcome_line(outcome: Outcome, starts_at: str, rules: Rules) -> Line:
    events = [
        {
            "at": event.at.isoformat(),
            "kind": event.kind,
            "message": event.message,
            "price": None if event.price is None else str(event.price),
            "quantity": event.quantity,
        }
        for event in outcome.events
    ]
    holding = outcome.holding
    return {
        "outcome": outcome.end_reason.value if outcome.end_reason else NotJudged.NO_EXIT_PRICE.value,
        "detail": outcome.detail,
        "events": events,
        "starts_at": starts_at,
        "ends_at": events[-1]["at"] if events else starts_at,
        "bought": holding.bought,
        "sold": holding.sold,
        "gross": str(holding.realised_pnl),
    }


_KINDS = {"read": _read, "backtest": _backtest, "rehearse": _rehearse}
