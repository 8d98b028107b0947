import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from listener.complaints import Complaints
from listener.signals import HEAD_START_EACH, HEAD_START_SECONDS, REPEAT_SECONDS, RETRY_SECONDS, Signals
from listener.triggers import Crossing, WatchedStop
from runtime.metrics import PrometheusMetrics
from tests.listener.fakes import START, FakeTemporal, HeldClock
from tests.waiting import eventually
from trading.instruments import InstrumentId


def crossing(run_id: str = "run_1", *, version: int = 1) -> Crossing:
    stop = WatchedStop(run_id, "brk_1", InstrumentId("NSE", "TCS"), Decimal(3500), version, START)
    return Crossing(stop, Decimal("3499.95"), START)


class Bench:
    def __init__(self, temporal: FakeTemporal | Client) -> None:
        self.clock = HeldClock()
        self.temporal = temporal
        self.signals = Signals(
            cast(Client, temporal), clock=self.clock, metrics=PrometheusMetrics(), complaints=Complaints(self.clock)
        )

    def wake(self) -> None:
        """The clock was moved by hand: let the senders look at it again."""
        self.signals.add([], head_start=False)
        self.signals.hurry([])
        self.signals._wake.set()

    async def settle(self) -> None:
        self.wake()
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def temporal() -> FakeTemporal:
    return FakeTemporal()


@pytest.fixture
async def bench(temporal: FakeTemporal) -> AsyncIterator[Bench]:
    made = Bench(temporal)
    running = asyncio.create_task(made.signals.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_signal_says_what_crossed_which_version_and_when(bench: Bench, temporal: FakeTemporal) -> None:
    bench.signals.add([crossing(version=3)], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    await eventually(lambda: temporal.signals, "the signal")
    ((workflow_id, hit),) = temporal.signals
    assert workflow_id == "workflow_1"
    assert (hit.symbol, hit.price, hit.stop_version, hit.trigger_id, hit.at) == ("TCS", Decimal("3499.95"), 3, "run_1:3", START)


async def test_the_desks_have_a_head_start_unless_none_has_heard(bench: Bench, temporal: FakeTemporal) -> None:
    for run_id in ("run_1", "run_2"):
        bench.signals.add([crossing(run_id)], head_start=True)
        bench.signals.know_workflow(run_id, run_id)
    await bench.settle()
    assert temporal.signals == []
    bench.signals.hurry([crossing("run_2")])
    await bench.settle()
    assert [workflow_id for workflow_id, _ in temporal.signals] == ["run_2"]
    bench.clock.advance(HEAD_START_SECONDS + HEAD_START_EACH)
    await bench.settle()
    assert [workflow_id for workflow_id, _ in temporal.signals] == ["run_2", "run_1"]


async def test_the_more_crossed_at_once_the_longer_the_desks_are_left_alone(bench: Bench, temporal: FakeTemporal) -> None:
    herd = [crossing(f"run_{number}") for number in range(50)]
    bench.signals.know_workflows({each.stop.run_id: each.stop.run_id for each in herd})
    bench.signals.add(herd, head_start=True)
    bench.clock.advance(HEAD_START_SECONDS + HEAD_START_EACH)
    await bench.settle()
    assert temporal.signals == []
    bench.clock.advance(HEAD_START_EACH * len(herd))
    await bench.settle()
    await eventually(lambda: len(temporal.signals) == len(herd), "a signal for each")


async def test_while_temporal_is_down_a_signal_is_kept_and_sent_when_it_is_back(bench: Bench, temporal: FakeTemporal) -> None:
    temporal.is_down = True
    bench.signals.add([crossing()], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    for attempts in range(1, 4):
        await bench.settle()
        assert temporal.attempts == attempts
        bench.clock.advance(RETRY_SECONDS)
    temporal.is_down = False
    await bench.settle()
    assert len(temporal.signals) == 1
    assert bench.signals.waiting == 0


async def test_a_run_without_workflow_is_not_tried_for_ever(bench: Bench, temporal: FakeTemporal) -> None:
    temporal.gone.add("workflow_1")
    bench.signals.add([crossing()], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    await bench.settle()
    bench.clock.advance(10 * REPEAT_SECONDS)
    bench.signals.repeat("run_1")
    bench.signals.add([crossing()], head_start=False)
    await bench.settle()
    assert temporal.attempts == 1
    assert bench.signals.waiting == 0


async def test_a_delivered_signal_is_repeated_only_on_request_and_not_too_soon(bench: Bench, temporal: FakeTemporal) -> None:
    bench.signals.add([crossing()], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    await bench.settle()
    bench.clock.advance(REPEAT_SECONDS / 2)
    bench.signals.repeat("run_1")
    await bench.settle()
    assert len(temporal.signals) == 1
    bench.clock.advance(REPEAT_SECONDS / 2)
    await bench.settle()
    assert len(temporal.signals) == 1
    bench.signals.repeat("run_1")
    await bench.settle()
    assert [hit.trigger_id for _, hit in temporal.signals] == ["run_1:1", "run_1:1"]


async def test_the_same_crossing_again_is_one_signal_and_a_newer_version_is_another(bench: Bench, temporal: FakeTemporal) -> None:
    bench.signals.add([crossing(), crossing()], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    bench.signals.add([crossing()], head_start=False)
    await bench.settle()
    bench.signals.add([crossing(version=2)], head_start=False)
    await bench.settle()
    assert [hit.trigger_id for _, hit in temporal.signals] == ["run_1:1", "run_1:2"]


async def test_a_run_that_is_over_is_forgotten_before_its_signal_leaves(bench: Bench, temporal: FakeTemporal) -> None:
    bench.signals.add([crossing()], head_start=True)
    bench.signals.know_workflow("run_1", "workflow_1")
    bench.signals.keep_only(set())
    bench.clock.advance(HEAD_START_SECONDS)
    await bench.settle()
    assert temporal.attempts == 0


async def test_a_herd_of_signals_leaves_a_few_at_a_time_and_completely(bench: Bench, temporal: FakeTemporal) -> None:
    for number in range(500):
        bench.signals.add([crossing(f"run_{number}")], head_start=False)
        bench.signals.know_workflow(f"run_{number}", f"workflow_{number}")
    await eventually(lambda: len(temporal.signals) == 500, "every signal")
    assert len({workflow_id for workflow_id, _ in temporal.signals}) == 500


async def test_a_client_that_was_never_connected_counts_as_temporal_being_down() -> None:
    lazy = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    bench = Bench(lazy)
    running = asyncio.create_task(bench.signals.run())
    bench.signals.add([crossing()], head_start=False)
    bench.signals.know_workflow("run_1", "workflow_1")
    try:
        await eventually(lambda: bench.signals._complaints.is_open("signals_cannot_be_sent"), "the complaint")
        assert bench.signals.waiting == 1
        assert not running.done()
    finally:
        running.cancel()


async def test_a_crossing_of_a_run_that_was_read_before_does_not_wait_for_the_next_reading(
    bench: Bench, temporal: FakeTemporal
) -> None:
    bench.signals.know_workflows({"run_1": "workflow_1"})
    bench.signals.add([crossing()], head_start=False)
    await eventually(lambda: temporal.signals, "the signal")
    assert temporal.signals[0][0] == "workflow_1"
