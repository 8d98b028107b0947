from datetime import UTC, datetime

import pytest

from brokers.zerodha.session import session_end, session_headers
from trading.accounts import Credentials


@pytest.mark.parametrize(
    ("now", "end"),
    [
        # 05:59:59, 06:00:00 and 23:00 Indian time
        (datetime(2026, 8, 3, 0, 29, 59, tzinfo=UTC), datetime(2026, 8, 3, 0, 30, tzinfo=UTC)),
        (datetime(2026, 8, 3, 0, 30, tzinfo=UTC), datetime(2026, 8, 4, 0, 30, tzinfo=UTC)),
        (datetime(2026, 8, 3, 17, 30, tzinfo=UTC), datetime(2026, 8, 4, 0, 30, tzinfo=UTC)),
        # 01:00 Indian time is still the previous day in UTC
        (datetime(2026, 8, 2, 19, 30, tzinfo=UTC), datetime(2026, 8, 3, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_session_ends_at_the_next_six_in_the_morning_in_india(now: datetime, end: datetime) -> None:
    assert session_end(now) == end
    assert session_end(now).tzinfo is UTC


def test_every_call_carries_key_and_token() -> None:
    headers = session_headers(Credentials(api_key="k", api_secret="s", access_token="t"))
    assert headers == {"X-Kite-Version": "3", "Authorization": "token k:t"}
