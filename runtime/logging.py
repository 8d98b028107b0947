"""Logs as events with key-values on standard error, one line per unit of work; secrets are removed on the way out.

A line that cannot be written (the disk is full, the reader is gone) is lost and nothing else: trading goes on.
"""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.redaction import hidden, hidden_text
from runtime.settings import Settings

# They are made by the processors themselves.
_OURS = frozenset({"level", "timestamp"})


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace secrets by three dots, wherever in the event they are (runtime/redaction.py)."""
    for key, value in event.items():
        if key not in _OURS and not key.startswith("_"):
            event[key] = hidden_text(value) if key == "event" and isinstance(value, str) else hidden(key, value)
    return event


class SteadyStream:
    """Writes to another stream and never fails. Were an error raised here, it would surface in the middle of the order path."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: the stream was closed
            return self._stream.write(line)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure_logging(settings: Settings, *, process: str, keep: Processor | None = None) -> None:
    """Set up structlog and the standard library's logging for this process. Call once, first thing.

    `keep` sees every event after its secrets were removed.
    """
    # Both libraries use no more of a stream than this one has.
    steady = cast(TextIO, SteadyStream(sys.stderr))
    level = logging.getLevelName(settings.log_level.upper())
    renderer = structlog.processors.JSONRenderer() if settings.log_format == "json" else structlog.dev.ConsoleRenderer()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
        *([keep] if keep else []),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=steady),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(steady)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    # Every request is in our own logs already; the library's lines would double them.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
