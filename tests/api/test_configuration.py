"""Configuration: what is shown of it, and what the switches refuse. They are about what is new; nothing that runs is touched."""

from typing import Any

import pytest
from sqlalchemy import select, update

from activities.messages import PrepareRuns
from activities.trading_day import RowTradingDayActivities
from execution.risk import check_entry
from runtime.setting_origins import Origin, shown_settings, shown_value
from runtime.settings import Settings
from storage.models import BrokerAccount, Run
from tests.api.conftest import PASSWORD, Client, Platform, make_settings
from tests.api.rows import add_run, ended_run
from tests.api.test_admin import as_admin
from trading.accounts import Environment
from trading.lead import Lead
from trading.risk import Refusal
from trading.runs import RunState
from trading.sessions import trading_date
from workflows.names import strategy_workflow_id


async def switch(admin: Client, what: str, **body: Any) -> Any:
    return (await admin.call("PUT", f"/admin/config/{what}", json=body, expect=200)).json()


async def ready_to_start(platform: Platform) -> tuple[Client, str]:
    user = await platform.user()
    await platform.connect(user)
    return user, await user.create()


async def test_every_setting_is_shown_with_its_origin_and_no_secret_is(platform: Platform) -> None:
    admin = await as_admin(platform)
    answer = await admin.get("/admin/config")
    shown = {setting["name"]: setting for setting in answer["settings"]}
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    assert (shown["LEASE_SECONDS"]["origin"], shown["LEASE_SECONDS"]["value"]) == ("default", "3.0")
    assert (shown["JWT_KEYS"]["value"], shown["ALERT_TARGETS"]["value"]) == ("set", "not set")
    secrets = (platform.services.settings.jwt_keys, platform.services.settings.aes_master_keys)
    assert not [secret for secret in secrets if secret.get_secret_value() in str(answer)]


def test_the_origin_says_where_a_value_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("API_PORT=9000\nLEASE_SECONDS=9\n")
    monkeypatch.setenv("LEASE_SECONDS", "4")
    origins = {setting.name: setting.origin for setting in shown_settings(Settings(log_level="debug"))}
    names = ("LEASE_SECONDS", "API_PORT", "LOG_LEVEL", "API_HOST")
    assert [origins[name] for name in names] == [Origin.ENVIRONMENT, Origin.ENV_FILE, Origin.PROCESS, Origin.DEFAULT]


def test_an_address_is_shown_without_its_password() -> None:
    settings = make_settings("postgresql+asyncpg://algo:s3cr:et@db:5432/x?ssl=on", "redis://:hunter2@cache:6379/0")
    shown = {setting.name: setting.value for setting in shown_settings(settings)}
    assert shown["DATABASE_URL"] == "postgresql+asyncpg://algo:...@db:5432/x?ssl=on"
    assert shown["REDIS_URL"] == "redis://:...@cache:6379/0"
    assert shown_value("postgresql://postgres@127.0.0.1/x") == "postgresql://postgres@127.0.0.1/x"


async def test_in_maintenance_nothing_new_starts_and_it_says_why(trading: Platform) -> None:
    admin = await as_admin(trading)
    user, strategy_id = await ready_to_start(trading)
    shown = await switch(admin, "maintenance", on=True, reason="new database at 18:00")
    assert (shown["maintenance"]["is_on"], shown["maintenance"]["origin"]) == (True, "database")
    refused = await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "MAINTENANCE")
    assert "new database at 18:00" in refused["message"]
    async with trading.services.database.transaction() as session:
        assert (await session.scalars(select(Run))).all() == []
    await switch(admin, "maintenance", on=False)
    await user.post(f"/strategy/start/{strategy_id}")


async def test_what_runs_can_be_stopped_and_changed_whatever_is_switched_off(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await switch(admin, "maintenance", on=True)
    await switch(admin, "brokers/zerodha", on=False)
    await user.call("PATCH", f"/strategy/{run.strategy_id}/running", json={"stop_loss": 3400}, expect=200)
    await user.post(f"/strategy/stop/{run.strategy_id}")
    async with platform.services.database.transaction() as session:
        assert (await session.get_one(Run, run.id)).exit_reason is not None


async def test_nothing_new_starts_with_a_broker_that_is_switched_off(trading: Platform) -> None:
    admin = await as_admin(trading)
    user, strategy_id = await ready_to_start(trading)
    await switch(admin, "brokers/dhan", on=False)
    shown = await switch(admin, "brokers/zerodha", on=False, reason="its book is wrong")
    assert {broker["broker"]: broker["is_on"] for broker in shown["brokers"]}["zerodha"] is False
    refused = await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "BROKER_SWITCHED_OFF")
    assert "its book is wrong" in refused["message"]
    await switch(admin, "brokers/zerodha", on=True)
    await user.post(f"/strategy/start/{strategy_id}")


async def test_features_are_switched_one_by_one(platform: Platform) -> None:
    admin = await as_admin(platform)
    user, strategy_id = await ready_to_start(platform)
    await switch(admin, "flags/registration", on=False)
    body = {"email": "new@example.com", "password": PASSWORD}
    await platform.anonymous().refused("POST", "/auth/register", 409, "FEATURE_SWITCHED_OFF", json=body)
    await switch(admin, "flags/start_now", on=False)
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "FEATURE_SWITCHED_OFF", json={"start": "now"})
    await switch(admin, "flags/live_trading", on=False)
    async with platform.services.database.transaction() as session:
        await session.execute(update(BrokerAccount).values(environment=Environment.LIVE))
    await user.refused("POST", f"/strategy/start/{strategy_id}", 409, "FEATURE_SWITCHED_OFF")
    await admin.refused("PUT", "/admin/config/flags/unheard_of", 400, "INVALID_VALUE", json={"on": False})


async def test_every_switch_is_in_the_audit_log_with_its_reason(platform: Platform) -> None:
    admin = await as_admin(platform)
    await switch(admin, "maintenance", on=True, reason="why")
    await switch(admin, "flags/repeating", on=False)
    noted = (await admin.get("/admin/audit", params={"action": "config"}))["items"]
    assert [(entry["action"], entry["data"]) for entry in noted] == [
        ("config.flag.repeating", {"on": False, "reason": ""}),
        ("config.maintenance", {"on": True, "reason": "why"}),
    ]


# --- what the worker asks ----------------------------------------------------------------------------------------------


async def morning(platform: Platform) -> Any:
    """What the daily schedule has any worker do."""
    services = platform.services
    activities = RowTradingDayActivities(
        database=services.database,
        instruments=services.instruments,
        calendar=services.calendar,
        lead=Lead(5, 5, 30),
        workflow_id=strategy_workflow_id,
    )
    now = platform.clock.now()
    return await activities.prepare_runs(PrepareRuns(trading_date(now), "", now))


async def repeating(platform: Platform) -> tuple[Client, str]:
    """A strategy that ran yesterday and repeats."""
    user = await platform.user()
    broker_id = await platform.connect(user)
    strategy_id = await user.create(repeat="daily", broker_id=broker_id)
    await ended_run(platform, user, broker_id, pnl="1", strategy_id=strategy_id, days_ago=1)
    return user, strategy_id


@pytest.mark.parametrize(
    ("what", "body", "why"),
    [
        ("maintenance", {"on": True, "reason": "new disks"}, "maintenance: new disks"),
        ("brokers/zerodha", {"on": False}, "an administrator has switched zerodha off"),
        ("flags/repeating", {"on": False}, "starting strategies every morning is switched off"),
    ],
)
async def test_a_morning_starts_nothing_that_is_switched_off_and_tells_the_owner(
    platform: Platform, what: str, body: dict[str, Any], why: str
) -> None:
    admin = await as_admin(platform)
    user, strategy_id = await repeating(platform)
    await switch(admin, what, **body)
    prepared = await morning(platform)
    assert prepared.runs == ()
    assert [(one.strategy_id, one.why) for one in prepared.not_started] == [(strategy_id, why)]
    assert [alert["message"] for alert in (await user.get("/alerts"))["items"]] == [why]


async def test_a_suspended_users_strategies_do_not_start_in_the_morning(platform: Platform) -> None:
    admin = await as_admin(platform)
    user, _ = await repeating(platform)
    await admin.call("PATCH", f"/admin/users/{user.user_id}", json={"state": "suspended"}, expect=200)
    assert (await morning(platform)).runs == ()
    await admin.call("PATCH", f"/admin/users/{user.user_id}", json={"state": "active"}, expect=200)


async def test_a_morning_with_everything_on_starts_what_repeats(platform: Platform) -> None:
    _, strategy_id = await repeating(platform)
    assert [one.strategy_id for one in (await morning(platform)).runs] == [strategy_id]


async def test_a_run_that_has_not_armed_its_purchase_does_not_buy_with_a_broker_that_is_switched_off(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    run = await add_run(platform, user, broker_id, state=RunState.SCHEDULED, bought=0)
    assert await refusal(platform, run, broker_id) is None
    await switch(admin, "maintenance", on=True)
    assert await refusal(platform, run, broker_id) is None, "maintenance is about what is new"
    await switch(admin, "brokers/zerodha", on=False, reason="its book is wrong")
    found = await refusal(platform, run, broker_id)
    assert found is not None
    assert found.message == "an administrator has switched zerodha off: its book is wrong"


async def refusal(platform: Platform, run: Run, broker_id: str) -> Refusal | None:
    async with platform.services.database.transaction() as session:
        account = await session.get_one(BrokerAccount, broker_id)
        now, defaults = platform.clock.now(), platform.services.settings.default_limits
        return await check_entry(session, run, account, now=now, last_price=None, defaults=defaults)
