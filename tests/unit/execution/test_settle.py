"""How long after it was first seen missing an order may be called absent: each live broker gets the time it needs."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from brokers.fyers import limits as fyers
from execution.absences import Missed, Missing
from execution.follow import Followed
from execution.look import Look
from execution.resolve import Absence
from execution.tools import Pace, settle_at
from execution.under_way import UnderWay
from storage.models import Order
from trading.accounts import BrokerName, Environment
from trading.orders import BookSnapshot, Leg, OrderState

NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
NEEDED = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("environment", "setting", "seconds"),
    [(Environment.LIVE, 3, 5), (Environment.LIVE, 8, 8), (Environment.SIMULATED, 3, 3)],
)
def test_a_live_broker_gets_the_time_it_needs_and_a_stand_in_the_setting(
    environment: Environment, setting: int, seconds: int
) -> None:
    pace = Pace(settle=timedelta(seconds=setting))
    assert settle_at(environment, fyers.LIMITS, pace) == timedelta(seconds=seconds)


class EmptyBroker:
    async def orders(self) -> BookSnapshot:
        return BookSnapshot((), 0.0)


async def test_an_order_that_is_missing_is_judged_by_the_time_its_own_broker_needs() -> None:
    in_doubt = Order(run_id="run_1", leg=Leg.EXIT, state=OrderState.UNKNOWN, tag="t1", exchange="NSE", symbol="TCS")
    in_doubt.claimed_at, in_doubt.send_by = NOW - timedelta(seconds=20), NOW - timedelta(seconds=18)
    asked: list[Missing] = []

    async def under_way(_: str) -> UnderWay:
        return UnderWay([in_doubt], frozenset())

    async def known(_: object) -> frozenset[str]:
        return frozenset()

    async def store(missing: Missing) -> Missed:
        asked.append(missing)
        return Missed(Absence.FIRST_SIGHT, Followed(missing.run_id))

    tools = SimpleNamespace(
        accounts=SimpleNamespace(limits=lambda _: fyers.LIMITS),
        settle_of=lambda _: NEEDED,
        under_way=SimpleNamespace(read=under_way),
        known=SimpleNamespace(read=known),
        absences=SimpleNamespace(store=store),
        clock=SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0),
        pace=Pace(),
        database=None,
        days=None,
    )
    account = SimpleNamespace(id="brk_1", broker=BrokerName.FYERS)
    result = await Look(account, tools).take(EmptyBroker())  # type: ignore[arg-type]
    assert [missing.settle for missing in asked] == [NEEDED]
    assert result.doubt_again_at == NOW + NEEDED
