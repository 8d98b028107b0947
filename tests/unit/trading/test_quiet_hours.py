from datetime import date, time

import pytest

from trading.quiet_hours import QuietHours
from trading.sessions import instant

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("begins", "ends", "at", "is_quiet"),
    [
        ("22:00", "07:30", "23:59", True),
        ("22:00", "07:30", "00:00", True),
        ("22:00", "07:30", "07:29", True),
        ("22:00", "07:30", "07:30", False),
        ("22:00", "07:30", "21:59", False),
        ("12:00", "14:00", "12:00", True),
        ("12:00", "14:00", "14:00", False),
        ("12:00", "12:00", "12:00", False),
    ],
)
def test_quiet_hours_are_indian_times_and_may_pass_midnight(begins: str, ends: str, at: str, is_quiet: bool) -> None:
    hours = QuietHours(time.fromisoformat(begins), time.fromisoformat(ends))
    assert hours.cover(instant(DAY, time.fromisoformat(at))) is is_quiet
