"""What processes tell each other through Redis: always a hint about something that Postgres knows.

A message may be lost, and whoever listens repairs that from Postgres. Publishing raises CacheUnavailable and nothing else;
order code passes over it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import orjson
import structlog
from redis.asyncio import Redis

from cache.connection import answering
from cache.keys import (
    ARMED_CHANNEL,
    LEASES_CHANNEL,
    PAPER_CHANNEL,
    RUNS_CHANNEL,
    STOPS_CHANNEL,
    orders_channel,
    strategy_channel,
    user_channel,
)
from cache.subscription import Message, listen
from trading.instruments import InstrumentId
from trading.runs import ExitReason
from trading.trailing import Trail, trail_of

T = TypeVar("T")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StopCrossed:
    """A price at or below a run's stop, or at or above its target, seen at `at` (aware). The same `trigger_id` may come many
    times."""

    run_id: str
    account_id: str
    stop_version: int
    price: Decimal
    at: datetime
    trigger_id: str
    reason: ExitReason = ExitReason.STOP_LOSS


@dataclass(frozen=True, slots=True)
class ArmedStop:
    """A stop that is to be watched; a higher version replaces a lower one. Prices older than `armed_at` do not count.

    With a `target`, that price is watched from below; with a `trail`, the stop follows the highest price, so far `highest`.
    """

    run_id: str
    account_id: str
    instrument: InstrumentId
    stop_price: Decimal
    stop_version: int
    armed_at: datetime
    target: Decimal | None = None
    trail: Trail | None = None
    highest: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Disarmed:
    """The run has no stop to watch any more: it ended, or its exit is out."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RunEventHint:
    """A run has a new line in its timeline, up to `sequence`."""

    user_id: str
    strategy_id: str
    sequence: int


# --- stops: the listener tells the desks -------------------------------------------------------------------------------


async def publish_stops(redis: Redis, stops: Sequence[StopCrossed]) -> int:
    """One message for the whole batch; how many listeners it reached."""
    if not stops:
        return 0
    return await _publish(redis, STOPS_CHANNEL, [_stop_row(stop) for stop in stops])


def listen_stops(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[list[StopCrossed]]]:
    """Batches as published. Entering and iterating raise CacheUnavailable; reconnecting is the caller's."""
    return _listen(redis, _read_stops, channels=(STOPS_CHANNEL,))


def _stop_row(stop: StopCrossed) -> list[object]:
    return [stop.run_id, stop.account_id, stop.stop_version, str(stop.price), stop.at, stop.trigger_id, stop.reason.value]


def _read_stops(message: Message) -> list[StopCrossed]:
    rows = orjson.loads(message.data)
    return [
        StopCrossed(run_id, account_id, version, Decimal(price), datetime.fromisoformat(at), trigger_id, ExitReason(reason))
        for run_id, account_id, version, price, at, trigger_id, reason in rows
    ]


# --- armed: the desks tell the listener --------------------------------------------------------------------------------


async def publish_armed(redis: Redis, changes: Sequence[ArmedStop | Disarmed]) -> None:
    """One message for the whole batch; call it after the rows are committed."""
    if not changes:
        return
    await _publish(redis, ARMED_CHANNEL, [_armed_row(change) for change in changes])


def listen_armed(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[list[ArmedStop | Disarmed]]]:
    """Batches as published. Entering and iterating raise CacheUnavailable; reconnecting is the caller's."""
    return _listen(redis, _read_armed, channels=(ARMED_CHANNEL,))


def _armed_row(change: ArmedStop | Disarmed) -> list[object]:
    if isinstance(change, Disarmed):
        return [change.run_id]
    stop = change
    trail = stop.trail
    prices = (stop.target, trail and trail.rupees, trail and trail.percent, stop.highest)
    row = [stop.run_id, stop.account_id, str(stop.instrument), str(stop.stop_price), stop.stop_version, stop.armed_at]
    return [*row, *(None if price is None else str(price) for price in prices)]


def _read_armed(message: Message) -> list[ArmedStop | Disarmed]:
    return [Disarmed(row[0]) if len(row) == 1 else _armed_stop(*row) for row in orjson.loads(message.data)]


def _armed_stop(
    run_id: str, account_id: str, instrument: str, price: str, version: int, armed_at: str, *others: str | None
) -> ArmedStop:
    target, rupees, percent, highest = (None if other is None else Decimal(other) for other in others)
    return ArmedStop(
        run_id,
        account_id,
        InstrumentId.parse(instrument),
        Decimal(price),
        version,
        datetime.fromisoformat(armed_at),
        target=target,
        trail=trail_of(rupees, percent),
        highest=highest,
    )


# --- runs: somebody started, changed or ended one ----------------------------------------------------------------------


async def publish_runs_changed(redis: Redis) -> None:
    """Whoever follows the open runs reads them again at once instead of at its next round."""
    await _publish(redis, RUNS_CHANNEL, True)


def listen_runs_changed(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[None]]:
    return _listen(redis, lambda _message: None, channels=(RUNS_CHANNEL,))


# --- leases: a worker has given some up ---------------------------------------------------------------------------------


async def publish_leases_freed(redis: Redis) -> None:
    """Whoever has room takes them at once instead of at its next round."""
    await _publish(redis, LEASES_CHANNEL, True)


def listen_leases_freed(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[None]]:
    return _listen(redis, lambda _message: None, channels=(LEASES_CHANNEL,))


# --- orders: a broker said something about an account's orders ---------------------------------------------------------


async def publish_order_hint(redis: Redis, account_id: str) -> None:
    await _publish(redis, orders_channel(account_id), True)


def listen_order_hints(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[str]]:
    """Account ids, of all accounts, by one subscription."""
    prefix = orders_channel("")
    return _listen(redis, lambda message: message.channel.removeprefix(prefix), patterns=(f"{prefix}*",))


# --- paper: orders of paper accounts have changed ------------------------------------------------------------------------


async def publish_paper_changed(redis: Redis, account_ids: Sequence[str]) -> None:
    """Whoever follows the orders of one of these accounts reads what is new."""
    if account_ids:
        await _publish(redis, PAPER_CHANNEL, list(account_ids))


def listen_paper_changed(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[list[str]]]:
    """Account ids, of all paper accounts, by one subscription."""
    return _listen(
        redis, lambda message: [str(account_id) for account_id in orjson.loads(message.data)], channels=(PAPER_CHANNEL,)
    )


def _read_account_ids(message: Message) -> list[str]:
    return [str(account_id) for account_id in orjson.loads(message.data)]


# --- updates: a run's timeline has grown -------------------------------------------------------------------------------


async def publish_run_event(redis: Redis, user_id: str, strategy_id: str, *, sequence: int) -> None:
    """To those who follow the strategy and to those who follow all of the user's."""
    data = orjson.dumps([user_id, strategy_id, sequence])
    async with answering(), redis.pipeline(transaction=False) as pipeline:
        pipeline.publish(strategy_channel(strategy_id), data)
        pipeline.publish(user_channel(user_id), data)
        await pipeline.execute()


def listen_run_events(redis: Redis) -> AbstractAsyncContextManager[AsyncIterator[RunEventHint]]:
    """Of all users, by one subscription: a process with many live streams needs no more than one."""
    return _listen(redis, _read_run_event, patterns=(user_channel("*"),))


def listen_strategy(redis: Redis, strategy_id: str) -> AbstractAsyncContextManager[AsyncIterator[RunEventHint]]:
    return _listen(redis, _read_run_event, channels=(strategy_channel(strategy_id),))


def _read_run_event(message: Message) -> RunEventHint:
    user_id, strategy_id, sequence = orjson.loads(message.data)
    return RunEventHint(user_id, strategy_id, sequence)


async def _publish(redis: Redis, channel: str, content: object) -> int:
    async with answering():
        return int(await redis.publish(channel, orjson.dumps(content)))


@asynccontextmanager
async def _listen(
    redis: Redis, read: Callable[[Message], T], *, channels: Sequence[str] = (), patterns: Sequence[str] = ()
) -> AsyncIterator[AsyncIterator[T]]:
    async with listen(redis, channels=channels, patterns=patterns) as messages:
        yield _readable(messages, read)


async def _readable(messages: AsyncIterator[Message], read: Callable[[Message], T]) -> AsyncIterator[T]:
    async for message in messages:
        try:
            content = read(message)
        except (ValueError, TypeError, ArithmeticError):
            # Written by a newer or a broken process. Dropping it is like losing it, which every listener can bear.
            _log.warning("channel_message_unreadable", channel=message.channel, length=len(message.data))
            continue
        yield content
