"""Fills that order streams tell of, stored for many orders at once: nobody waits for somebody else's rows."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select, text

from execution.follow import Sight
from execution.news import News
from execution.rush import Rush
from storage.database import STATEMENT_TIMEOUT_MS, Database
from storage.models import Order, Run
from tests.integration.storage.rows import NOW, FixedClock, Rows, unsaved_order, unsaved_run
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrder, BrokerOrderStatus, Leg, OrderState, Side

# Seconds; sooner than the server gives up a statement that waits for a lock.
SOON = STATEMENT_TIMEOUT_MS / 1000 - 2


@pytest.fixture
def news(database: Database) -> News:
    return News(database, FixedClock(), Rush())


async def bought_orders(database: Database, count: int) -> list[Order]:
    """That many entries at the broker, each of a run of its own."""
    rows = Rows(database)
    account = await rows.account()
    strategies = [await rows.strategy(account) for _ in range(count)]
    runs = [unsaved_run(account, strategy) for strategy in strategies]
    await rows.store(*runs)
    orders = [unsaved_order(run, Leg.ENTRY) for run in runs]
    for number, order in enumerate(orders):
        order.state, order.broker_order_id = OrderState.OPEN, f"broker-{number}"
    await rows.store(*orders)
    return orders


def filled(order: Order, quantity: int | None = None) -> Sight:
    """What the stream says once that many shares (all of them) are bought."""
    instrument = InstrumentId(order.exchange, order.symbol)
    done = quantity or order.quantity
    seen = BrokerOrder(
        broker_order_id=order.broker_order_id or "",
        tag=order.tag,
        instrument=instrument,
        product=Product.MIS,
        side=Side.BUY,
        quantity=order.quantity,
        filled_quantity=done,
        price=Decimal("3618.00"),
        average_price=Decimal("3600.00"),
        status=BrokerOrderStatus.COMPLETE if done == order.quantity else BrokerOrderStatus.OPEN,
        message="",
        updated_at=NOW,
    )
    return Sight(order.id, order.run_id, seen)


async def covered(database: Database) -> dict[str, int]:
    """Shares under an armed exit, by run."""
    async with database.transaction() as session:
        exits = await session.scalars(select(Order).where(Order.leg == Leg.EXIT, Order.state == OrderState.ARMED))
        return {row.run_id: row.quantity for row in exits}


async def test_a_herd_of_fills_is_covered_in_a_few_transactions(database: Database, news: News) -> None:
    orders = await bought_orders(database, 50)
    begun = 0

    def count(*_: Any) -> None:
        nonlocal begun
        begun += 1

    event.listen(database.engine.sync_engine, "begin", count)
    followed = await asyncio.gather(*(news.seen(filled(order)) for order in orders))
    assert [one.run_id for one in followed] == [order.run_id for order in orders]
    assert await covered(database) == {order.run_id: order.quantity for order in orders}
    assert begun <= 4, "each fill took a transaction of its own"


async def test_whoever_holds_one_run_holds_up_no_other(database: Database, news: News) -> None:
    stuck, *free = await bought_orders(database, 5)
    async with database.transaction() as session:
        await session.execute(select(Run).where(Run.id == stuck.run_id).with_for_update())
        waiting = asyncio.create_task(news.seen(filled(stuck)))
        await asyncio.wait_for(asyncio.gather(*(news.seen(filled(order)) for order in free)), SOON)
        assert set(await covered(database)) == {order.run_id for order in free}
        assert not waiting.done()
    assert (await waiting).filled_more
    assert stuck.run_id in await covered(database)


async def test_whoever_holds_an_order_without_its_run_holds_up_no_other(database: Database, news: News) -> None:
    stuck, *free = await bought_orders(database, 5)
    async with database.transaction() as session:
        await session.execute(select(Order).where(Order.id == stuck.id).with_for_update())
        waiting = asyncio.create_task(news.seen(filled(stuck)))
        await asyncio.wait_for(asyncio.gather(*(news.seen(filled(order)) for order in free)), SOON)
        assert set(await covered(database)) == {order.run_id for order in free}
    assert (await waiting).filled_more


async def test_an_order_that_is_gone_is_told_and_the_rest_is_stored(database: Database, news: News) -> None:
    orders = await bought_orders(database, 3)
    gone = replace(filled(orders[0]), order_id="ord_gone")
    work: list[Coroutine[Any, Any, Any]] = [news.seen(gone), *(news.seen(filled(order)) for order in orders[1:])]
    first, *others = await asyncio.gather(*work, return_exceptions=True)
    assert isinstance(first, LookupError)
    assert [other.filled_more for other in others] == [True, True]
    assert set(await covered(database)) == {order.run_id for order in orders[1:]}


async def test_two_fills_of_one_run_are_stored_one_after_the_other(database: Database, news: News) -> None:
    (order,) = await bought_orders(database, 1)
    await asyncio.gather(news.seen(filled(order, 4)), news.seen(filled(order)))
    assert await covered(database) == {order.run_id: order.quantity}


async def test_connections_that_break_leave_nobody_waiting(database: Database, news: News) -> None:
    orders = await bought_orders(database, 3)
    async with database.transaction() as session:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        await session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))  # noqa: S608
    storing = [asyncio.create_task(news.seen(filled(order))) for order in orders]
    failed = await asyncio.wait_for(asyncio.gather(*storing, return_exceptions=True), 30)
    assert all(isinstance(one, Exception) or one.filled_more for one in failed)
    await asyncio.gather(*(news.seen(filled(order)) for order in orders))
    assert set(await covered(database)) == {order.run_id for order in orders}
