"""A batch that is reconciled reads all books at once, since one may hang, and the rows of many accounts together."""

import asyncio
from types import SimpleNamespace
from typing import Any

from execution.day_rows import DaysRows
from execution.reconcile import reconcile_account
from execution.rush import Rush
from execution.tools import Pace
from runtime.clock import SystemClock
from tests.waiting import eventually
from trading.orders import BookSnapshot
from trading.ports.broker import BrokerUnavailable

BATCH = 20


class EmptyBroker:
    """Nothing was ever traded there; until `answers` is set its book does not come."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0

    async def orders(self) -> BookSnapshot:
        self.asked += 1
        await self.answers.wait()
        return BookSnapshot((), 0.0)

    async def trades(self) -> tuple[Any, ...]:
        return ()

    async def positions(self) -> tuple[Any, ...]:
        return ()


class BusyDatabase:
    """Whoever asks it waits until `go_on`, and then hears that the database is away."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    async def fetch(self, *_: Any) -> list[Any]:
        self.asked += 1
        await self.go_on.wait()
        raise BrokerUnavailable("away")


class Herd:
    """Exits that leave until `has_passed`."""

    def __init__(self) -> None:
        self.has_passed = asyncio.Event()
        self.waiting = 0

    async def pass_by(self) -> None:
        self.waiting += 1
        await self.has_passed.wait()


def make_tools(broker: EmptyBroker, database: Any, rush: Any) -> Any:
    return SimpleNamespace(
        accounts=SimpleNamespace(broker_of=lambda account: broker),
        database=database,
        days=DaysRows(database),
        rush=rush,
        clock=SystemClock(),
        settle_of=lambda _: Pace().settle,
    )


def reconcile_batch(tools: Any) -> list[asyncio.Task[Any]]:
    accounts: list[Any] = [SimpleNamespace(id=f"acc{number}") for number in range(BATCH)]
    return [asyncio.create_task(reconcile_account(account, tools)) for account in accounts]


async def test_a_batch_reads_all_books_at_once_and_its_rows_together() -> None:
    broker, database = EmptyBroker(), BusyDatabase()
    batch = reconcile_batch(make_tools(broker, database, Rush()))
    await eventually(lambda: broker.asked == BATCH, "every book is asked for while none has come")
    assert database.asked == 0
    broker.answers.set()
    await eventually(lambda: database.asked == 1, "the rows of the first are read")
    database.go_on.set()
    ended = await asyncio.gather(*batch, return_exceptions=True)
    assert database.asked <= 2
    assert [type(one) for one in ended] == [BrokerUnavailable] * BATCH


async def test_rows_are_read_when_a_herd_of_exits_has_passed() -> None:
    broker, database, herd = EmptyBroker(), BusyDatabase(), Herd()
    broker.answers.set()
    batch = reconcile_batch(make_tools(broker, database, herd))
    await eventually(lambda: herd.waiting == BATCH, "every book is there")
    assert database.asked == 0
    herd.has_passed.set()
    await eventually(lambda: database.asked == 1, "the rows are read")
    database.go_on.set()
    await asyncio.gather(*batch, return_exceptions=True)
