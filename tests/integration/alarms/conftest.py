"""Alarms in a real Postgres, told to a real webhook."""

from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.integration.alarms.webhook import Webhook, open_webhook


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def webhook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Webhook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with open_webhook() as opened:
        yield opened
