"""Logs as events with key-values on standard error, one line per unit of work; secrets are removed on the way out."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.settings import Settings

_SECRET_KEYS = re.compile(r"(secret|password|token|api_key|authorization|checksum)", re.IGNORECASE)
# Query strings and headers that carry credentials at the brokers we know.
_SECRET_TEXT = re.compile(r"((?:access_token|api_key|request_token|enctoken|Authorization)[=:]\s*)[^&\s\"']+", re.IGNORECASE)


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace values under secret-looking names, and credentials inside text, by three dots."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and isinstance(value, str):
            event[key] = "..."
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(r"\1...", value)
    return event


def configure_logging(settings: Settings, *, process: str) -> None:
    """Set up structlog and the standard library's logging for this process. Call once, first thing."""
    level = logging.getLevelName(settings.log_level.upper())
    renderer = structlog.processors.JSONRenderer() if settings.log_format == "json" else structlog.dev.ConsoleRenderer()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    # Every request is in our own logs already; the library's lines would double them.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
