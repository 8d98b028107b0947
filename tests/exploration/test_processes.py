"""The ground the explorations stand on."""

import asyncio

import pytest

from tests.exploration import virtual_time
from tests.exploration.processes import Process, task_factory
from tests.exploration.virtual_time import VirtualTimeLoop


def new_loop() -> VirtualTimeLoop:
    loop = VirtualTimeLoop()
    loop.set_task_factory(task_factory)
    return loop


def test_a_time_limit_that_ran_out_in_a_frozen_process_is_felt_when_it_thaws() -> None:
    loop, process = new_loop(), Process("worker")

    async def work() -> float:
        try:
            async with asyncio.timeout(1.0):
                await asyncio.sleep(0.7)
        except TimeoutError:
            return loop.time()
        raise AssertionError("the limit was not felt")

    async def play() -> float:
        working = asyncio.get_running_loop().create_task(process.do(work()))
        await asyncio.sleep(0.5)
        process.freeze()
        await asyncio.sleep(5.0)
        process.thaw()
        return await working

    began = loop.time()
    assert loop.run_until_complete(play()) == began + 5.5
    loop.close()


def test_waiting_in_rounds_for_what_never_comes_is_an_error_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "LIMIT_SECONDS", 0.2)
    loop = new_loop()

    async def wait() -> None:
        while True:
            await asyncio.sleep(1.0)

    with pytest.raises(RuntimeError, match="never comes"):
        loop.run_until_complete(wait())
    loop.close()
