"""Fyers' adapter against its dialect: the shared suite, and what is peculiar to Fyers."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.suite import BrokerContract
from tests.contract.world import World, new_world
from trading.accounts import BrokerName


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world(BrokerName.FYERS) as world:
        yield world


class TestFyers(BrokerContract):
    """C01 to C79."""
