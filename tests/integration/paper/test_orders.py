"""A paper account's orders: placed once, filled by honest rules, changed and ended like at any broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from runtime.paper.books import Books
from storage.database import Database
from tests.integration.paper.world import PaperWorld, no, yes
from tests.unit.trading.samples import FRIDAY, at
from trading.instruments import InstrumentId, Product
from trading.orders import (
    Accepted,
    BrokerOrderStatus,
    ModifyRequest,
    OrderRequest,
    Placed,
    RefusalKind,
    Refused,
    Side,
    Unknown,
)
from trading.paper import PRICE_LIFE
from trading.ports.broker import BrokerRefused, BrokerUnavailable


async def test_a_purchase_fills_at_the_price_seen_and_every_book_says_so(world: PaperWorld) -> None:
    await world.price("3490.10")
    order = await world.place(world.order())
    assert (order.status, order.filled_quantity, order.average_price) == (BrokerOrderStatus.COMPLETE, 10, Decimal("3490.10"))
    broker = world.broker()
    (trade,) = await broker.trades()
    assert (trade.broker_order_id, trade.quantity, trade.price) == (order.broker_order_id, 10, Decimal("3490.10"))
    (position,) = await broker.positions()
    assert (position.net_quantity, position.average_price, position.last_price) == (10, Decimal("3490.10"), Decimal("3490.10"))
    margins = await broker.margins()
    assert (margins.available, margins.used) == (Decimal("65099.00"), 0)


async def test_bought_and_sold_leaves_a_flat_position_and_what_was_earned_in_the_cash(world: PaperWorld) -> None:
    await world.price("3490")
    await world.place(world.order())
    world.clock.pass_by(1)
    await world.price("3495.50")
    await world.place(world.order(side=Side.SELL, price="3450"))
    (position,) = await world.broker().positions()
    assert position.net_quantity == 0
    assert (await world.stored()).cash == Decimal("100055.0000")


async def test_a_tag_is_one_order_however_often_and_by_how_many_it_is_sent(world: PaperWorld) -> None:
    await world.price("3490")
    request = world.order()
    processes = [world.broker(world.exchange()) for _ in range(8)]
    outcomes = await asyncio.gather(*(broker.place(request, may_send=yes) for broker in processes))
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], Placed)
    assert await processes[0].place(request, may_send=yes) == outcomes[0]
    assert len((await world.broker().orders()).orders) == 1
    assert [trade.quantity for trade in await world.trades()] == [10]


async def test_a_price_fills_an_order_once_whoever_looks_and_however_many(world: PaperWorld) -> None:
    await world.rules(largest_fill=4)
    order = await world.place(world.order())
    await world.price("3490")
    looks = [world.broker(world.exchange()).orders() for _ in range(4)]
    await asyncio.gather(*looks, world.matching().round(), world.matching().round())
    assert [trade.quantity for trade in await world.trades()] == [4]
    for _ in range(2):
        world.clock.pass_by(1)
        await world.price("3490")
        await asyncio.gather(world.matching().round(), world.broker().orders(), world.matching().round())
    assert [trade.quantity for trade in await world.trades()] == [4, 4, 2]
    assert (await world.broker().order(order.broker_order_id)).status is BrokerOrderStatus.COMPLETE
    assert (await world.stored()).cash == 65_100


async def test_a_waiting_order_fills_when_the_price_comes_although_nobody_asks(world: PaperWorld) -> None:
    await world.price("3600")
    order = await world.place(world.order())
    assert (order.status, order.filled_quantity) == (BrokerOrderStatus.OPEN, 0)
    matching = world.matching()
    await matching.round()
    assert await world.trades() == []
    world.clock.pass_by(1)
    await world.price("3499.95")
    await matching.round()
    assert [trade.price for trade in await world.trades()] == [Decimal("3499.95")]


async def test_an_old_price_fills_nothing(world: PaperWorld) -> None:
    await world.price("3490", age=PRICE_LIFE.total_seconds() + 1)
    assert (await world.place(world.order())).filled_quantity == 0


async def test_a_day_order_dies_with_its_session_and_no_price_revives_it(world: PaperWorld) -> None:
    await world.price("3600")
    order = await world.place(world.order())
    world.clock.pass_by((at(FRIDAY, 15, 30) - world.clock.now()).total_seconds())
    await world.price("3400")
    await world.matching().round()
    ended = await world.broker().order(order.broker_order_id)
    assert (ended.status, ended.filled_quantity) == (BrokerOrderStatus.CANCELLED, 0)
    assert "session" in ended.message
    assert (await world.broker().margins()).available == 100_000


@pytest.mark.parametrize("shift", [timedelta(hours=-2), timedelta(hours=6), timedelta(days=1)], ids=str)
async def test_no_order_is_taken_while_the_market_is_closed(world: PaperWorld, shift: timedelta) -> None:
    world.clock.moment += shift
    outcome = await world.broker().place(world.order(), may_send=yes)
    assert outcome == Refused(RefusalKind.OTHER, "the market is closed")
    assert (await world.broker().orders()).orders == ()


async def test_refusals_leave_no_order_behind(world: PaperWorld) -> None:
    broker = world.broker()

    async def kind(request: OrderRequest, *, late: bool = False) -> RefusalKind:
        outcome = await broker.place(request, may_send=no if late else yes)
        assert isinstance(outcome, Refused)
        assert outcome.message
        return outcome.kind

    assert await kind(world.order(quantity=29)) is RefusalKind.MARGIN
    assert await kind(world.order(side=Side.SELL)) is RefusalKind.HOLDING
    assert await kind(world.order(price="3500.01")) is RefusalKind.INPUT
    assert await kind(world.order(instrument=InstrumentId("NSE", "NOWHERE"))) is RefusalKind.INPUT
    assert await kind(world.order(), late=True) is RefusalKind.NOT_SENT
    assert (await broker.orders()).orders == ()
    assert (await world.stored()).sequence == 0


async def test_money_and_shares_of_open_orders_are_not_there_twice(world: PaperWorld) -> None:
    await world.price("3490")
    await world.place(world.order())
    await world.place(world.order(side=Side.SELL, price="3600", quantity=6))
    again = await world.broker().place(world.order(side=Side.SELL, price="3600", quantity=5), may_send=yes)
    assert isinstance(again, Refused)
    assert again.kind is RefusalKind.HOLDING
    await world.place(world.order(price="3400", quantity=19))
    more = await world.broker().place(world.order(price="3400", quantity=1), may_send=yes)
    assert isinstance(more, Refused)
    assert more.kind is RefusalKind.MARGIN


async def test_two_purchases_at_once_cannot_spend_the_same_money(world: PaperWorld) -> None:
    brokers = [world.broker(world.exchange()) for _ in range(6)]
    outcomes = await asyncio.gather(*(broker.place(world.order(quantity=15), may_send=yes) for broker in brokers))
    assert sum(isinstance(outcome, Placed) for outcome in outcomes) == 1


async def test_a_modified_order_meets_the_price_at_once(world: PaperWorld) -> None:
    await world.price("3495")
    order = await world.place(world.order(price="3400"))
    change = ModifyRequest(order.broker_order_id, 8, Decimal(3500))
    assert await world.broker().modify(change, may_send=yes) == Accepted()
    now = await world.broker().order(order.broker_order_id)
    assert (now.status, now.quantity, now.filled_quantity, now.average_price) == (BrokerOrderStatus.COMPLETE, 8, 8, 3495)


async def test_what_is_filled_stays_when_the_rest_is_cancelled_and_then_it_is_gone(world: PaperWorld) -> None:
    await world.rules(largest_fill=4)
    await world.price("3490")
    order = await world.place(world.order())
    broker = world.broker()
    too_small = await broker.modify(ModifyRequest(order.broker_order_id, 4, Decimal(3500)), may_send=yes)
    assert isinstance(too_small, Refused)
    assert too_small.kind is RefusalKind.INPUT
    assert await broker.cancel(order.broker_order_id, may_send=no) == Refused(RefusalKind.NOT_SENT, "it was too late to send it")
    assert await broker.cancel(order.broker_order_id, may_send=yes) == Accepted()
    now = await broker.order(order.broker_order_id)
    assert (now.status, now.filled_quantity) == (BrokerOrderStatus.CANCELLED, 4)
    for outcome in (
        await broker.cancel(order.broker_order_id, may_send=yes),
        await broker.modify(ModifyRequest(order.broker_order_id, 9, Decimal(3500)), may_send=yes),
    ):
        assert isinstance(outcome, Refused)
        assert outcome.kind is RefusalKind.GONE
    world.clock.pass_by(1)
    await world.price("3480")
    await world.matching().round()
    assert [trade.quantity for trade in await world.trades()] == [4]


async def test_a_change_beyond_the_money_is_refused_and_changes_nothing(world: PaperWorld) -> None:
    order = await world.place(world.order())
    outcome = await world.broker().modify(ModifyRequest(order.broker_order_id, 30, Decimal(3500)), may_send=yes)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.MARGIN
    assert (await world.broker().order(order.broker_order_id)).quantity == 10


async def test_an_impossible_price_is_refused_as_input_and_changes_nothing(world: PaperWorld) -> None:
    order = await world.place(world.order(price="3400"))
    for price in ("3400.03", "0", "-5"):
        outcome = await world.broker().modify(ModifyRequest(order.broker_order_id, 10, Decimal(price)), may_send=yes)
        assert isinstance(outcome, Refused)
        assert outcome.kind is RefusalKind.INPUT
    assert await world.broker().order(order.broker_order_id) == order


async def test_a_book_is_stamped_before_it_was_asked_for_and_an_unused_tag_is_not_in_it(world: PaperWorld) -> None:
    assert (await world.broker().orders()).requested_at == world.clock.monotonic()
    assert await world.broker().find_by_tag("t325b0nobody") == ()


async def test_an_order_nobody_knows_cannot_be_changed_or_read(world: PaperWorld) -> None:
    for outcome in (
        await world.broker().cancel("por_nobody", may_send=yes),
        await world.broker().modify(ModifyRequest("por_nobody", 1, Decimal(1)), may_send=yes),
    ):
        assert isinstance(outcome, Refused)
        assert outcome.kind is RefusalKind.INPUT
    with pytest.raises(BrokerRefused):
        await world.broker().order("por_nobody")


async def test_products_are_held_apart(world: PaperWorld) -> None:
    await world.price("3490")
    await world.place(world.order(quantity=5))
    await world.place(world.order(quantity=2, product=Product.CNC))
    held = {position.product: position.net_quantity for position in await world.broker().positions()}
    assert held == {Product.MIS: 5, Product.CNC: 2}
    outcome = await world.broker().place(world.order(side=Side.SELL, quantity=3, product=Product.CNC), may_send=yes)
    assert isinstance(outcome, Refused)


async def test_yesterdays_orders_leave_the_book_and_what_is_held_stays(world: PaperWorld) -> None:
    await world.price("3490")
    await world.place(world.order())
    world.clock.pass_by(86_400)
    assert (await world.broker().orders()).orders == ()
    assert await world.broker().trades() == ()
    (position,) = await world.broker().positions()
    assert position.net_quantity == 10


async def test_a_look_waits_for_an_order_that_is_being_written_and_finds_it(world: PaperWorld) -> None:
    """So an order that is not found can never turn up later."""
    request = world.order()
    async with world.database.transaction() as session:
        exchange = world.exchange()
        books = await Books.open(session, world.account.id, world.clock)
        assert isinstance(await exchange._take(books, request, yes), Placed)
        looking = asyncio.create_task(world.broker().find_by_tag(request.tag))
        done, _ = await asyncio.wait({looking}, timeout=0.3)
        assert not done, "it looked past an order that is being written"
    (found,) = await looking
    assert found.tag == request.tag


async def test_what_was_not_committed_has_not_happened(world: PaperWorld) -> None:
    await world.price("3490")
    request = world.order()

    class Died(Exception):
        pass

    def die() -> bool:
        raise Died

    with pytest.raises(Died):
        await world.broker().place(request, may_send=die)
    assert await world.broker().find_by_tag(request.tag) == ()
    assert (await world.stored()).cash == 100_000
    assert isinstance(await world.broker().place(request, may_send=yes), Placed)


async def test_without_its_database_nothing_is_sent_and_nothing_is_concluded(world: PaperWorld) -> None:
    async with Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1) as away:
        broker = world.broker(world.exchange(database=away))
        for outcome in (
            await broker.place(world.order(), may_send=yes),
            await broker.cancel("por_x", may_send=yes),
            await broker.modify(ModifyRequest("por_x", 1, Decimal(1)), may_send=yes),
        ):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.NOT_SENT
        with pytest.raises(BrokerUnavailable):
            await broker.orders()


async def test_an_answer_lost_at_the_commit_is_unknown_and_its_tag_tells(world: PaperWorld) -> None:
    """The connection is cut after the server has committed and before we hear of it."""

    class Cut(Database):
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[AsyncSession]:
            async with super().transaction() as session:
                yield session
            raise ConnectionResetError("cut")

    async with Cut(str(world.database.engine.url.render_as_string(hide_password=False)), pool_size=4) as cut:
        request = world.order()
        outcome = await world.broker(world.exchange(database=cut)).place(request, may_send=yes)
    assert isinstance(outcome, Unknown)
    (found,) = await world.broker().find_by_tag(request.tag)
    assert found.status is BrokerOrderStatus.OPEN
