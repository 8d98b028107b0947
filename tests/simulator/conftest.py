"""Fixtures of the simulator's tests."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from simulator.testing import RunningSimulator, SimulatedAccount, running_simulator
from tests.simulator.kite_client import KiteClient
from tests.simulator.market import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        yield running


@pytest.fixture
def alice(sim: RunningSimulator) -> SimulatedAccount:
    return sim.account("alice")


@pytest.fixture
async def kite(sim: RunningSimulator, alice: SimulatedAccount) -> AsyncIterator[KiteClient]:
    async with aiohttp.ClientSession() as session:
        yield KiteClient(session, sim.kite_url, alice)


@pytest.fixture
async def control(sim: RunningSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sim.control_url) as session:
        yield session
