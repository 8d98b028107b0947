"""What a process measures and keeps beside its work: metrics, samples of them, warnings, errors, failed broker calls."""

from collections.abc import Coroutine
from typing import Any

from brokers.calls import Call
from runtime.garbage import collect_the_old
from runtime.log_book import LogBook
from runtime.metrics import PrometheusMetrics
from runtime.process import process_name
from runtime.sampling import Sampler
from runtime.settings import Settings
from storage.database import Database
from trading.ports.clock import Clock


class Records:
    """Made first of all, so that nothing is missed; written once there is a database."""

    def __init__(self, settings: Settings, *, kind: str) -> None:
        named = process_name(settings, kind)
        self.process = named if named.startswith(kind) else f"{kind}-{named}"
        self.metrics = PrometheusMetrics()
        self.book = LogBook(self.process)
        self._brokers = {url.rstrip("/"): broker.value for broker, url in settings.broker_api_urls.items()}

    def note_call(self, call: Call) -> None:
        """Implements `brokers.calls.Observer`."""
        broker = self._brokers.get(call.server, "other")
        self.metrics.count("broker_calls", broker=broker, call=call.kind, outcome=call.outcome.value)
        self.metrics.observe("broker_call_seconds", call.seconds, broker=broker, call=call.kind)
        self.book.keep_call(call)

    def keeping(self, database: Database, clock: Clock) -> list[Coroutine[Any, Any, None]]:
        """Tasks that never end, to be run and cancelled by whoever asked."""
        sampling = Sampler(self.metrics, clock, process=self.process).run(database)
        return [self.book.run(database), sampling, collect_the_old(clock)]
