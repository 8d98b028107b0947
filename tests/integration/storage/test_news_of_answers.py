"""Answers of the broker, stored for many orders at once: each says what it said, and nobody waits for somebody else's rows."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select

from execution.answers import Answer
from execution.claim import ClaimedOrder
from execution.news import News
from execution.rush import Rush
from storage.database import STATEMENT_TIMEOUT_MS, Database
from storage.models import Order, OrderLog, Run, RunEvent
from tests.integration.storage.rows import NOW, FixedClock, Rows, unsaved_order, unsaved_run
from trading.instruments import InstrumentId
from trading.orders import Leg, OrderRequest, OrderState, Placed, PlaceOutcome, RefusalKind, Refused, Side, Unknown

# Seconds; sooner than the server gives up a statement that waits for a lock.
SOON = STATEMENT_TIMEOUT_MS / 1000 - 2
SENT_AT, LATE_MS = NOW + timedelta(milliseconds=7), 7


@pytest.fixture
def news(database: Database) -> News:
    return News(database, FixedClock(), Rush())


async def sent_orders(database: Database, count: int, *, state: OrderState = OrderState.SENDING) -> list[Order]:
    """That many claimed entries, each of a run of its own."""
    rows = Rows(database)
    account = await rows.account()
    runs = [unsaved_run(account, await rows.strategy(account)) for _ in range(count)]
    await rows.store(*runs)
    orders = [unsaved_order(run, Leg.ENTRY) for run in runs]
    for order in orders:
        order.state, order.claimed_at = state, NOW
    await rows.store(*orders)
    return orders


def answer(order: Order, outcome: PlaceOutcome | None = None) -> Answer:
    instrument = InstrumentId(order.exchange, order.symbol)
    request = OrderRequest(order.tag, instrument, order.product, Side.BUY, order.quantity, Decimal("3618.00"))
    claimed = ClaimedOrder(
        order_id=order.id,
        run_id=order.run_id,
        strategy_id=order.strategy_id,
        user_id=order.user_id,
        account_id=order.account_id,
        leg=Leg.ENTRY,
        attempt=order.attempt,
        revision=order.revision,
        request=request,
        wanted_at=NOW,
        fired_by="desk",
        reason=None,
        trigger=None,
        send_until=0.0,
    )
    return Answer(claimed, outcome or Placed(f"broker-{order.id}"), SENT_AT, LATE_MS)


async def rows_of(database: Database, orders: list[Order]) -> list[Order]:
    async with database.transaction() as session:
        found = {row.id: row for row in await session.scalars(select(Order))}
    return [found[order.id] for order in orders]


async def told(database: Database) -> dict[str, str]:
    """The last line of each run's timeline, by run."""
    async with database.transaction() as session:
        return {row.run_id: row.kind for row in await session.scalars(select(RunEvent).order_by(RunEvent.sequence))}


async def test_a_herd_of_answers_is_stored_in_a_few_transactions(database: Database, news: News) -> None:
    orders = await sent_orders(database, 50)
    begun = 0

    def count(*_: Any) -> None:
        nonlocal begun
        begun += 1

    event.listen(database.engine.sync_engine, "begin", count)
    states = await asyncio.gather(*(news.answered(answer(order)) for order in orders))
    assert begun <= 4, "each answer took a transaction of its own"
    assert states == [OrderState.OPEN] * 50
    for row in await rows_of(database, orders):
        assert (row.state, row.broker_order_id) == (OrderState.OPEN, f"broker-{row.id}")
        assert (row.sent_at, row.late_ms) == (SENT_AT, LATE_MS)
        assert row.acknowledged_at is not None
    assert set((await told(database)).values()) == {"order_sent"}


async def test_each_order_of_a_herd_gets_its_own_outcome(database: Database, news: News) -> None:
    orders = await sent_orders(database, 4)
    outcomes = [Placed("one"), Refused(RefusalKind.MARGIN, "no money"), Unknown("timeout"), Placed("four")]
    states = await asyncio.gather(*(news.answered(answer(*pair)) for pair in zip(orders, outcomes, strict=True)))
    assert states == [OrderState.OPEN, OrderState.REJECTED, OrderState.UNKNOWN, OrderState.OPEN]
    rows = await rows_of(database, orders)
    assert [row.broker_order_id for row in rows] == ["one", None, None, "four"]
    assert [row.message for row in rows][1:3] == ["no money", "timeout"]
    kinds = await told(database)
    assert [kinds[order.run_id] for order in orders] == ["order_sent", "order_refused", "order_in_doubt", "order_sent"]
    async with database.transaction() as session:
        logged = {line.order_id: line.answer["outcome"] for line in await session.scalars(select(OrderLog))}
    assert [logged[order.id] for order in orders] == ["placed", "refused", "unknown", "placed"]


async def test_an_answer_never_undoes_what_the_book_has_told(database: Database, news: News) -> None:
    """The book was faster, or the attempt was held absent: the state stays, and the broker's id is kept."""
    filled, absent = await sent_orders(database, 2)
    async with database.transaction() as session:
        (await session.get_one(Order, filled.id)).state = OrderState.FILLED
        (await session.get_one(Order, filled.id)).broker_order_id = "from the book"
        (await session.get_one(Order, absent.id)).state = OrderState.ABSENT
    late = [news.answered(answer(filled)), news.answered(answer(absent))]
    assert await asyncio.gather(*late) == [OrderState.FILLED, OrderState.ABSENT]
    rows = await rows_of(database, [filled, absent])
    assert [row.broker_order_id for row in rows] == ["from the book", f"broker-{absent.id}"]
    assert await news.answered(answer(filled, Unknown("timeout"))) is OrderState.FILLED


async def test_whoever_holds_one_run_holds_up_no_other_answer(database: Database, news: News) -> None:
    stuck, *free = await sent_orders(database, 5)
    async with database.transaction() as session:
        await session.execute(select(Run).where(Run.id == stuck.run_id).with_for_update())
        waiting = asyncio.create_task(news.answered(answer(stuck)))
        states = await asyncio.wait_for(asyncio.gather(*(news.answered(answer(order)) for order in free)), SOON)
        assert states == [OrderState.OPEN] * 4
        assert not waiting.done()
    assert await waiting is OrderState.OPEN


async def test_whoever_holds_an_order_without_its_run_holds_up_no_other_answer(database: Database, news: News) -> None:
    stuck, *free = await sent_orders(database, 5)
    async with database.transaction() as session:
        await session.execute(select(Order).where(Order.id == stuck.id).with_for_update())
        waiting = asyncio.create_task(news.answered(answer(stuck)))
        states = await asyncio.wait_for(asyncio.gather(*(news.answered(answer(order)) for order in free)), SOON)
        assert states == [OrderState.OPEN] * 4
        assert not waiting.done()
    assert await waiting is OrderState.OPEN
