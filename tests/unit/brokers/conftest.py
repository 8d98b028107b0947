"""What is sent to brokers is tried on both event loops: Python's own, and the one that worker and listener run on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_ON_THE_WIRE = {"test_transport.py", "test_http_connection.py"}

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in _ON_THE_WIRE:
        loops["uvloop"] = uvloop.new_event_loop
    return loops
