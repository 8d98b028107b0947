"""Ready for the day: asked by people at any time, and by the morning's looks, which tell each owner once."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update
from temporalio.testing import ActivityEnvironment

from activities.messages import AccountsChecked, CheckAccounts
from activities.readiness import RowReadinessActivities
from cache.heartbeats import beat
from execution.alarm_upkeep import clear_what_is_over
from storage.models import Alert, BrokerAccount, ReadinessCheck, Severity
from tests.api.conftest import PASSWORD, Client, Platform
from tests.api.fakes import TCS
from tests.api.rows import add_run
from trading.plan import Repeat
from trading.runs import Position, RunState

FRIDAY = date(2026, 11, 20)


async def planned(platform: Platform, user: Client, broker_id: str, **values: Any) -> None:
    nothing_yet = {"state": RunState.SCHEDULED, "bought": 0, "buy_value": Decimal(0), "position": Position.NONE}
    await add_run(platform, user, broker_id, **{**nothing_yet, **values})


async def all_in_order(platform: Platform) -> None:
    platform.broker.prices[TCS] = Decimal(3550)
    await beat(platform.services.redis, "listener", {"connected": True, "healthy": True})


async def log_out(platform: Platform, broker_id: str) -> None:
    async with platform.services.database.transaction() as session:
        await session.execute(update(BrokerAccount).where(BrokerAccount.id == broker_id).values(sealed_access_token=None))


def states(account: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["state"] for check in account["checks"]}


async def test_an_account_in_order_is_ready(platform: Platform) -> None:
    user = await platform.user()
    await planned(platform, user, await platform.connect(user))
    await all_in_order(platform)
    answer = await user.get("/readiness")
    account = answer["accounts"][0]
    assert (answer["trading_day"], answer["ready"], account["planned"]) == ("2026-11-20", True, 1)
    assert (account["verdict"], account["login_url"]) == ("ready", None), states(account)


async def test_each_thing_that_is_wrong_is_found(platform: Platform) -> None:
    user = await platform.user()
    await planned(
        platform, user, await platform.connect(user), sell_at=platform.clock.now() + timedelta(hours=30), quantity=1_000
    )
    platform.broker.prices[TCS] = Decimal(3499)
    answer = await user.get("/readiness")
    account = answer["accounts"][0]
    assert (answer["ready"], account["verdict"]) == (False, "not_ready")
    assert states(account) == {
        "login": "failed",
        "instruments": "ok",
        "feed": "failed",
        "clock": "ok",
        "static_ip": "ok",
        "funds": "failed",
        "stop": "warning",
    }
    assert account["login_url"].startswith("https://broker.example/login")


async def test_a_broker_that_is_down_is_unknown_and_not_wrong(platform: Platform) -> None:
    user = await platform.user()
    await planned(platform, user, await platform.connect(user))
    await all_in_order(platform)
    platform.broker.is_down = True
    account = (await user.get("/readiness"))["accounts"][0]
    assert (states(account)["login"], states(account)["funds"], account["verdict"]) == ("unknown", "unknown", "look")
    platform.broker.is_down = False
    platform.broker.tokens.clear()
    assert states((await user.get("/readiness"))["accounts"][0])["login"] == "failed", "a dead token is a definite no"


async def test_after_the_session_it_is_about_the_next_trading_day(platform: Platform) -> None:
    user = await platform.user("asha@example.com")
    broker_id = await platform.connect(user)
    strategy_id = await user.create(repeat=Repeat.DAILY.value, broker_id=broker_id)
    platform.clock.advance(hours=8)
    user.tokens = await user.post("/auth/login", {"email": "asha@example.com", "password": PASSWORD})
    answer = await user.get("/readiness")
    assert (answer["trading_day"], answer["accounts"][0]["planned"]) == ("2026-11-23", 0), "never started: it does not repeat"
    await add_run(platform, user, broker_id, strategy_id=strategy_id, state=RunState.ENDED)
    account = (await user.get("/readiness"))["accounts"][0]
    assert account["planned"] == 1
    assert states(account)["login"] == "failed", "the login ends before Monday"


async def test_nobody_sees_anybody_elses_accounts(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    await planned(platform, owner, await platform.connect(owner))
    assert (await stranger.get("/readiness"))["accounts"] == []


# --- the morning's looks ------------------------------------------------------------------------------------------------


async def look(platform: Platform, check_time: str, *, day: date = FRIDAY) -> AccountsChecked:
    services = platform.services
    bodies = RowReadinessActivities(
        database=services.database, calendar=services.calendar, look=services.day_readiness, public_url="https://algo.example/"
    )
    request = CheckAccounts(day, check_time, "", platform.clock.now())
    checked: AccountsChecked = await ActivityEnvironment().run(bodies.check_accounts, request)
    return checked


async def told(platform: Platform) -> Sequence[Alert]:
    async with platform.services.database.transaction() as session:
        found = await session.scalars(select(Alert).where(Alert.kind == "not_ready", Alert.cleared_at.is_(None)))
        return found.all()


async def test_an_owner_is_told_once_for_each_look_with_a_link_that_leads_to_the_login(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await planned(platform, user, broker_id)
    await all_in_order(platform)
    await log_out(platform, broker_id)
    assert await look(platform, "08:45") == AccountsChecked(1, 1)
    first = (await told(platform))[0]
    assert (first.user_id, first.account_id, first.severity) == (user.user_id, broker_id, Severity.CRITICAL)
    assert "not logged in" in first.message
    assert await look(platform, "08:45") == AccountsChecked(0, 0), "whoever was told is left out"
    assert [alert.id for alert in await told(platform)] == [first.id]
    await look(platform, "09:05")
    second = await told(platform)
    assert len(second) == 1
    assert second[0].id != first.id, "the second look tells again, in the first one's place"

    link = re.search(r"https://algo\.example(/api/v1/readiness/login/\S+)", first.message)
    assert link is not None
    leads_to = await platform.http.get(link[1])
    assert (leads_to.status_code, leads_to.headers["location"][:29]) == (303, "https://broker.example/login?")
    assert "api_key" not in first.message, "the broker's key stays out of messages"
    platform.clock.advance(days=1)
    assert (await platform.http.get(link[1])).json()["error"] == "LOGIN_STATE_INVALID"


async def test_a_look_that_finds_it_in_order_ends_what_the_one_before_said(platform: Platform) -> None:
    user = await platform.user()
    await planned(platform, user, await platform.connect(user))
    await look(platform, "08:45")
    assert len(await told(platform)) == 1, "there is no market data"
    await all_in_order(platform)
    await look(platform, "09:05")
    assert await told(platform) == []


async def test_without_plans_and_on_holidays_nobody_is_disturbed(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await look(platform, "08:45")
    assert await told(platform) == []
    await planned(platform, user, broker_id)
    assert await look(platform, "08:45", day=date(2026, 11, 21)) == AccountsChecked()
    async with platform.services.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(ReadinessCheck)) == 1


async def test_what_may_go_wrong_is_a_warning(platform: Platform) -> None:
    user = await platform.user()
    await planned(platform, user, await platform.connect(user))
    await all_in_order(platform)
    platform.broker.prices[TCS] = Decimal(3499)
    await look(platform, "08:45")
    assert [(alert.severity, "3,499.00" in alert.message) for alert in await told(platform)] == [(Severity.WARNING, True)]


async def test_the_mornings_finding_does_not_outlive_the_day(platform: Platform) -> None:
    user = await platform.user()
    await planned(platform, user, await platform.connect(user))
    await look(platform, "08:45")
    async with platform.services.database.transaction() as session:
        assert await clear_what_is_over(session) == []
        await session.execute(update(Alert).values(raised_at=func.now() - timedelta(hours=13)))
        assert len(await clear_what_is_over(session)) == 1


@pytest.mark.parametrize("ticket", ["nonsense", "a" * 43])
async def test_a_link_that_was_never_sent_leads_nowhere(platform: Platform, ticket: str) -> None:
    await platform.anonymous().refused("GET", f"/readiness/login/{ticket}", 400, "LOGIN_STATE_INVALID")
