"""A process dies before any statement of any write: either nothing has happened, or all of it; and what is tried again happens
once. That a commit went through and nobody heard of it: test_orders.py."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

from sqlalchemy import event, select

from runtime.paper.broker import PaperBroker
from storage.database import Database
from storage.models import PaperHolding, PaperOrder
from tests.integration.paper.world import PaperWorld, yes
from trading.orders import BrokerOrderStatus, ModifyRequest, Placed, RefusalKind, Refused, Side, Unknown


class Died(BaseException):
    """As sudden as a signal: no handler of the code under test may see it as an error."""


@asynccontextmanager
async def process(world: PaperWorld, *, at: int, error: type[BaseException]) -> AsyncIterator[PaperBroker]:
    """A process of its own, to which that happens right before its statement of that number; commits count as statements."""
    numbers = count(1)
    async with Database(world.database.engine.url.render_as_string(hide_password=False), pool_size=4) as database:

        def note(*_: object) -> None:
            if next(numbers) == at:
                raise error

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        event.listen(database.engine.sync_engine, "commit", note)
        yield world.broker(world.exchange(database=database))


async def check(world: PaperWorld, *tags: str) -> list[PaperOrder]:
    """The rows are whole, and each tag stands for one order at most. Read beside the account: a read of its books would match."""
    stored, trades = await world.stored(), await world.trades()
    async with world.database.transaction() as session:
        orders = list(await session.scalars(select(PaperOrder)))
        held = list(await session.scalars(select(PaperHolding)))
    signed = [(trade.quantity * (1 if trade.side is Side.BUY else -1), trade.price) for trade in trades]
    assert stored.cash == 100_000 - sum((quantity * price for quantity, price in signed), Decimal(0))
    assert sum(row.quantity for row in held) == sum(quantity for quantity, _ in signed) >= 0
    for order in orders:
        filled = [trade.quantity for trade in trades if trade.order_id == order.id]
        assert order.filled_quantity == sum(filled)
        assert (order.state is BrokerOrderStatus.COMPLETE) == (order.filled_quantity == order.quantity)
    assert all(len([order for order in orders if order.tag == tag]) <= 1 for tag in tags)
    # It would vanish while a slow machine is at it.
    await world.price("3450")
    return orders


async def deaths(world: PaperWorld, act: Callable[[PaperBroker], Awaitable[object]], after: Callable[[], Awaitable[None]]) -> int:
    """Die before the first statement, the second, … until the act is through; `after` each death. How many deaths there were."""
    for dies_at in count(1):
        async with process(world, at=dies_at, error=Died) as broker:
            try:
                await act(broker)
            except Died:
                await after()
            else:
                return dies_at - 1
    raise AssertionError


async def test_an_order_placed_by_processes_that_die_is_there_once_and_filled_once(world: PaperWorld) -> None:
    await world.price("3450")
    request = world.order()

    async def whole() -> None:
        await check(world, request.tag)

    died = await deaths(world, lambda broker: broker.place(request, may_send=yes), whole)
    assert died > 5, "the statements are not found any more"
    (order,) = await check(world, request.tag)
    assert (order.state, order.filled_quantity) == (BrokerOrderStatus.COMPLETE, 10)
    assert [trade.quantity for trade in await world.trades()] == [10]


async def test_a_price_that_dying_processes_met_fills_once(world: PaperWorld) -> None:
    await world.place(world.order())
    await world.price("3450")

    async def whole() -> None:
        await check(world)

    await deaths(world, lambda broker: broker.trades(), whole)
    assert [trade.quantity for trade in await world.trades()] == [10]


async def test_a_change_by_processes_that_die_is_there_or_not(world: PaperWorld) -> None:
    order = await world.place(world.order(price="3400"))
    await world.price("3450")
    change = ModifyRequest(order.broker_order_id, 5, Decimal(3450))

    async def whole() -> None:
        (now,) = await check(world)
        assert (now.quantity, now.price) in {(10, Decimal(3400)), (5, Decimal(3450))}

    await deaths(world, lambda broker: broker.modify(change, may_send=yes), whole)
    (now,) = await check(world)
    assert (now.quantity, now.filled_quantity, now.state) == (5, 5, BrokerOrderStatus.COMPLETE)


async def test_a_database_that_fails_in_the_middle_is_answered_as_not_sent_or_unknown(world: PaperWorld) -> None:
    """And what is said is true: not sent means that there is no order."""
    said = set()
    for fails_at in count(1):
        await world.price("3450")
        request = world.order(quantity=1)
        async with process(world, at=fails_at, error=OSError) as broker:
            outcome = await broker.place(request, may_send=yes)
        found = [order for order in await check(world, request.tag) if order.tag == request.tag]
        said.add(type(outcome))
        if isinstance(outcome, Placed):
            assert len(found) == 1
            break
        if isinstance(outcome, Refused):
            assert (outcome.kind, found) == (RefusalKind.NOT_SENT, [])
    assert said == {Refused, Unknown, Placed}
