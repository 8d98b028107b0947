"""Orders that a healthy book does not list: what two reads prove is stored for a herd at once, the next exit with it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from execution.absences import Absences, Missed, Missing
from execution.resolve import Absence, BookRead
from execution.rush import Rush
from storage.database import STATEMENT_TIMEOUT_MS, Database
from storage.models import Order
from tests.integration.storage.rows import STOP, Rows
from trading.orders import BookSnapshot, Leg, OrderState
from trading.runs import ExitReason, RunState

TIMEOUT, SETTLE = timedelta(seconds=5), timedelta(seconds=3)
# Seconds; sooner than the server gives up a statement that waits for a lock.
SOON = STATEMENT_TIMEOUT_MS / 1000 - 2
NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
EMPTY = BookSnapshot((), 0.0)


class NoonClock:
    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def absences(database: Database) -> Absences:
    return Absences(database, NoonClock(), Rush(), timeout=TIMEOUT)


async def exits_in_doubt(database: Database, count: int) -> list[Order]:
    """That many exits at their stop whose answer never came, claimed ten seconds before noon, each of an account of its own."""
    rows = Rows(database)
    made = []
    for _ in range(count):
        account = await rows.account()
        run = await rows.run(account, bought=10, buy_value=36_000, state=RunState.LEAVING)
        sent = {"claimed_at": NOON - timedelta(seconds=10), "send_by": NOON - timedelta(seconds=8)}
        wish = {"reason": ExitReason.STOP_LOSS, "wanted_at": NOON - timedelta(seconds=10), "trigger_price": STOP}
        made.append(await rows.order(run, Leg.EXIT, state=OrderState.UNKNOWN, **sent, **wish))
    return made


def missing(order: Order, *, seconds: float) -> Missing:
    """A book that was asked for so long after noon does not list it."""
    return Missing(order.id, order.run_id, BookRead(EMPTY, NOON + timedelta(seconds=seconds)), SETTLE)


async def seen_missing(absences: Absences, orders: list[Order], *, seconds: float) -> list[Missed]:
    return await asyncio.gather(*(absences.store(missing(order, seconds=seconds)) for order in orders))


async def armed_quantities(database: Database) -> dict[str, int]:
    async with database.transaction() as session:
        armed = await session.scalars(select(Order).where(Order.state == OrderState.ARMED))
        return {order.run_id: order.quantity for order in armed}


async def test_a_herd_of_exits_is_proven_absent_by_two_reads_and_the_next_attempts_stand_at_once(
    database: Database, absences: Absences
) -> None:
    orders = await exits_in_doubt(database, 5)
    first = await seen_missing(absences, orders, seconds=0)
    assert {missed.absence for missed in first} == {Absence.FIRST_SIGHT}
    assert await armed_quantities(database) == {}
    second = await seen_missing(absences, orders, seconds=3)
    assert {missed.absence for missed in second} == {Absence.PROVEN}
    assert await armed_quantities(database) == {order.run_id: 10 for order in orders}
    assert [missed.followed.armed_exit is not None for missed in second] == [True] * 5


async def test_a_second_read_that_comes_too_soon_proves_nothing(database: Database, absences: Absences) -> None:
    orders = await exits_in_doubt(database, 1)
    await seen_missing(absences, orders, seconds=0)
    [missed] = await seen_missing(absences, orders, seconds=2.9)
    assert missed.absence is Absence.UNSETTLED
    assert await armed_quantities(database) == {}


async def test_an_order_that_was_heard_of_meanwhile_is_not_absent(database: Database, absences: Absences) -> None:
    [order] = await exits_in_doubt(database, 1)
    await seen_missing(absences, [order], seconds=0)
    await Rows(database).change(order, state=OrderState.OPEN, broker_order_id="broker-1")
    [missed] = await seen_missing(absences, [order], seconds=3)
    assert missed.absence is Absence.TOO_EARLY
    assert (await Rows(database).fresh(order)).state is OrderState.OPEN


async def test_a_run_that_somebody_holds_holds_up_no_other(database: Database, absences: Absences) -> None:
    held, free = await exits_in_doubt(database, 2)
    await seen_missing(absences, [held, free], seconds=0)
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM runs WHERE id = :run_id FOR UPDATE"), {"run_id": held.run_id})
        waiting = asyncio.create_task(absences.store(missing(held, seconds=3)))
        async with asyncio.timeout(SOON):
            assert (await absences.store(missing(free, seconds=3))).absence is Absence.PROVEN
        assert not waiting.done()
    assert (await waiting).absence is Absence.PROVEN
