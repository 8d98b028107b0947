"""Pushes to devices, over a real server that speaks the push service's protocol: told once, dead ones forgotten, none held up."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from execution.alarms import Alarm, clear_alarm, raise_alarm
from runtime.push import read_account
from runtime.telling_users import UserTeller
from storage.models import AlertDelivery, DeviceToken
from tests.api.conftest import Client, Platform, make_settings, running
from tests.api.fakes import FakeAdapters
from tests.integration.alarms.push_service import PushService, gone, malformed, no_such_project, open_push_service
from tests.integration.alarms.webhook import open_webhook
from tests.waiting import eventually


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with open_push_service() as opened:
        yield opened


@pytest.fixture
async def pushing(database_url: str, redis_url: str, service: PushService) -> AsyncIterator[Platform]:
    settings = make_settings(database_url, redis_url, fcm_service_account=service.account, fcm_url=service.url)
    async with running(settings, FakeAdapters()) as platform:
        yield platform


async def register(user: Client, token: str, **more: Any) -> str:
    body = {"platform": "android", "token": token, **more}
    return str((await user.post("/notifications/devices", body, expect=201))["device_id"])


async def tell_everybody(platform: Platform) -> None:
    services = platform.services
    teller = UserTeller(services.database, services.user_targets, platform.clock, services.push)
    await teller.start_round()
    await eventually(lambda: all(task.done() for task in teller._under_way.values()), "everybody was told")


async def up(platform: Platform, user: Client, key: str, kind: str = "strategy_failed", *, about: str = "") -> None:
    async with platform.services.database.transaction() as session:
        assert await raise_alarm(session, Alarm(key, kind, about or f"about {key}", user_id=user.user_id))


async def again_later(platform: Platform) -> None:
    """As if the pause after a failed attempt were over."""
    async with platform.services.database.transaction() as session:
        await session.execute(update(AlertDelivery).values(next_attempt_at=func.now()))


async def listed(user: Client) -> Sequence[dict[str, Any]]:
    return (await user.get("/notifications/devices"))["items"]  # type: ignore[no-any-return]


async def test_a_device_is_told_of_the_beginning_and_the_end_once_each(pushing: Platform, service: PushService) -> None:
    user, other = await pushing.user(), await pushing.user()
    await register(user, "device-of-user")
    await register(other, "device-of-other")
    await up(pushing, user, "one", "token_expired")
    for _ in range(2):
        await tell_everybody(pushing)
    assert service.devices == ["device-of-user"]
    message = service.messages[0]
    assert message["notification"]["title"] == "Critical: A broker login has ended"
    assert (message["android"]["priority"], message["data"]) == ("high", {"severity": "critical"})
    async with pushing.services.database.transaction() as session:
        await clear_alarm(session, "one")
    await tell_everybody(pushing)
    assert [one["notification"]["title"] for one in service.messages[1:]] == ["Over: A broker login has ended"]
    assert service.sign_ins == 1
    assert (await listed(user))[0]["told_well"] is True


@pytest.mark.parametrize(
    ("status", "answer", "is_forgotten"),
    [(404, gone(), True), (400, malformed(), True), (404, no_such_project(), False), (500, {}, False), (429, {}, False)],
    ids=["unregistered", "malformed", "no such project", "down", "too many"],
)
async def test_only_a_token_that_the_service_calls_dead_is_forgotten(
    pushing: Platform, service: PushService, status: int, answer: dict[str, Any], is_forgotten: bool
) -> None:
    user = await pushing.user()
    device_id = await register(user, "odd-device")
    service.answers["odd-device"] = (status, answer)
    await up(pushing, user, "one")
    await tell_everybody(pushing)
    assert [device["device_id"] for device in await listed(user)] == ([] if is_forgotten else [device_id])
    async with pushing.services.database.transaction() as session:
        row = await session.get_one(DeviceToken, device_id)
        assert (row.sealed_token == "") is is_forgotten
    service.answers.clear()
    await again_later(pushing)
    await tell_everybody(pushing)
    assert service.devices == ([] if is_forgotten else ["odd-device"])


async def test_a_service_that_lets_nobody_in_is_tried_again(pushing: Platform, service: PushService) -> None:
    user = await pushing.user()
    await register(user, "a-device")
    service.refuses_sign_in = True
    await up(pushing, user, "one")
    await tell_everybody(pushing)
    assert service.devices == []
    assert (await listed(user))[0]["told_well"] is False
    service.refuses_sign_in = False
    await again_later(pushing)
    await tell_everybody(pushing)
    assert service.devices == ["a-device"]


async def test_a_service_that_never_answers_holds_no_other_target_up(
    database_url: str, redis_url: str, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    given = {"fcm_service_account": service.account, "fcm_url": service.url, "notification_hosts": "127.0.0.1"}
    settings = make_settings(database_url, redis_url, **given)
    async with open_webhook() as webhook, running(settings, FakeAdapters()) as platform:
        user, services = await platform.user(), platform.services
        await register(user, "a-device")
        await user.post("/notifications/targets", {"address": f"json://127.0.0.1:{webhook.port}/x"}, expect=201)
        service.mute = True
        await up(platform, user, "one")
        teller = UserTeller(services.database, services.user_targets, platform.clock, services.push)
        assert await teller.start_round() == 2
        await eventually(lambda: webhook.messages, "the other target was told")
        for task in teller._under_way.values():
            task.cancel()


async def test_an_access_token_that_the_service_has_withdrawn_is_renewed(pushing: Platform, service: PushService) -> None:
    user = await pushing.user()
    await register(user, "a-device")
    await up(pushing, user, "one")
    await tell_everybody(pushing)
    service.access_token = "access-2"
    await up(pushing, user, "two")
    await tell_everybody(pushing)
    assert (len(service.messages), service.sign_ins) == (1, 1)
    await again_later(pushing)
    await tell_everybody(pushing)
    assert (len(service.messages), service.sign_ins) == (2, 2)


async def test_in_quiet_hours_only_what_concerns_an_exit_is_pushed(pushing: Platform, service: PushService) -> None:
    user = await pushing.user()
    device_id = await register(user, "a-device")
    quiet = {"label": "Phone", "quiet_from": "22:00:00", "quiet_to": "07:30:00"}
    changed = (await user.call("PATCH", f"/notifications/devices/{device_id}", json=quiet, expect=200)).json()
    assert (changed["label"], changed["quiet_from"], changed["quiet_to"]) == ("Phone", "22:00:00", "07:30:00")
    await register(user, "a-device", label="Phone")
    assert (await listed(user))[0]["quiet_from"] == "22:00:00", "registered again, it keeps its quiet hours"
    pushing.clock.advance(minutes=14 * 60)
    await up(pushing, user, "other")
    await up(pushing, user, "exit", "run_needs_person")
    await tell_everybody(pushing)
    assert len(service.messages) == 1
    assert "exit" in service.messages[0]["notification"]["body"]
    pushing.clock.advance(minutes=10 * 60)
    await tell_everybody(pushing)
    assert len(service.messages) == 2


async def test_the_test_button_pushes_one_message_and_forgets_a_dead_device(pushing: Platform, service: PushService) -> None:
    user, other = await pushing.user(), await pushing.user()
    device_id = await register(user, "a-device")
    await other.refused("POST", f"/notifications/devices/{device_id}/test", 404, "DEVICE_NOT_FOUND")
    assert (await user.post(f"/notifications/devices/{device_id}/test"))["delivered"] is True
    assert [message["notification"]["title"] for message in service.messages] == ["Test"]
    service.answers["a-device"] = (404, gone())
    assert (await user.post(f"/notifications/devices/{device_id}/test"))["delivered"] is False
    assert await listed(user) == []


async def test_without_a_service_account_devices_are_kept_and_nothing_is_pushed(platform: Platform) -> None:
    user = await platform.user()
    device_id = await register(user, "device-token")
    await user.refused("POST", f"/notifications/devices/{device_id}/test", 409, "PUSH_NOT_SET_UP")
    await up(platform, user, "one")
    await tell_everybody(platform)
    async with platform.services.database.transaction() as session:
        assert (await session.scalar(select(func.count()).select_from(AlertDelivery))) == 0


async def test_a_storm_fits_into_one_message(pushing: Platform, service: PushService) -> None:
    user = await pushing.user()
    await register(user, "a-device")
    for number in range(30):
        await up(pushing, user, f"alarm {number}", about="₹ढ" * 250)
    await tell_everybody(pushing)
    (message,) = service.messages
    assert message["notification"]["title"] == "30 alarms"
    assert message["notification"]["body"].endswith("…")


@pytest.mark.parametrize(
    "given", ["{}", "not JSON", '{"private_key": "x", "project_id": "p", "client_email": "e", "token_uri": "t"}']
)
def test_a_service_account_that_cannot_be_read_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(ValueError, match="FCM_SERVICE_ACCOUNT") as raised:
        read_account(given)
    assert given not in str(raised.value)
    assert raised.value.__cause__ is None
