import asyncio
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

import pytest

from listener.backoff import CAP_SECONDS, FIRST_SECONDS, Backoff
from listener.quotes import KEYS_PER_REQUEST, Quotes
from listener.supervision import supervised, together
from listener.wanted import Wanted
from tests.listener.fakes import HeldClock
from tests.waiting import eventually
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.ports.broker import Broker

TCS, INFY = InstrumentId("NSE", "TCS"), InstrumentId("NSE", "INFY")


def test_the_first_retry_is_fast_and_none_waits_longer_than_the_cap() -> None:
    backoff = Backoff(random.Random(1))
    waits = [backoff.next_seconds() for _ in range(2_000)]
    assert waits[0] <= FIRST_SECONDS
    assert max(waits) <= CAP_SECONDS
    assert max(waits) > CAP_SECONDS / 2
    backoff.reset()
    assert backoff.next_seconds() <= FIRST_SECONDS


def test_jitter_spreads_the_waits_over_the_whole_range() -> None:
    waits = []
    for seed in range(400):
        backoff = Backoff(random.Random(seed))
        for _ in range(8):
            backoff.next_seconds()
        waits.append(backoff.next_seconds())
    assert min(waits) < CAP_SECONDS * 0.1
    assert max(waits) > CAP_SECONDS * 0.9


async def test_a_failing_part_is_started_again_and_cancellation_passes() -> None:
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        raise ValueError("broken")

    task = asyncio.create_task(supervised("part", work))
    await eventually(lambda: starts >= 2, "a second start")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_together_raises_the_first_error_itself_and_ends_the_others() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await together(waits(), fails())
    assert ended.is_set()


async def test_together_passes_its_own_cancellation_on() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(together(waits()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_whoever_waits_for_wanted_instruments_misses_no_change() -> None:
    wanted = Wanted()
    version = wanted.version
    wanted.replace({BrokerName.ZERODHA: [TCS, INFY, TCS]})
    await wanted.newer_than(version)
    assert list(wanted.of(BrokerName.ZERODHA)) == [TCS, INFY]
    version = wanted.version
    wanted.replace({BrokerName.ZERODHA: [TCS, INFY]})
    assert wanted.version == version
    waiting = asyncio.create_task(wanted.newer_than(version))
    await asyncio.sleep(0)
    assert not waiting.done()
    wanted.replace({})
    await waiting
    assert list(wanted.of(BrokerName.ZERODHA)) == []


class CountingBroker:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        self.asked.append(len(instruments))
        return {}


async def test_a_quote_request_carries_no_more_than_a_request_can() -> None:
    broker = CountingBroker()
    quotes = Quotes(HeldClock())
    await quotes.ask(cast(Broker, broker), [InstrumentId("NSE", f"S{number}") for number in range(1_500)])
    assert broker.asked == [KEYS_PER_REQUEST]


async def test_a_second_quote_request_waits_for_its_turn() -> None:
    broker, clock = CountingBroker(), HeldClock()
    quotes = Quotes(clock)
    await quotes.ask(cast(Broker, broker), [TCS])
    second = asyncio.create_task(quotes.ask(cast(Broker, broker), [TCS]))
    await asyncio.sleep(0.01)
    assert broker.asked == [1]
    second.cancel()
