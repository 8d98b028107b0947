"""A batch that is reconciled reads all books at once, since one may hang, and compares a few accounts at a time for the desks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from execution.reconcile import reconcile_account
from execution.rush import Rush
from execution.tools import COMPARED_AT_ONCE, Pace
from runtime.clock import SystemClock
from tests.waiting import eventually
from trading.orders import BookSnapshot
from trading.ports.broker import BrokerUnavailable

BATCH = 5 * COMPARED_AT_ONCE


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
    """Whoever opens a transaction holds it until `go_on`, and then hears that the database is away."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.open = 0
        self.most = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.open += 1
        self.most = max(self.most, self.open)
        await self.go_on.wait()
        self.open -= 1
        raise BrokerUnavailable("away")
        yield


async def test_a_batch_reads_all_books_at_once_and_compares_a_few_accounts_at_a_time() -> None:
    broker, database = EmptyBroker(), BusyDatabase()
    tools: Any = SimpleNamespace(
        accounts=SimpleNamespace(broker_of=lambda account: broker),
        comparing=asyncio.Semaphore(COMPARED_AT_ONCE),
        database=database,
        rush=Rush(),
        clock=SystemClock(),
        settle_of=lambda _: Pace().settle,
    )
    account: Any = SimpleNamespace(id="acc")
    batch = [asyncio.create_task(reconcile_account(account, tools)) for _ in range(BATCH)]
    await eventually(lambda: broker.asked == BATCH, "every book is asked for while none has come")
    broker.answers.set()
    await eventually(lambda: database.open == COMPARED_AT_ONCE, "a few are compared")
    database.go_on.set()
    ended = await asyncio.gather(*batch, return_exceptions=True)
    assert database.most == COMPARED_AT_ONCE
    assert [type(one) for one in ended] == [BrokerUnavailable] * BATCH
