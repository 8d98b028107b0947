"""The signal that follows every crossing: durable where the channel is not, so it is sent until Temporal has taken it.

Paced behind the desks' burst: in a herd orders go first. One entry per run, so the queue never grows beyond the open runs.
Never signal-with-start: a late tick must not start a new trade.
"""

import asyncio
import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from activities.messages import StopLossHit, TargetHit
from listener.complaints import Complaints
from listener.triggers import Crossing
from runtime.temporal import is_gone
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.runs import ExitReason
from workflows.names import STOP_LOSS_HIT, TARGET_HIT

# How long the desks are left alone with the orders when they have heard of the crossing, and how much longer for each of a herd.
HEAD_START_SECONDS = 0.1
HEAD_START_EACH = 0.002
SENDERS = 8
RETRY_SECONDS = 1.0
RPC_TIMEOUT = timedelta(seconds=5)
# The library tries again by itself for a while; whatever it does, this is when we take the matter back.
SEND_SECONDS = 10.0
# A signal Temporal has taken is durable. It is repeated only while the run shows no sign of it, and no more often than this.
REPEAT_SECONDS = 15.0
_log = structlog.get_logger()


class _Stage(Enum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    # There is no such workflow: whoever reconciles open runs finds that out too, and acts on it.
    GONE = "gone"


@dataclass(slots=True)
class _Signal:
    crossing: Crossing
    workflow_id: str | None
    stage: _Stage
    not_before: float


class Signals:
    """`workflow_id` None means it is not known yet: the run was armed a moment ago and has not been read."""

    def __init__(self, client: Client, *, clock: Clock, metrics: Metrics, complaints: Complaints) -> None:
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._signals: dict[str, _Signal] = {}
        # Of every open run that has been read, so that a crossing need not wait for the next reading.
        self._workflows: dict[str, str] = {}
        # When each waiting signal is due; one that was due earlier or later by now leaves a stale entry behind.
        self._due: list[tuple[float, str]] = []
        self._wake = asyncio.Event()

    def add(self, crossings: Sequence[Crossing], *, head_start: bool) -> None:
        """Send these, unless that version of the stop is known already."""
        herd = HEAD_START_SECONDS + HEAD_START_EACH * len(crossings)
        not_before = self._clock.monotonic() + (herd if head_start else 0)
        for crossing in crossings:
            run_id = crossing.stop.run_id
            known = self._signals.get(run_id)
            if known is None or known.crossing.trigger_id != crossing.trigger_id:
                workflow_id = known.workflow_id if known else self._workflows.get(run_id)
                self._signals[run_id] = _Signal(crossing, workflow_id, _Stage.WAITING, not_before)
                self._schedule(run_id, not_before)

    def hurry(self, crossings: Iterable[Crossing]) -> None:
        """No desk has heard of these: the signal is all there is."""
        now = self._clock.monotonic()
        for crossing in crossings:
            signal = self._signals.get(crossing.stop.run_id)
            if signal is not None and signal.stage is _Stage.WAITING:
                self._schedule(crossing.stop.run_id, now)

    def know_workflows(self, workflows: Mapping[str, str]) -> None:
        """The workflow of each open run, as just read."""
        self._workflows = dict(workflows)
        for run_id in self._signals.keys() & workflows.keys():
            self.know_workflow(run_id, workflows[run_id])

    def know_workflow(self, run_id: str, workflow_id: str) -> None:
        signal = self._signals.get(run_id)
        if signal is not None and signal.workflow_id is None:
            signal.workflow_id = workflow_id
            self._schedule(run_id, signal.not_before)

    def repeat(self, run_id: str) -> None:
        """The run is open and shows no sign of the signal."""
        signal = self._signals.get(run_id)
        if signal is not None and signal.stage is _Stage.DELIVERED and self._clock.monotonic() >= signal.not_before:
            signal.stage = _Stage.WAITING
            self._schedule(run_id, signal.not_before)

    def keep_only(self, run_ids: Collection[str]) -> None:
        """Forget the runs that are over."""
        for run_id in [run_id for run_id in self._signals if run_id not in run_ids]:
            del self._signals[run_id]

    def runs(self) -> list[str]:
        """Those there is a signal of."""
        return list(self._signals)

    @property
    def waiting(self) -> int:
        return sum(signal.stage in (_Stage.WAITING, _Stage.SENDING) for signal in self._signals.values())

    async def run(self) -> None:
        """Sends for ever, a few at a time."""
        try:
            async with asyncio.TaskGroup() as senders:
                for _ in range(SENDERS):
                    senders.create_task(self._send_for_ever())
        finally:
            self._put_back()

    def _schedule(self, run_id: str, not_before: float) -> None:
        self._signals[run_id].not_before = not_before
        heapq.heappush(self._due, (not_before, run_id))
        self._wake.set()

    async def _send_for_ever(self) -> None:
        while True:
            signal = self._take()
            if signal is not None and signal.workflow_id is not None:
                await self._send(signal, signal.workflow_id)
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take(self) -> _Signal | None:
        """The next one that is due. Those whose workflow is not known yet are scheduled again once it is."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            not_before, run_id = heapq.heappop(self._due)
            signal = self._signals.get(run_id)
            current = signal is not None and signal.stage is _Stage.WAITING and signal.not_before == not_before
            if signal is not None and current and signal.workflow_id is not None:
                signal.stage = _Stage.SENDING
                return signal
        return None

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._due[0][0] - self._clock.monotonic()) if self._due else None

    async def _send(self, signal: _Signal, workflow_id: str) -> None:
        name, hit = _message(signal.crossing)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._client.get_workflow_handle(workflow_id).signal(name, hit, rpc_timeout=RPC_TIMEOUT)
        # RuntimeError is what a client raises that was never connected yet.
        except (RPCError, RuntimeError, TimeoutError) as error:
            self._failed(signal, error)
            return
        self._complaints.over("signals_cannot_be_sent")
        self._metrics.count("signals_sent", outcome="delivered")
        signal.stage, signal.not_before = _Stage.DELIVERED, self._clock.monotonic() + REPEAT_SECONDS

    def _failed(self, signal: _Signal, error: Exception) -> None:
        run_id = signal.crossing.stop.run_id
        if isinstance(error, RPCError) and is_gone(error):
            _log.error("stop_of_a_run_without_workflow", run_id=run_id, workflow_id=signal.workflow_id)
            self._metrics.count("signals_sent", outcome="not_found")
            signal.stage = _Stage.GONE
            return
        self._complaints.about("signals_cannot_be_sent", error=f"{type(error).__name__}: {error}")
        self._metrics.count("signals_sent", outcome="failed")
        self._wait_again(signal, self._clock.monotonic() + RETRY_SECONDS)

    def _put_back(self) -> None:
        """Cancelled in the middle of sending: nobody knows whether it arrived, and twice is harmless."""
        for signal in self._signals.values():
            if signal.stage is _Stage.SENDING:
                self._wait_again(signal, signal.not_before)

    def _wait_again(self, signal: _Signal, not_before: float) -> None:
        signal.stage = _Stage.WAITING
        run_id = signal.crossing.stop.run_id
        # While it was being sent, the run may have ended, or a newer stop of it may have been crossed.
        if self._signals.get(run_id) is signal:
            self._schedule(run_id, not_before)


def _message(crossing: Crossing) -> tuple[str, StopLossHit | TargetHit]:
    """The signal's name, and what it carries."""
    stop = crossing.stop
    kind, name = (TargetHit, TARGET_HIT) if crossing.reason is ExitReason.TARGET else (StopLossHit, STOP_LOSS_HIT)
    return name, kind(
        symbol=stop.instrument.symbol,
        price=crossing.price,
        stop_version=stop.version,
        trigger_id=crossing.trigger_id,
        at=crossing.at,
    )
