"""The API alone, every worker and listener dead: it notices, and tells a person."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, update

from runtime.watchman import GONE_SECONDS
from storage.models import Run
from tests.api.conftest import make_settings, running
from tests.api.fakes import FakeAdapters
from tests.api.rows import add_run
from tests.integration.alarms.webhook import Webhook, open_webhook
from tests.waiting import eventually


@pytest.fixture
async def webhook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Webhook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with open_webhook() as opened:
        yield opened


async def test_dead_workers_and_listeners_are_told_by_the_api(database_url: str, redis_url: str, webhook: Webhook) -> None:
    settings = make_settings(database_url, redis_url, alert_targets=webhook.address)
    async with running(settings, FakeAdapters(), is_watching=True) as platform:
        user = await platform.user()
        run = await add_run(platform, user, await platform.connect(user))
        async with platform.services.database.transaction() as session:
            await session.execute(update(Run).where(Run.id == run.id).values(created_at=func.now() - timedelta(minutes=1)))

        def told(words: str) -> bool:
            # The held clock moves with each look, so that what has to last some seconds lasts.
            platform.clock.advance(seconds=GONE_SECONDS / 50)
            return any(words in message["message"] for message in webhook.messages)

        for words in ("No worker looks after", "No listener is active", "Temporal does not answer"):
            await eventually(lambda words=words: told(words), words)  # type: ignore[misc]
        shown = {item["kind"] for item in (await user.get("/alerts"))["items"]}
        assert {"worker_gone", "listener_gone", "temporal_down"} <= shown
