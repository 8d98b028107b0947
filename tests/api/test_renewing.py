"""Sessions that end soon are renewed where the broker allows it, in quiet hours or at the last moment, and once."""

from datetime import datetime, timedelta

import pytest

from api.renewing import Renewing
from storage.models import BrokerAccount
from tests.api import fakes
from tests.api.conftest import Client, Platform
from trading.accounts import BrokerSession, Credentials
from trading.ports.broker import BrokerRefused, BrokerUnavailable


class Renewals:
    """What the broker was asked, and what it says: a session of another day, or an error."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.asked: list[str] = []
        self.says: Exception | None = None

    async def renew(self, credentials: Credentials) -> BrokerSession:
        self.asked.append(credentials.access_token or "")
        if self.says is not None:
            raise self.says
        token = self.platform.broker.log_in(credentials.api_key)
        return BrokerSession(
            token, self.platform.broker.users[credentials.api_key], self.platform.clock.now() + timedelta(days=1)
        )


@pytest.fixture
def renewals(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Renewals:
    made = Renewals(platform)
    monkeypatch.setattr(fakes.FakeLogin, "renews", True)
    monkeypatch.setattr(fakes.FakeLogin, "renew", lambda _, credentials: made.renew(credentials))
    return made


async def connected(platform: Platform, *, now: str, ends: str) -> tuple[Client, str]:
    """An account whose session ends then (Indian time, a Friday), looked at now."""
    user = await platform.user()
    broker_id = await platform.connect(user)
    platform.clock.at = datetime.fromisoformat(f"2026-11-20T{now}:00+05:30")
    async with platform.services.database.transaction() as session:
        account = await session.get_one(BrokerAccount, broker_id)
        account.token_expires_at = datetime.fromisoformat(f"2026-11-20T{ends}:00+05:30")
    return user, broker_id


async def stored(platform: Platform, broker_id: str) -> BrokerAccount:
    async with platform.services.database.transaction() as session:
        return await session.get_one(BrokerAccount, broker_id)


@pytest.mark.parametrize(
    ("now", "ends", "is_renewed"),
    [
        ("08:00", "14:00", True),  # before the session, for a token that would die in it
        ("08:00", "15:30", False),  # more than seven hours are left
        ("11:00", "14:00", False),  # not while orders may be under way
        ("13:55", "14:00", True),  # the last moment
        ("15:40", "18:00", True),
    ],
)
async def test_a_session_is_renewed_in_quiet_hours_or_at_the_last_moment(
    platform: Platform, renewals: Renewals, now: str, ends: str, is_renewed: bool
) -> None:
    _, broker_id = await connected(platform, now=now, ends=ends)
    before = (await stored(platform, broker_id)).session_version
    await Renewing(platform.services).round()
    after = await stored(platform, broker_id)
    assert len(renewals.asked) == is_renewed
    assert after.session_version == before + is_renewed
    if is_renewed:
        assert after.token_expires_at == platform.clock.at + timedelta(days=1)
        found = platform.services.accounts.credentials(after)
        assert found.access_token in platform.broker.tokens


async def test_a_refused_renewal_is_not_repeated_and_an_unanswered_one_is(platform: Platform, renewals: Renewals) -> None:
    await connected(platform, now="08:00", ends="14:00")
    job = Renewing(platform.services)
    renewals.says = BrokerUnavailable("timed out")
    await job.round()
    await job.round()
    assert len(renewals.asked) == 2
    renewals.says = BrokerRefused("the token cannot be renewed")
    await job.round()
    await job.round()
    assert len(renewals.asked) == 3


async def test_a_person_who_logs_in_meanwhile_wins(
    platform: Platform, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, broker_id = await connected(platform, now="08:00", ends="14:00")

    async def slow(credentials: Credentials) -> BrokerSession:
        opened = await Renewals.renew(renewals, credentials)
        await user.post(f"/broker/{broker_id}/session", {"access_token": platform.broker.log_in("key")})
        return opened

    user.tokens = await user.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]}, headers={"Authorization": ""})
    monkeypatch.setattr(fakes.FakeLogin, "renew", lambda _, credentials: slow(credentials))
    await Renewing(platform.services).round()
    found = platform.services.accounts.credentials(await stored(platform, broker_id))
    assert found.access_token in platform.broker.tokens


async def test_a_broker_without_renewal_is_not_asked(
    platform: Platform, renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.FakeLogin, "renews", False)
    await connected(platform, now="08:00", ends="14:00")
    await Renewing(platform.services).round()
    assert renewals.asked == []
