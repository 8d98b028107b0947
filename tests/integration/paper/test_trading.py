"""A strategy on a paper account, from its start to a flat position: by the same desks, workflow and protocol as anywhere.

The judge is the paper exchange's own books: its orders and trades.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from temporalio.client import Client

from cache.prices import HotPrice, PriceCache
from execution.tasks import end
from runtime.paper.opening import PaperTerms, open_paper_account
from storage.models import BrokerAccount, PaperAccount, PaperOrder, PaperTrade, User
from tests.integration.trading.processes import worker_process
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually_asked
from trading.instruments import InstrumentId
from trading.orders import BrokerOrderStatus, Side
from trading.paper import PaperRules
from trading.runs import EndReason, Position

TCS = InstrumentId("NSE", "TCS")


class Feed:
    """What the listener does for a symbol somebody trades: its newest price is written again and again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._price = HotPrice(Decimal(3600), world.clock.now())

    async def run(self) -> None:
        while True:
            await PriceCache(self._world.redis).write({TCS: self._price})
            await asyncio.sleep(0.1)

    def set(self, price: str) -> None:
        self._price = HotPrice(Decimal(price), self._world.clock.now())


@asynccontextmanager
async def feeding(world: World) -> AsyncIterator[Feed]:
    feed = Feed(world)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        await end([running])


async def add_paper_account(world: World, **rules: object) -> BrokerAccount:
    terms = PaperTerms(Decimal(1_000_000), PaperRules(**rules))  # type: ignore[arg-type]
    async with world.database.transaction() as session:
        user = User(email="paula@example.org", password_hash="-")
        session.add(user)
        await session.flush()
        return await open_paper_account(
            session, world.accounts, user_id=user.id, label="Paper", terms=terms, now=world.clock.now()
        )


async def orders(world: World) -> Sequence[PaperOrder]:
    async with world.database.transaction() as session:
        return (await session.scalars(select(PaperOrder).order_by(PaperOrder.created_at, PaperOrder.id))).all()


async def trades(world: World) -> Sequence[PaperTrade]:
    async with world.database.transaction() as session:
        return (await session.scalars(select(PaperTrade).order_by(PaperTrade.filled_at, PaperTrade.id))).all()


async def cash(world: World) -> Decimal:
    async with world.database.transaction() as session:
        return (await session.scalars(select(PaperAccount.cash))).one()


async def check_flat(world: World, *, bought: int = 10) -> None:
    """Everything bought was sold, nothing twice, and the cash says the same as the trades."""
    done = await trades(world)
    sums = {side: sum(trade.quantity for trade in done if trade.side is side) for side in Side}
    assert sums == {Side.BUY: bought, Side.SELL: bought}
    earned = sum((t.quantity * t.price * (1 if t.side is Side.SELL else -1) for t in done), Decimal(0))
    assert await cash(world) == 1_000_000 + earned
    assert all(order.state is not BrokerOrderStatus.OPEN for order in await orders(world))
    assert not world.sim.log.since(0, action="place"), "no order of a paper account leaves the house"


@pytest.fixture(params=[True, False], ids=["head-start", "signals-only"])
async def world(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, temporal_client: Client, task_queue: str
) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        desk_head_start=request.param,
    ) as made:
        yield made


async def test_a_run_that_hits_its_stop_sells_once_and_ends_flat(world: World) -> None:
    account = await add_paper_account(world)
    async with feeding(world) as feed:
        run = await world.start_run(account)
        await world.until_holding(run)
        feed.set("3490")
        await world.cross_stop(run, "3490")
        result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert result.position is Position.EXITED_BY_SL
    assert (result.bought, result.sold) == (10, 10)
    assert [order.side for order in await orders(world)] == [Side.BUY, Side.SELL]
    await check_flat(world)
    prices = {trade.side: trade.price for trade in await trades(world)}
    # 0.02 % against us, to the tick of 0.10.
    assert prices == {Side.BUY: Decimal("3600.80"), Side.SELL: Decimal("3489.30")}
    assert {fill.price for fill in await world.fills(run.id)} == set(prices.values())


async def test_a_run_that_fills_in_parts_sells_all_of_them_at_its_time(world: World) -> None:
    account = await add_paper_account(world, largest_fill=4)
    async with feeding(world) as feed:
        run = await world.start_run(account, sell_in=4.0)
        moving = asyncio.create_task(_move(feed))
        result = await world.result(run)
        await end([moving])
    assert result.end_reason is EndReason.SOLD_AT_TIME, await world.timeline(run.id)
    assert result.bought == result.sold > 0
    await check_flat(world, bought=result.bought)


async def _move(feed: Feed) -> None:
    """A price that is seen anew several times a second."""
    while True:
        feed.set("3600")
        await asyncio.sleep(0.2)


async def test_too_little_money_ends_the_run_without_a_trade(world: World) -> None:
    account = await add_paper_account(world)
    async with feeding(world):
        run = await world.start_run(account, quantity=500)
        result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert "rupees are needed" in (await world.run(run.id)).end_detail
    assert await orders(world) == []


async def test_killed_workers_leave_a_paper_trade_that_others_finish(
    database_url: str, redis_url: str, temporal_client: Client, temporal_address: str, task_queue: str, tmp_path: Path
) -> None:
    """One is killed while it holds, the next right after the stop was crossed: one sale, flat."""
    async with (
        trading_world(
            database_url=database_url,
            redis_url=redis_url,
            client=temporal_client,
            task_queue=task_queue,
            temporal_address=temporal_address,
            with_worker=False,
            with_desks=False,
        ) as world,
        feeding(world) as feed,
    ):
        account = await add_paper_account(world)
        with ExitStack() as processes:
            first = processes.enter_context(worker_process(world, "first", tmp_path))
            run = await world.start_run(account)
            await world.until_holding(run)
            first.process.kill()
            second = processes.enter_context(worker_process(world, "second", tmp_path))
            await eventually_asked(lambda: world.run(run.id), lambda row: row.bought == 10, "still held")
            feed.set("3490")
            await world.cross_stop(run, "3490")
            await eventually_asked(
                lambda: world.orders(run.id),
                lambda rows: any(row.leg.value == "exit" and row.state.value != "armed" for row in rows),
                "the exit is on its way",
            )
            second.process.kill()
            processes.enter_context(worker_process(world, "third", tmp_path))
            result = await world.result(run)
        assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
        await check_flat(world)
