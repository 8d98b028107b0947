"""Answers and fills of a herd, which come within the same moment: both of a run in one transaction, the answer first."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, select

from execution.follow import Followed
from execution.news import News
from execution.rush import Rush
from storage.database import Database
from storage.models import Order, Run, RunEvent
from tests.integration.storage.rows import FixedClock
from tests.integration.storage.test_news_of_answers import answer, sent_orders
from tests.integration.storage.test_news_of_fills import covered, filled
from trading.orders import Leg, OrderState


@pytest.fixture
def news(database: Database) -> News:
    return News(database, FixedClock(), Rush())


async def timeline(database: Database, run_id: str) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(select(RunEvent.kind).where(RunEvent.run_id == run_id).order_by(RunEvent.sequence)))


async def test_a_herds_answers_and_fills_share_their_transactions(database: Database, news: News) -> None:
    orders = await sent_orders(database, 40)
    begun = 0

    def count(*_: Any) -> None:
        nonlocal begun
        begun += 1

    event.listen(database.engine.sync_engine, "begin", count)
    # As they come: every answer, then every fill.
    answers = [news.answered(answer(order)) for order in orders]
    fills = [news.seen(filled(order)) for order in orders]
    stored = await asyncio.gather(*answers, *fills)
    assert begun <= 3, "answers and fills of the same runs took transactions of their own"
    assert stored[:40] == [OrderState.OPEN] * 40
    assert [followed.run_id for followed in stored[40:]] == [order.run_id for order in orders]
    assert await covered(database) == {order.run_id: order.quantity for order in orders}
    assert [await timeline(database, order.run_id) for order in orders] == [["order_sent", "bought", "stop_armed"]] * 40


async def test_a_fill_that_is_stored_with_its_answer_keeps_what_both_say(database: Database, news: News) -> None:
    (order,) = await sent_orders(database, 1)
    await asyncio.gather(news.seen(filled(order, 4)), news.answered(answer(order)))
    async with database.transaction() as session:
        entry = (await session.scalars(select(Order).where(Order.leg == Leg.ENTRY))).one()
        run = (await session.scalars(select(Run))).one()
    assert (entry.state, entry.filled_quantity, entry.broker_order_id) == (OrderState.OPEN, 4, f"broker-{order.id}")
    assert (run.bought, run.entry_late_ms) == (4, 7)
    assert await covered(database) == {order.run_id: 4}


async def test_a_run_that_somebody_holds_waits_with_both_and_loses_neither(database: Database, news: News) -> None:
    stuck, free = await sent_orders(database, 2)
    async with database.transaction() as session:
        await session.execute(select(Run).where(Run.id == stuck.run_id).with_for_update())
        waiting = [asyncio.create_task(news.answered(answer(stuck))), asyncio.create_task(news.seen(filled(stuck)))]
        await asyncio.wait_for(asyncio.gather(news.answered(answer(free)), news.seen(filled(free))), 8)
        assert await covered(database) == {free.run_id: free.quantity}
    assert (await asyncio.gather(*waiting))[0] in (OrderState.OPEN, OrderState.FILLED)
    assert await covered(database) == {order.run_id: order.quantity for order in (stuck, free)}


async def test_news_of_a_run_under_way_waits_for_it_and_is_stored_after_it(database: Database, news: News) -> None:
    """Two lanes store at a time, and the second fill of a run is decided on what the first has changed."""
    orders = await sent_orders(database, 60)
    fills = [news.seen(filled(order, part)) for part in (1, 2, 3) for order in orders]
    answers = [news.answered(answer(order)) for order in orders]
    stored = await asyncio.gather(*fills, *answers)
    assert [one.filled_more for one in stored[:180] if isinstance(one, Followed)] == [True] * 180
    assert await covered(database) == {order.run_id: 3 for order in orders}
    # Nothing is left behind: what comes later finds a lane.
    more = await asyncio.wait_for(asyncio.gather(*(news.seen(filled(order, 5)) for order in orders)), 20)
    assert all(followed.filled_more for followed in more)


async def test_two_transactions_store_a_herd_side_by_side(database: Database, news: News) -> None:
    orders = await sent_orders(database, 60)
    open_now, most = 0, 0

    def begin(*_: Any) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)

    def end(*_: Any) -> None:
        nonlocal open_now
        open_now -= 1

    event.listen(database.engine.sync_engine, "begin", begin)
    event.listen(database.engine.sync_engine, "commit", end)
    await asyncio.gather(*(news.answered(answer(order)) for order in orders))
    assert most == 2
