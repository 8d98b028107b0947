"""From rows to the events that tell of them."""

from collections.abc import Collection
from dataclasses import dataclass

from api.answers import alert_answer, event_answer, order_answer, status_answer
from api.live.event import EventKind, LiveEvent, live_event
from api.schemas.day_readiness import CheckAnswer
from api.schemas.streams import FillNews, PriceNews, ReadinessNews
from cache.prices import HotPrice
from cache.runtime_view import View
from storage.models import Alert, FillRow, Order, ReadinessCheck, RunEvent
from trading.instruments import InstrumentId


@dataclass(frozen=True, slots=True)
class SeenAlert:
    """`strategy_id`: of the run it names, if it names one."""

    alert: Alert
    strategy_id: str | None

    @property
    def about(self) -> frozenset[str]:
        """The strategy, else the account, else the platform."""
        one = self.strategy_id or self.alert.account_id
        return frozenset() if one is None else frozenset({one})


def line_event(line: RunEvent) -> LiveEvent:
    return live_event(EventKind.RUN_EVENT, event_answer(line), about=[line.strategy_id], sequence=line.sequence)


def state_event(view: View) -> LiveEvent:
    return live_event(EventKind.STATE, status_answer(view), about=[view.strategy_id], as_of=view.as_of)


def order_event(order: Order, view: View) -> LiveEvent:
    return live_event(EventKind.ORDER, order_answer(order), about=[view.strategy_id], as_of=view.as_of)


def fill_event(fill: FillRow, order: Order) -> LiveEvent:
    news = FillNews(
        fill_id=fill.id,
        order_id=order.id,
        run_id=order.run_id,
        strategy_id=order.strategy_id,
        broker_id=order.account_id,
        leg=order.leg,
        side=order.side,
        exchange=order.exchange,
        symbol=order.symbol,
        quantity=fill.quantity,
        price=fill.price,
        filled_at=fill.filled_at,
    )
    return live_event(EventKind.FILL, news, about=[order.strategy_id])


def price_event(instrument: InstrumentId, hot: HotPrice, *, about: Collection[str]) -> LiveEvent:
    news = PriceNews(exchange=instrument.exchange, symbol=instrument.symbol, price=hot.price, at=hot.at)
    return live_event(EventKind.PRICE, news, about=about, newest_of=str(instrument))


def alert_event(seen: SeenAlert) -> LiveEvent:
    return live_event(EventKind.ALERT, alert_answer(seen.alert), about=seen.about)


def readiness_news(check: ReadinessCheck) -> ReadinessNews:
    return ReadinessNews(
        broker_id=check.account_id,
        trading_day=check.trading_day,
        check_time=check.check_time,
        verdict=check.verdict,
        checks=[CheckAnswer(**found) for found in check.checks],
        checked_at=check.created_at,
    )


def readiness_event(check: ReadinessCheck) -> LiveEvent:
    return live_event(EventKind.READINESS, readiness_news(check), about=[check.account_id])
