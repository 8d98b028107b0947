"""Users' own targets and devices: sealed, theirs alone, told once, quiet when they want it."""

from collections.abc import AsyncIterator
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from execution.alarms import Alarm, clear_alarm, raise_alarm
from runtime.telling_users import ABOUT_EXITS, PLACES, UserTeller
from storage.models import Alert, AlertDelivery, DeviceToken, NotificationTarget, UserState
from storage.repositories import notifications
from tests.api.conftest import Client, Platform, make_settings, running
from tests.api.fakes import FakeAdapters
from tests.integration.alarms.webhook import Webhook, open_webhook
from tests.waiting import eventually

# Beginning, end and a time of day; whether an alarm that is not about an exit is told then.
QUIET_HOURS = [
    ("22:00", "07:30", "00:00", False),
    ("22:00", "07:30", "22:00", False),
    ("22:00", "07:30", "07:30", True),
    ("12:00", "14:00", "13:59", False),
    ("12:00", "14:00", "14:00", True),
    ("12:00", "12:00", "12:00", True),
]
TELEGRAM = "tgram://123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/987654321"


@pytest.fixture
async def webhook(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Webhook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with open_webhook() as opened:
        yield opened


@pytest.fixture
async def open_platform(database_url: str, redis_url: str) -> AsyncIterator[Platform]:
    """One whose operator lets users name the webhook's host."""
    async with running(make_settings(database_url, redis_url, notification_hosts="127.0.0.1"), FakeAdapters()) as platform:
        yield platform


async def add(user: Client, webhook: Webhook, **more: Any) -> str:
    body = {"address": f"json://127.0.0.1:{webhook.port}/s3cr3t", "label": "Desk", **more}
    return str((await user.post("/notifications/targets", body, expect=201))["target_id"])


def teller(platform: Platform) -> UserTeller:
    return UserTeller(platform.services.database, platform.services.user_targets, platform.clock)


async def tell_everybody(platform: Platform) -> int:
    """One round to its end; how many targets had news."""
    made = teller(platform)
    begun = await made.start_round()
    await eventually(lambda: all(task.done() for task in made._under_way.values()), "everybody was told")
    return begun


async def up(platform: Platform, user: Client, key: str, kind: str = "strategy_failed") -> None:
    async with platform.services.database.transaction() as session:
        assert await raise_alarm(session, Alarm(key, kind, f"about {key}", user_id=user.user_id))


async def test_a_target_is_added_sealed_and_never_shown_again(platform: Platform) -> None:
    user = await platform.user()
    added = await user.post("/notifications/targets", {"address": TELEGRAM, "label": "Phone"}, expect=201)
    assert (added["kind"], added["label"], added["told_at"]) == ("tgram", "Phone", None)
    listed = await user.call("GET", "/notifications/targets", expect=200)
    assert [item["target_id"] for item in listed.json()["items"]] == [added["target_id"]]
    assert "AAbbCC" not in listed.text
    async with platform.services.database.transaction() as session:
        row = (await session.scalars(select(NotificationTarget))).one()
        everything = (await session.execute(text("SELECT row_to_json(t)::text FROM audit_log t"))).scalars().all()
    assert "AAbbCC" not in row.sealed_address
    assert not [entry for entry in everything if "AAbbCC" in entry]


async def test_an_address_that_leads_inside_is_refused(platform: Platform, webhook: Webhook) -> None:
    user = await platform.user()
    for address in (f"json://127.0.0.1:{webhook.port}/", "jsons://169.254.169.254/", "file:///etc/passwd", "nonsense"):
        await user.refused("POST", "/notifications/targets", 400, "TARGET_NOT_ALLOWED", json={"address": address})
    assert webhook.messages == []


async def test_the_test_button_sends_one_message_and_is_throttled(open_platform: Platform, webhook: Webhook) -> None:
    user = await open_platform.user()
    path = f"/notifications/targets/{await add(user, webhook)}/test"
    assert (await user.post(path))["delivered"] is True
    webhook.answer = 500
    assert (await user.post(path))["delivered"] is False
    assert (await user.get("/notifications/targets"))["items"][0]["told_well"] is False
    await user.post(path)
    await user.refused("POST", path, 429, "RATE_LIMITED")
    assert webhook.titles == ["Test"]


async def test_a_user_is_told_of_their_own_alarms_once_beginning_and_end(open_platform: Platform, webhook: Webhook) -> None:
    user, other = await open_platform.user(), await open_platform.user()
    await up(open_platform, user, "before")
    await add(user, webhook)
    await up(open_platform, user, "mine")
    await up(open_platform, other, "theirs")
    assert await tell_everybody(open_platform) == 1
    assert await tell_everybody(open_platform) == 0
    assert len(webhook.messages) == 1
    assert "about mine" in webhook.messages[0]["message"]
    assert "theirs" not in str(webhook.messages)
    assert "before" not in str(webhook.messages), "what began before the target was there is on the screen"
    async with open_platform.services.database.transaction() as session:
        assert await clear_alarm(session, "mine")
    assert await tell_everybody(open_platform) == 1
    assert webhook.titles[1].startswith("Over: ")


async def test_in_quiet_hours_only_exits_are_told_and_the_rest_follows(open_platform: Platform, webhook: Webhook) -> None:
    user = await open_platform.user()
    # It is 09:20 in India.
    await add(user, webhook, quiet_from="09:00:00", quiet_to="09:30:00")
    await up(open_platform, user, "strategy")
    await up(open_platform, user, "exit", kind="run_needs_person")
    await tell_everybody(open_platform)
    assert ["about exit" in message["message"] for message in webhook.messages] == [True]
    assert "about strategy" not in str(webhook.messages)
    open_platform.clock.advance(minutes=10)
    await tell_everybody(open_platform)
    assert "about strategy" in webhook.messages[1]["message"]


async def test_those_who_sleep_keep_nobody_else_waiting(open_platform: Platform, webhook: Webhook) -> None:
    """As many as are told at once, all with something that is held back, and one behind them who is awake."""
    for _ in range(2):
        sleeper = await open_platform.user()
        for _ in range(PLACES // 2):
            await add(sleeper, webhook, quiet_from="09:00:00", quiet_to="09:30:00")
        await up(open_platform, sleeper, f"of {sleeper.user_id}")
    awake = await open_platform.user()
    await add(awake, webhook)
    await up(open_platform, awake, "awake")
    assert await tell_everybody(open_platform) == 1
    assert ["about awake" in message["message"] for message in webhook.messages] == [True]


async def test_what_was_over_long_before_the_quiet_hours_end_is_not_told_any_more(
    open_platform: Platform, webhook: Webhook
) -> None:
    user = await open_platform.user()
    await add(user, webhook, quiet_from="09:00:00", quiet_to="09:30:00")
    await up(open_platform, user, "strategy")
    await up(open_platform, user, "exit", kind="run_needs_person")
    assert await tell_everybody(open_platform) == 1
    async with open_platform.services.database.transaction() as session:
        assert await clear_alarm(session, "strategy")
        over = update(Alert).where(Alert.key == "strategy")
        await session.execute(over.values(cleared_at=func.clock_timestamp() - timedelta(hours=2)))
    open_platform.clock.advance(minutes=10)
    assert await tell_everybody(open_platform) == 0
    assert ["about exit" in message["message"] for message in webhook.messages] == [True]


@pytest.mark.parametrize(("begins", "ends", "at", "is_told"), QUIET_HOURS)
async def test_whoever_is_quiet_is_quiet_by_the_same_hours_in_the_database(
    open_platform: Platform, webhook: Webhook, begins: str, ends: str, at: str, is_told: bool
) -> None:
    user = await open_platform.user()
    await add(user, webhook, quiet_from=f"{begins}:00", quiet_to=f"{ends}:00")
    await up(open_platform, user, "strategy")
    async with open_platform.services.database.transaction() as session:
        quiet = notifications.Quiet(time.fromisoformat(at), ABOUT_EXITS)
        found = await notifications.with_news(session, NotificationTarget, most=5, quiet=quiet)
    assert len(found) == is_told


async def test_a_target_that_hangs_keeps_nobody_else_waiting(open_platform: Platform, webhook: Webhook) -> None:
    user = await open_platform.user()
    async with open_webhook() as hanging:
        hanging.mute = True
        await add(user, hanging)
        await add(user, webhook)
        await up(open_platform, user, "mine")
        made = teller(open_platform)
        assert await made.start_round() == 2
        await eventually(lambda: webhook.messages, "the other one was told")
        assert await made.start_round() == 0, "who is being told is not told beside it"
        for task in made._under_way.values():
            task.cancel()


async def test_a_removed_target_and_a_suspended_user_are_told_nothing(open_platform: Platform, webhook: Webhook) -> None:
    user, suspended = await open_platform.user(), await open_platform.user()
    target_id = await add(user, webhook)
    await add(suspended, webhook)
    await user.call("DELETE", f"/notifications/targets/{target_id}", expect=200)
    async with open_platform.services.database.transaction() as session:
        await session.execute(
            text("UPDATE users SET state = :state WHERE id = :id"), {"state": UserState.SUSPENDED.value, "id": suspended.user_id}
        )
        assert (await session.get_one(NotificationTarget, target_id)).sealed_address == ""
    await up(open_platform, user, "mine")
    await up(open_platform, suspended, "theirs")
    assert await tell_everybody(open_platform) == 0
    assert webhook.messages == []


async def test_an_address_whose_host_is_no_longer_allowed_is_not_used(
    open_platform: Platform, webhook: Webhook, database_url: str, redis_url: str
) -> None:
    user = await open_platform.user()
    await add(user, webhook)
    await up(open_platform, user, "mine")
    async with running(make_settings(database_url, redis_url), FakeAdapters()) as strict:
        assert await tell_everybody(strict) == 1
    assert webhook.messages == []
    async with open_platform.services.database.transaction() as session:
        assert (await session.scalars(select(AlertDelivery.delivered_at))).all() == [None], "it is tried again"


async def test_label_and_quiet_hours_are_changed_and_go_together(platform: Platform) -> None:
    user = await platform.user()
    target_id = (await user.post("/notifications/targets", {"address": TELEGRAM}, expect=201))["target_id"]
    path = f"/notifications/targets/{target_id}"
    body = {"label": "New", "quiet_from": "22:00:00", "quiet_to": "07:00:00"}
    changed = (await user.call("PATCH", path, json=body, expect=200)).json()
    assert (changed["label"], changed["quiet_from"], changed["quiet_to"]) == ("New", "22:00:00", "07:00:00")
    await user.refused("PATCH", path, 400, "INVALID_VALUE", json={"quiet_from": "22:00:00"})
    await user.refused("PATCH", path, 400, "INVALID_VALUE", json={"quiet_from": None})
    # What is left out stays.
    for change, expected in (
        ({"label": "Newer"}, ("Newer", "22:00:00", "07:00:00")),
        ({"quiet_from": None, "quiet_to": None}, ("Newer", None, None)),
        ({}, ("Newer", None, None)),
    ):
        changed = (await user.call("PATCH", path, json=change, expect=200)).json()
        assert (changed["label"], changed["quiet_from"], changed["quiet_to"]) == expected


async def test_nobody_has_more_than_ten_targets(platform: Platform) -> None:
    user = await platform.user()
    for _ in range(10):
        await user.post("/notifications/targets", {"address": TELEGRAM}, expect=201)
    await user.refused("POST", "/notifications/targets", 409, "TOO_MANY_TARGETS", json={"address": TELEGRAM})


async def test_a_device_is_registered_once_moves_with_its_owner_and_is_removed(platform: Platform) -> None:
    first, second = await platform.user(), await platform.user()
    body = {"platform": "android", "token": "push-token-of-a-phone", "label": "Pixel"}
    device = await first.post("/notifications/devices", body, expect=201)
    assert (await first.post("/notifications/devices", body, expect=201))["device_id"] == device["device_id"]
    await second.post("/notifications/devices", body, expect=201)
    assert (await first.get("/notifications/devices"))["items"] == []
    mine = (await second.get("/notifications/devices"))["items"]
    assert [(item["platform"], item["label"]) for item in mine] == [("android", "Pixel")]
    await second.call("DELETE", f"/notifications/devices/{mine[0]['device_id']}", expect=200)
    assert (await second.get("/notifications/devices"))["items"] == []
    async with platform.services.database.transaction() as session:
        assert not [row for row in await session.scalars(select(DeviceToken)) if "push-token" in row.sealed_token]


async def test_what_arrived_while_nobody_was_told_for_an_hour_is_not_told_late(open_platform: Platform, webhook: Webhook) -> None:
    user = await open_platform.user()
    await add(user, webhook)
    await up(open_platform, user, "old")
    async with open_platform.services.database.transaction() as session:
        await session.execute(update(Alert).values(cleared_at=func.now() - timedelta(hours=2)))
    assert await tell_everybody(open_platform) == 0
