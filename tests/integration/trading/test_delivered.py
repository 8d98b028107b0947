"""What is believed of holdings: a list that fails, changes or leaves something out takes nothing from a run."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.client import Client

from execution.delivered import AGAIN_AFTER, Delivered
from execution.ledger import Ledger
from storage.models import BrokerAccount
from tests.integration.trading.books import holding
from tests.integration.trading.world import World, trading_world
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import BookSnapshot, BrokerHolding, BrokerPosition, BrokerTrade
from trading.ports.broker import Broker, BrokerUnavailable

KEY = LedgerKey(InstrumentId("NSE", "TCS"), Product.CNC)
SETTLE = timedelta(seconds=3)


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


class Shelf:
    """An account's books of which the holdings are told by the test: shares of TCS, or None for no answer."""

    def __init__(self, broker: Broker, *told: int | None) -> None:
        self.told = list(told)
        self._broker = broker

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        shares = self.told.pop(0)
        if shares is None:
            raise BrokerUnavailable("no answer")
        return (BrokerHolding(KEY.instrument, shares, Decimal(3000)),) if shares else ()

    async def orders(self) -> BookSnapshot:
        return await self._broker.orders()

    async def trades(self) -> tuple[BrokerTrade, ...]:
        return await self._broker.trades()

    async def positions(self) -> tuple[BrokerPosition, ...]:
        return await self._broker.positions()


async def shelf(world: World, account: BrokerAccount, *told: int | None) -> Shelf:
    return Shelf(await world.accounts.open(account.id), *told)


async def morning(world: World, account: BrokerAccount, books: Shelf, *, seconds: list[float]) -> list[int | None]:
    """What is known after looks that many seconds after the first one."""
    delivered = Delivered(account.id, database=world.database, settle=SETTLE)
    began = world.clock.now()
    return [
        await delivered.in_the_morning(books, (), KEY, own=frozenset(), now=began + timedelta(seconds=after))  # type: ignore[arg-type]
        for after in seconds
    ]


async def test_holdings_are_believed_when_two_lists_a_settle_time_apart_agree_and_then_read_no_more(world: World) -> None:
    account = await world.add_account()
    books = await shelf(world, account, 5, 25, 25, 99)
    assert await morning(world, account, books, seconds=[0, 1, 3, 5, 6, 9]) == [None, None, None, None, 25, 25]
    assert await morning(world, account, books, seconds=[0]) == [25], "another process reads what is written"
    assert books.told == [99]


async def test_a_list_that_is_not_answered_proves_nothing_and_is_not_asked_for_at_every_look(world: World) -> None:
    account = await world.add_account()
    books = await shelf(world, account, None, 7, 7)
    later = AGAIN_AFTER.total_seconds()
    assert await morning(world, account, books, seconds=[0, 3, 6, later, later + 3]) == [None, None, None, None, 7]


async def test_a_second_list_that_is_not_answered_is_no_reason_to_look_again_soon(world: World) -> None:
    account = await world.add_account()
    books = await shelf(world, account, 7, None)
    delivered = Delivered(account.id, database=world.database, settle=SETTLE)
    began, unsettled = world.clock.now(), []
    for now in (began, began + SETTLE):
        await delivered.in_the_morning(books, (), KEY, own=frozenset(), now=now)  # type: ignore[arg-type]
        unsettled.append(delivered.is_unsettled)
    assert unsettled == [True, False]


@pytest.mark.parametrize(("now_listed", "taken"), [(25, 0), (None, 0), (0, 5)])
async def test_a_list_that_had_left_the_share_out_costs_a_run_nothing(world: World, now_listed: int | None, taken: int) -> None:
    account = await world.add_account()
    run = await holding(world, account, product=Product.CNC, quantity=7)
    await world.floor.close()
    world.sim.set_holding("alice", "TCS", 25, average_price=3000)
    books = await shelf(world, account, 0, 0, now_listed, now_listed)
    ledger = Ledger(account.id, database=world.database, days=world.room.tools.days, settle=SETTLE)
    began = world.clock.now()

    async def look(number: int) -> None:
        now = began + number * SETTLE
        await ledger.compare(books, await books.orders(), await books.trades(), now=now)  # type: ignore[arg-type]

    for number in range(2):
        await look(number)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=5, product="CNC")
    for number in range(2, 6):
        if books.told:
            await look(number)
    assert (await world.run(run.id)).taken_elsewhere == taken
