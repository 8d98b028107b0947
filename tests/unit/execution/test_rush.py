"""Whatever can wait lets a herd's orders leave first, and never waits for ever."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from execution import rush
from execution.rush import Rush
from runtime.garbage import search_all
from trading.lead import HERD

ORDERS = [f"ord_{number}" for number in range(HERD)]


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


async def passes(herd: Rush) -> bool:
    """Whether somebody who asks goes on at once."""
    asking = asyncio.create_task(herd.pass_by())
    for _ in range(5):
        await asyncio.sleep(0)
    done = asking.done()
    asking.cancel()
    return done


async def test_a_few_orders_hold_nobody_up() -> None:
    herd = Rush()
    herd.takes_up(ORDERS[:-1])
    assert await passes(herd)


async def test_a_herd_leaves_before_the_rest_goes_on() -> None:
    herd = Rush()
    herd.takes_up(ORDERS)
    waiting = asyncio.create_task(herd.pass_by())
    await asyncio.sleep(0)
    for order_id in ORDERS[:-1]:
        assert not waiting.done()
        herd.has_left(order_id)
        await asyncio.sleep(0)
    assert not waiting.done()
    herd.has_left(ORDERS[-1])
    await asyncio.wait_for(waiting, 5)
    assert await passes(herd)


async def test_no_garbage_is_looked_for_while_a_herd_leaves() -> None:
    herd = Rush()
    herd.takes_up(ORDERS)
    assert not gc.isenabled()
    for order_id in ORDERS:
        herd.has_left(order_id)
    assert gc.isenabled()


class Cycle:
    def __init__(self) -> None:
        self.itself = self


async def test_what_a_herd_has_made_is_searched_with_all_the_rest_and_not_before() -> None:
    herd = Rush()
    herd.takes_up(ORDERS)
    made = weakref.ref(Cycle())
    for order_id in ORDERS:
        herd.has_left(order_id)
    gc.collect()
    assert made() is not None
    assert search_all() > 0
    assert made() is None


async def test_a_few_orders_leave_nothing_out_of_the_search() -> None:
    herd, before = Rush(), gc.get_freeze_count()
    herd.takes_up(ORDERS[:1])
    herd.has_left(ORDERS[0])
    assert gc.get_freeze_count() == before


async def test_the_second_herd_is_waited_for_as_well() -> None:
    herd = Rush()
    for _ in range(2):
        herd.takes_up(ORDERS)
        assert not await passes(herd)
        for order_id in ORDERS:
            herd.has_left(order_id)
        assert await passes(herd)


async def test_nobody_waits_longer_than_the_longest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rush, "LONGEST_WAIT", 0.05)
    herd = Rush()
    herd.takes_up(ORDERS)
    await asyncio.wait_for(herd.pass_by(), 5)
