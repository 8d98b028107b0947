"""How activities are retried and for how long, each with its reason."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class ActivityOptions(TypedDict, total=False):
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


# All activities are safe to repeat: they write rows by compare-and-set and wait. So they are retried for ever, quickly.
_PATIENT = RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=5))

# Row work only: a database that is slow for ten seconds is down.
ROWS = ActivityOptions(start_to_close_timeout=timedelta(seconds=15), retry_policy=_PATIENT)
# Waits for the broker. The heartbeat tells a dead worker from a slow market. It comes every six seconds, and two of them may be
# lost: with none to lose, a herd on a busy machine was tried again while it still waited, and the retries kept the machine
# busy. A dead worker's orders do not wait for this, since the next desk goes by the rows; its runs end that much later.
WAITING = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=2), heartbeat_timeout=timedelta(seconds=20), retry_policy=_PATIENT
)
# Reads at brokers before the open. Whoever was told already is left out when it is tried again, which ends with the morning.
MORNING = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=90),
    heartbeat_timeout=timedelta(seconds=45),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=20), maximum_attempts=20),
)
# Reads at brokers. The next round comes anyway, so an attempt that failed is made once more and then left to it.
ROUND = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=45),
    heartbeat_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=2),
)
# A backtest. It is no order: three attempts, each on a worker that still breathes, and then its user is told.
RECKONING = ActivityOptions(
    start_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3),
)
