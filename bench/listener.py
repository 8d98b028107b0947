"""Ticks per second through decode and stop check on one core.

Full-mode Kite frames of 1,000 symbols with ten armed stops each, a fifth of the ticks at a moved price, none of them crossing;
then one tick that crosses a thousand stops. The process is otherwise idle: no Redis, no signals.
"""

import asyncio
import itertools
import struct
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from websockets.asyncio.client import ClientConnection

from bench.result import Measured, Row, Statistic, Target
from bench.stack import Options
from brokers.instrument_tokens import InstrumentTokens
from brokers.zerodha.stream import ZerodhaTickStream
from brokers.zerodha.ticks import Mode
from listener.beliefs import Beliefs
from listener.intake import Intake
from listener.triggers import Crossing, Triggers, WatchedStop
from runtime.clock import SystemClock
from runtime.metrics import PrometheusMetrics
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import ListedInstrument

SYMBOLS, STOPS, ROUNDS = 1_000, 10, 5
PRICE, HERD = 360_000, 1_000
TARGETS = (Target(Statistic.P50, 100_000, at_least=True),)
IDS = [InstrumentId("NSE", f"SYM{number:04d}") for number in range(SYMBOLS)]
TOKENS = [(number + 1) * 256 + 1 for number in range(SYMBOLS)]
# Token, last price, 36 bytes, last trade time, the rest: 184 bytes, a packet in full mode.
_FULL = struct.Struct(">Ii36xI136x")


class Recorded:
    """A socket that has these frames waiting, and ends after them."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = iter(frames)

    async def recv(self) -> bytes:
        frame = next(self._frames, None)
        if frame is None:
            raise EOFError
        return frame

    async def send(self, message: str) -> None:
        pass


def make_frame(prices: dict[int, int]) -> bytes:
    now = int(time.time())
    packets = [_FULL.pack(token, price, now) for token, price in prices.items()]
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", _FULL.size) + packet for packet in packets)


def make_frames(count: int) -> list[bytes]:
    moves = itertools.cycle([0, 0, 0, 0, 5, 0, 0, 0, 0, -5])
    return [make_frame({token: PRICE + next(moves) for token in TOKENS}) for _ in range(count)]


def intake_with_stops(crossed: list[Crossing]) -> Intake:
    intake = Intake(
        triggers=Triggers(), beliefs=Beliefs(), on_crossed=crossed.extend, clock=SystemClock(), metrics=PrometheusMetrics()
    )
    for instrument in IDS:
        for number in range(STOPS):
            arm(intake, f"run_{instrument.symbol}_{number}", instrument, Decimal(3_500 - number))
    return intake


def arm(intake: Intake, run_id: str, instrument: InstrumentId, price: Decimal) -> None:
    intake.arm(WatchedStop(run_id, "brk_1", instrument, price, 1, datetime.now(UTC)))


async def take(intake: Intake, frames: Sequence[bytes]) -> float:
    """Seconds until the last of these frames was taken."""
    pairs = zip(IDS, TOKENS, strict=True)
    listed = [ListedInstrument(Instrument(name, "", Segment.CASH, Decimal("0.05")), str(token)) for name, token in pairs]
    clock, connection = SystemClock(), cast(ClientConnection, Recorded(frames))
    stream = ZerodhaTickStream(connection, InstrumentTokens(listed), clock, Mode.FULL, clock.monotonic())
    await stream.subscribe(IDS)
    began_at = time.perf_counter()
    try:
        async for ticks in stream:
            intake.take(ticks)
    except EOFError:
        pass
    return time.perf_counter() - began_at


async def measure(options: Options) -> Measured:
    """`options.count` frames of a thousand ticks."""
    return await asyncio.to_thread(_measure, options.count)


def _measure(frames_wanted: int) -> Measured:
    crossed: list[Crossing] = []
    intake, frames = intake_with_stops(crossed), make_frames(frames_wanted)
    rates = tuple(SYMBOLS * len(frames) / asyncio.run(take(intake, frames)) for _ in range(ROUNDS))
    problems = [f"{len(crossed)} stops were crossed although no price reached one"] if crossed else []
    crossed.clear()
    for number in range(HERD):
        arm(intake, f"run_herd_{number}", IDS[0], Decimal(3_550))
    herd_seconds = asyncio.run(take(intake, [make_frame({TOKENS[0]: 354_000})]))
    if len(crossed) != HERD:
        problems.append(f"{len(crossed)} of {HERD} stops were seen to be crossed")
    remark = f"full mode, {SYMBOLS:,} shares with {STOPS} armed stops each, a fifth of the ticks at a moved price"
    rows = (
        Row("ticks through decode and stop check", "ticks/s", rates, TARGETS, f"{remark}; one value per round"),
        Row(f"one tick that crosses {HERD:,} stops", "ms", (herd_seconds * 1000,), (), "decode and comparison alone"),
    )
    return Measured(rows, problems=tuple(problems))
