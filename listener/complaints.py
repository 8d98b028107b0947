"""Logs for trouble that lasts: said at once, repeated now and then with how often it happened, and once more when it is over."""

from dataclasses import dataclass

import structlog

from trading.ports.clock import Clock

REPEAT_SECONDS = 10.0
_log = structlog.get_logger()


@dataclass(slots=True)
class _Complaint:
    said_at: float
    times: int


class Complaints:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, _Complaint] = {}

    def about(self, event: str, **facts: object) -> None:
        now = self._clock.monotonic()
        complaint = self._open.setdefault(event, _Complaint(now - REPEAT_SECONDS, 0))
        complaint.times += 1
        if now - complaint.said_at >= REPEAT_SECONDS:
            complaint.said_at = now
            _log.warning(event, times=complaint.times, **facts)

    def over(self, event: str) -> None:
        complaint = self._open.pop(event, None)
        if complaint is not None:
            _log.info(f"{event}_over", times=complaint.times)

    def is_open(self, event: str) -> bool:
        return event in self._open
