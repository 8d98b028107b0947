"""Signals against a real Temporal server."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.messages import StopLossHit
from listener.complaints import Complaints
from listener.signals import Signals
from listener.triggers import Crossing, WatchedStop
from runtime.clock import SystemClock
from runtime.metrics import PrometheusMetrics
from tests.listener.fakes import START
from tests.waiting import eventually
from trading.instruments import InstrumentId
from workflows.names import STOP_LOSS_HIT


@workflow.defn(name="HearsAStop")
class HearsAStop:
    def __init__(self) -> None:
        self._hit: StopLossHit | None = None

    @workflow.run
    async def run(self) -> StopLossHit:
        await workflow.wait_condition(lambda: self._hit is not None)
        assert self._hit is not None
        return self._hit

    @workflow.signal(name=STOP_LOSS_HIT)
    def hear(self, hit: StopLossHit) -> None:
        self._hit = hit


def crossing(run_id: str) -> Crossing:
    stop = WatchedStop(run_id, "brk_1", InstrumentId("NSE", "TCS"), Decimal("3500.05"), 2, START)
    return Crossing(stop, Decimal("3499.95"), START)


@pytest.fixture
async def signals(temporal_client: Client):  # type: ignore[no-untyped-def]
    clock = SystemClock()
    made = Signals(temporal_client, clock=clock, metrics=PrometheusMetrics(), complaints=Complaints(clock))
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_the_workflow_hears_exactly_what_crossed(temporal_client: Client, task_queue: str, signals: Signals) -> None:
    workflow_id = f"hears-{uuid4().hex}"
    async with Worker(
        temporal_client, task_queue=task_queue, workflows=[HearsAStop], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await temporal_client.start_workflow(HearsAStop.run, id=workflow_id, task_queue=task_queue)
        signals.add([crossing("run_1")], head_start=True)
        signals.know_workflow("run_1", workflow_id)
        hit = await handle.result()
    assert hit == StopLossHit("TCS", Decimal("3499.95"), 2, "run_1:2", START)


async def test_a_workflow_that_has_ended_or_never_was_is_given_up(temporal_client: Client, signals: Signals) -> None:
    signals.add([crossing("run_2")], head_start=False)
    signals.know_workflow("run_2", f"never-{uuid4().hex}")
    await eventually(lambda: signals.waiting == 0, "giving up")
