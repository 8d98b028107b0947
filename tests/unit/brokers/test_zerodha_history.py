"""Historical candles of Kite: lists in, minutes out, and nothing guessed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.zerodha import history
from brokers.zerodha.history import minute_bars, read_bars
from trading.ports.broker import UnreadableAnswer

CANDLE = ["2026-11-20T09:15:00+0530", Decimal("3512.5"), 3520, Decimal("3510.05"), Decimal("3515.1"), 1200]


def test_a_candle_is_a_minute_with_exact_prices() -> None:
    (bar,) = read_bars({"candles": [CANDLE]})
    assert bar.begins_at.astimezone(UTC) == datetime(2026, 11, 20, 3, 45, tzinfo=UTC)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal("3512.5"), 3520, Decimal("3510.05"), Decimal("3515.1"))


@pytest.mark.parametrize(
    "data",
    [{}, {"candles": None}, {"candles": [None]}, {"candles": [CANDLE[:4]]}, {"candles": [["yesterday", *CANDLE[1:]]]},
     {"candles": [[CANDLE[0], None, *CANDLE[2:]]]}, {"candles": [[CANDLE[0], "3512.5", *CANDLE[2:]]]}],
)  # fmt: skip
def test_what_is_no_candle_is_never_a_price(data: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        read_bars(data)


async def test_a_long_span_is_asked_for_in_pieces_that_leave_out_no_day_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAUSE_SECONDS", 0)
    asked: list[tuple[str, str]] = []

    async def read(path: str, *, query: Sequence[tuple[str, str]]) -> object:
        assert path == "/instruments/historical/408065/minute"
        asked.append((dict(query)["from"], dict(query)["to"]))
        return {"candles": []}

    await minute_bars(read, "408065", first=date(2026, 11, 13), last=date(2026, 11, 20))
    assert asked == [
        ("2026-11-13 00:00:00", "2026-11-15 23:59:59"),
        ("2026-11-16 00:00:00", "2026-11-18 23:59:59"),
        ("2026-11-19 00:00:00", "2026-11-20 23:59:59"),
    ]
