"""Past prices of a user's own broker account, written as a file of prices like any other."""

from datetime import date, timedelta

from api.access import Caller
from api.errors import ApiError, ErrorCode
from api.reading_through import read_through
from api.services import Services
from trading.instruments import InstrumentId
from trading.ports.broker import Broker
from trading.ports.history import KeepsHistory, MinuteBar
from trading.sessions import INDIA, trading_date

MOST_DAYS = 30


async def fetch(
    platform: Services, caller: Caller, broker_id: str, instrument: InstrumentId, *, first: date, last: date
) -> bytes:
    """CSV of the minutes of those days. Raises ApiError, and what the broker's port raises."""
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise ApiError(ErrorCode.INVALID_VALUE, f"from_day to to_day must be one to {MOST_DAYS} days")
    if last > trading_date(platform.clock.now()):
        raise ApiError(ErrorCode.NO_SUCH_DAY, "those days are not over yet")

    async def ask(broker: Broker) -> tuple[MinuteBar, ...]:
        if not isinstance(broker, KeepsHistory):
            raise ApiError(ErrorCode.HISTORY_NOT_KEPT)
        return await broker.minute_bars(instrument, first=first, last=last)

    bars = await read_through(platform, caller, broker_id, ask)
    if not bars:
        raise ApiError(ErrorCode.NO_SUCH_DAY, f"the broker has no prices of {instrument} from {first} to {last}")
    return _csv(bars)


def _csv(bars: tuple[MinuteBar, ...]) -> bytes:
    rows = [f"{bar.begins_at.astimezone(INDIA):%Y-%m-%d %H:%M:%S},{bar.open},{bar.high},{bar.low},{bar.close}" for bar in bars]
    return "\n".join(["time,open,high,low,close", *rows, ""]).encode()
