"""Reconciling a batch of accounts takes a few at a time, so that the desks of the process come through."""

import asyncio
from types import SimpleNamespace
from typing import Any

from execution.reconcile import reconcile_account
from execution.rush import Rush
from execution.tools import COMPARED_AT_ONCE, Pace
from runtime.clock import SystemClock
from trading.ports.broker import BrokerUnavailable


class SlowBroker:
    """Its book comes when `answers` is set, and then as a failure: nothing is concluded."""

    def __init__(self) -> None:
        self.reading = 0
        self.most = 0
        self.answers = asyncio.Event()

    async def orders(self) -> Any:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await self.answers.wait()
        self.reading -= 1
        raise BrokerUnavailable("the book does not come")


async def test_a_batch_of_accounts_reads_a_few_books_at_a_time_and_all_in_the_end() -> None:
    broker = SlowBroker()
    tools: Any = SimpleNamespace(
        accounts=SimpleNamespace(broker_of=lambda account: broker),
        comparing=asyncio.Semaphore(COMPARED_AT_ONCE),
        rush=Rush(),
        clock=SystemClock(),
        pace=Pace(),
    )
    account: Any = SimpleNamespace(id="acc")
    batch = [asyncio.create_task(reconcile_account(account, tools)) for _ in range(5 * COMPARED_AT_ONCE)]
    async with asyncio.timeout(10):
        while broker.reading < COMPARED_AT_ONCE:
            await asyncio.sleep(0)
        broker.answers.set()
        ended = await asyncio.gather(*batch, return_exceptions=True)
    assert broker.most == COMPARED_AT_ONCE
    assert [type(one) for one in ended] == [BrokerUnavailable] * len(batch)
