"""Angel One's adapter against the SmartAPI dialect: the shared suite, and what is peculiar to SmartAPI."""

from collections.abc import AsyncIterator

import pytest

from brokers.angel_one import heartbeat, limits
from tests.contract.suite import BrokerContract
from tests.contract.world import World, new_world
from trading.accounts import BrokerName


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    # The broker takes one read of a book a second; the cases read it often. Its own case below keeps to the second.
    monkeypatch.setattr(limits, "BOOK_GAP_SECONDS", 0.0)
    monkeypatch.setattr(limits, "QUOTE_GAP_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.2)
    async with new_world(BrokerName.ANGEL_ONE) as world:
        yield world


class TestAngelOne(BrokerContract):
    """C01 to C79."""
