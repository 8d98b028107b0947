"""Reckons simulations and backtests, one at a time, in a process below everything that trades."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from temporalio import activity

from activities.messages import EndPlaying, PlaygroundInput, Reckoned
from activities.signatures import PlaygroundActivities
from playground import apart, sample
from playground.setup import exchange_day_as_json
from storage.database import Database
from storage.ids import new_id
from storage.models import JobKind, JobState, PlaygroundDay, PlaygroundJob
from storage.repositories import playground
from trading.ports.clock import Clock
from trading.sessions import REGULAR_CLOSE, REGULAR_OPEN, ExchangeDay, TradingCalendar, UnknownDay

_log = structlog.get_logger()

# More often than the heartbeat's limit by far.
BEAT_SECONDS = 2.0
DATA_GONE = "the prices were deleted before they were used"


@dataclass(frozen=True, slots=True)
class _Prices:
    """Packed bars; nothing stands for the sample, or for a day that is made up. Between these days there may be prices."""

    content: bytes
    first_day: date
    last_day: date


class ApartPlaygroundActivities(PlaygroundActivities):
    """`calendar`: the exchange's own, also where the platform itself is always open."""

    def __init__(self, *, database: Database, calendar: TradingCalendar, clock: Clock) -> None:
        self._database = database
        self._calendar = calendar
        self._clock = clock
        # The machine belongs to orders: one piece of work at a time.
        self._turn = asyncio.Semaphore(1)

    @activity.defn
    async def reckon(self, request: PlaygroundInput) -> Reckoned:
        beating = asyncio.create_task(_beat())
        try:
            return await self.reckon_now(request)
        finally:
            beating.cancel()

    async def reckon_now(self, request: PlaygroundInput) -> Reckoned:
        async with self._turn:
            return await self._reckon(request)

    async def _reckon(self, request: PlaygroundInput) -> Reckoned:
        async with self._database.unhurried() as session:
            job = await playground.begin(session, job_id=request.job_id, now=self._clock.now())
        if job is None:
            return await self._as_it_stands(request)
        prices = await self._prices(job)
        if prices is None:
            await self._end(job.id, JobState.FAILED, DATA_GONE)
            return Reckoned(is_over=True)
        asked = await asyncio.to_thread(self._request, job, prices)
        async with aclosing(apart.run(asked, prices.content)) as lines:
            return await self._keep(job, lines)

    async def _as_it_stands(self, request: PlaygroundInput) -> Reckoned:
        """A second attempt after the first one's answer was lost: what is being shown is shown on."""
        async with self._database.unhurried() as session:
            job = await playground.find_job(session, job_id=request.job_id, user_id=request.user_id)
        if job is None or job.playing_since is None or job.state is not JobState.PLAYING:
            return Reckoned(is_over=True)
        left = play_seconds(job) - (self._clock.now() - job.playing_since).total_seconds()
        return Reckoned(max(left, 0.001))

    async def _prices(self, job: PlaygroundJob) -> _Prices | None:
        """None: they were deleted."""
        if job.kind is JobKind.SIMULATE:
            day = date.fromisoformat(job.request["day"])
            first, last = day, day
        else:
            first, last = sample.FIRST_DAY, sample.LAST_DAY
        if job.data_id is None:
            return _Prices(b"", first, last)
        async with self._database.unhurried() as session:
            data = await playground.find_data(session, data_id=job.data_id, user_id=job.user_id, with_content=True)
        if data is None:
            return None
        return _Prices(data.content, *((first, last) if job.kind is JobKind.SIMULATE else (data.first_day, data.last_day)))

    def _request(self, job: PlaygroundJob, prices: _Prices) -> dict[str, Any]:
        calendar: dict[str, Any] = {}
        if job.request.get("walk") is not None:
            # A day that is made up trades as a regular one does, whatever its date.
            made_up = ExchangeDay(prices.first_day, REGULAR_OPEN, REGULAR_CLOSE)
            return {**job.request, "kind": "rehearse", "calendar": {made_up.day.isoformat(): exchange_day_as_json(made_up)}}
        for number in range((prices.last_day - prices.first_day).days + 1):
            day = prices.first_day + timedelta(days=number)
            # A day the calendar does not know is left out: the playground calls it unknown, and never guesses.
            with suppress(UnknownDay):
                calendar[day.isoformat()] = exchange_day_as_json(self._calendar.day(day))
        return {**job.request, "kind": "backtest" if job.kind is JobKind.BACKTEST else "rehearse", "calendar": calendar}

    async def _keep(self, job: PlaygroundJob, lines: AsyncGenerator[dict[str, Any], None]) -> Reckoned:
        sequence = 0
        last: dict[str, Any] = {}
        async for line in lines:
            last = line
            if "rows" not in line:
                continue
            rows = [_day_row(job, sequence + number, row) for number, row in enumerate(line["rows"])]
            sequence += len(rows)
            async with self._database.unhurried() as session:
                if not await playground.add_days(session, job, rows, finished=line["finished"]):
                    return Reckoned(is_over=True)
        return await self._keep_result(job, last, total=max(sequence, 1))

    async def _keep_result(self, job: PlaygroundJob, last: dict[str, Any], *, total: int) -> Reckoned:
        shown = {key: value for key, value in last.items() if key != "done"}
        result = shown.get("summary", shown)
        job.result = result
        seconds = play_seconds(job)
        since = self._clock.now() if seconds > 0 else None
        async with self._database.unhurried() as session:
            kept = await playground.keep_result(session, job_id=job.id, result=result, total=total, playing_since=since)
        return Reckoned(seconds, is_over=not kept)

    @activity.defn
    async def end_playing(self, request: EndPlaying) -> None:
        await self.finish(request.job_id, is_cancelled=request.is_cancelled, failure=request.failure)

    async def finish(self, job_id: str, *, is_cancelled: bool = False, failure: str = "") -> None:
        state = JobState.FAILED if failure else JobState.COMPLETED
        await self._end(job_id, JobState.CANCELLED if is_cancelled else state, failure)

    async def _end(self, job_id: str, state: JobState, failure: str) -> None:
        async with self._database.unhurried() as session:
            if await playground.end(session, job_id=job_id, state=state, failure=failure, now=self._clock.now()):
                _log.info("playground_ended", job_id=job_id, state=state.value)


def play_seconds(job: PlaygroundJob) -> float:
    """How long the day takes to be shown: from the buy time to the last event, at the chosen speed."""
    speed: float = job.request.get("speed") or 0
    begins, ends = job.result.get("starts_at"), job.result.get("ends_at")
    if speed <= 0 or begins is None or ends is None:
        return 0.0
    span = datetime.fromisoformat(ends) - datetime.fromisoformat(begins)
    return max(span, timedelta(0)).total_seconds() / speed


def _day_row(job: PlaygroundJob, sequence: int, row: dict[str, Any]) -> dict[str, Any]:
    def instant(name: str) -> datetime | None:
        return None if row[name] is None else datetime.fromisoformat(row[name])

    return {
        **row,
        "id": new_id(PlaygroundDay.id_prefix),
        "job_id": job.id,
        "user_id": job.user_id,
        "sequence": sequence,
        "trading_day": date.fromisoformat(row["trading_day"]),
        "bought_at": instant("bought_at"),
        "sold_at": instant("sold_at"),
        **{name: _decimal(row[name]) for name in ("stop_loss", "buy_price", "sell_price", "gross", "charges", "net")},
    }


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(BEAT_SECONDS)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
