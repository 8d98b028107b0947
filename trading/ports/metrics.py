"""Measurements, as a port."""

from typing import Protocol


class Metrics(Protocol):
    """Names are registered in `runtime/metrics.py`; an unknown name raises there, in tests as in production."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, **labels: str) -> None: ...
