"""What is around a paper account's orders: updates, quotes, ticks, a new beginning."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from cache.channels import publish_paper_changed
from cache.connection import connect
from runtime.paper.books import Books
from runtime.paper.opening import PaperTerms
from storage.models import BrokerAccount
from tests.integration.paper.world import TCS, PaperWorld, yes
from tests.waiting import DEADLINE_SECONDS
from trading.accounts import BrokerName, Environment
from trading.instruments import InstrumentId
from trading.orders import BrokerOrder, BrokerOrderStatus, ModifyRequest, Side
from trading.paper import PaperRules
from trading.ports.broker import Broker, BrokerRefused, BrokerUnavailable

INFY = InstrumentId("NSE", "INFY")


async def test_whoever_follows_the_orders_hears_of_every_change_whichever_process_made_it(world: PaperWorld) -> None:
    async with world.broker().order_updates() as updates:
        order = await world.place(world.order())
        seen: list[BrokerOrder] = [await _next(updates)]
        change = ModifyRequest(order.broker_order_id, 8, Decimal(3400))
        await world.broker(world.exchange()).modify(change, may_send=yes)
        seen.append(await _next(updates))
        await world.price("3390")
        await world.matching().round()
        seen.append(await _next(updates))
    assert [(update.status, update.quantity, update.filled_quantity) for update in seen] == [
        (BrokerOrderStatus.OPEN, 10, 0),
        (BrokerOrderStatus.OPEN, 8, 0),
        (BrokerOrderStatus.COMPLETE, 8, 8),
    ]


async def test_another_accounts_orders_are_not_told(world: PaperWorld) -> None:
    async with world.broker().order_updates() as updates:
        waiting = asyncio.create_task(_next(updates))
        await publish_paper_changed(world.redis, ["brk_somebody_else"])
        order = await world.place(world.order())
        assert (await waiting).broker_order_id == order.broker_order_id


async def _next(updates: object) -> BrokerOrder:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await anext(updates)  # type: ignore[call-overload, no-any-return]


async def test_without_redis_there_are_no_updates_and_no_fills_but_the_books_stand(world: PaperWorld) -> None:
    await world.price("3490")
    away = connect("redis://127.0.0.1:1/0")
    broker = world.broker(world.exchange(redis=away))
    outcome = await broker.place(world.order(), may_send=yes)
    (order,) = (await broker.orders()).orders
    assert (order.status, order.filled_quantity) == (BrokerOrderStatus.OPEN, 0), outcome
    with pytest.raises(BrokerUnavailable):
        async with broker.order_updates() as updates:
            await _next(updates)
    await away.aclose()


class Lender:
    """Somebody's account at a broker, as far as it quotes."""

    def __init__(self, prices: Mapping[InstrumentId, Decimal] | None) -> None:
        self._prices = prices

    async def open(self, account_id: str) -> Broker:
        return self  # type: ignore[return-value]

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        if self._prices is None:
            raise BrokerUnavailable("no answer")
        return {instrument: self._prices[instrument] for instrument in instruments if instrument in self._prices}


async def lend(world: PaperWorld) -> None:
    """An account of another broker that is logged in."""
    async with world.database.transaction() as session:
        session.add(
            BrokerAccount(
                user_id=world.account.user_id,
                broker=BrokerName.ZERODHA,
                environment=Environment.SIMULATED,
                broker_user_id="AB0001",
                sealed_api_key="-",
                sealed_api_secret="-",
                sealed_access_token="-",
            )
        )


async def test_a_price_nobody_has_seen_is_quoted_by_somebody_elses_account_and_fills_nothing(world: PaperWorld) -> None:
    await lend(world)
    broker = world.broker(world.exchange(lend=Lender({TCS: Decimal(3495)}).open))
    assert await broker.ltp([TCS, INFY]) == {TCS: Decimal(3495)}
    await broker.place(world.order(), may_send=yes)
    assert await world.trades() == []
    await world.price("3490")
    assert await broker.ltp([TCS]) == {TCS: Decimal(3490)}


async def test_no_quote_is_no_answer_and_not_an_empty_one(world: PaperWorld) -> None:
    with pytest.raises(BrokerUnavailable, match="no broker account is logged in"):
        await world.broker().ltp([TCS])
    await lend(world)
    with pytest.raises(BrokerUnavailable, match="no answer"):
        await world.broker(world.exchange(lend=Lender(None).open)).ltp([TCS])


async def test_ticks_are_the_prices_that_are_new(world: PaperWorld) -> None:
    await world.price("3490")
    async with world.broker().ticks() as stream:
        await stream.subscribe([TCS])
        prices = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for ticks in stream:
                prices += [tick.last_price for tick in ticks]
                if len(prices) == 2:
                    break
                world.clock.pass_by(1)
                await world.price("3491")
    assert prices == [3490, 3491]


async def test_a_new_beginning_gives_back_what_was_held_in_a_trade_and_ends_what_was_open(world: PaperWorld) -> None:
    await world.price("3490.05")
    await world.place(world.order())
    await world.place(world.order(price="3400", quantity=5))
    world.clock.pass_by(1)
    async with world.database.transaction() as session:
        books = await Books.open(session, world.account.id, world.clock)
        await books.start_again(cash=Decimal(50_000), rules=PaperRules(Decimal("0.5"), 7))
    broker = world.broker()
    statuses = [order.status for order in (await broker.orders()).orders]
    assert statuses == [BrokerOrderStatus.COMPLETE, BrokerOrderStatus.CANCELLED, BrokerOrderStatus.COMPLETE]
    assert [(trade.side, trade.quantity) for trade in await broker.trades()] == [(Side.BUY, 10), (Side.SELL, 10)]
    (position,) = await broker.positions()
    assert position.net_quantity == 0
    stored = await world.stored()
    assert (stored.cash, stored.starting_cash, stored.largest_fill) == (50_000, 50_000, 7)
    assert (await broker.margins()).available == 50_000


async def test_an_account_without_books_is_refused_and_has_none(world: PaperWorld) -> None:
    stranger = world.broker()
    stranger.account_id = "brk_nobody"
    with pytest.raises(BrokerRefused):
        await stranger.validate_credentials()
    with pytest.raises(BrokerRefused):
        await stranger.orders()
    assert PaperTerms().cash == 1_000_000
