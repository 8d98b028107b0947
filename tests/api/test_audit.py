"""The audit log: everything is in it, nobody waits for it, and what was sealed cannot be changed or taken out unseen."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text, update

from runtime.upkeep import Upkeep
from storage.models import Alert, AuditEntry, AuditSeal
from storage.repositories import audit, audit_chain
from storage.repositories.audit_chain import Chain
from tests.api.conftest import Platform
from tests.api.test_admin import as_admin, run_cli


async def seal(platform: Platform) -> int:
    return await audit_chain.seal_all(platform.services.database)


async def check(platform: Platform) -> Chain:
    return await audit_chain.check(platform.services.database)


async def execute(platform: Platform, *statements: str) -> None:
    async with platform.services.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_every_mutation_is_in_the_audit_log_and_the_chain_is_whole(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    strategy_id = await user.create()
    await user.call("PUT", f"/strategy/{strategy_id}", json={"quantity": 5}, expect=200)
    await user.call("DELETE", f"/strategy/{strategy_id}", expect=200)
    await user.call("PUT", "/risk-limits", json={"max_daily_loss": 1}, expect=200)
    await user.post("/kill-switch")
    await user.call("DELETE", "/kill-switch?reason=over", expect=200)
    await user.call("DELETE", f"/broker/{broker_id}", expect=200)
    await user.post("/auth/logout")
    page = await admin.get("/admin/audit?limit=200")
    actions = [entry["action"] for entry in reversed(page["items"]) if entry["actor_id"] == user.user_id]
    assert actions == [
        "user.register",
        "broker.connect",
        "strategy.create",
        "strategy.update",
        "strategy.delete",
        "risk_limits.set",
        "kill_switch.engage",
        "kill_switch.release",
        "broker.delete",
        "user.logout",
    ]
    assert await seal(platform) == len(page["items"])
    assert (await check(platform)).broken_at is None


async def test_nobody_who_acts_waits_for_another_ones_entry(platform: Platform) -> None:
    """A transaction that has written its entry and is still open holds up neither others nor the seal."""
    first, second = await platform.user(), await platform.user()
    now = platform.clock.now()
    async with platform.services.database.transaction() as session:
        await audit.append(session, actor_id=first.user_id, action="slow", subject_id=None, now=now)
        async with asyncio.timeout(10):
            await second.create()
            await seal(platform)
    before = await check(platform)
    assert await seal(platform) == 1
    after = await check(platform)
    assert (before.broken_at, after.broken_at) == (None, None)
    assert (before.unsealed, after.unsealed, after.head.sequence) == (1, 0, before.head.sequence + 1)


async def test_entries_written_at_once_form_one_chain_also_when_two_seal_at_once(platform: Platform) -> None:
    user = await platform.user()
    await asyncio.gather(*(user.create() for _ in range(10)))
    assert sum(await asyncio.gather(seal(platform), seal(platform))) == 11
    async with platform.services.database.transaction() as session:
        sequences = (await session.scalars(select(AuditEntry.sequence).order_by(AuditEntry.sequence))).all()
    assert sequences == list(range(1, 12))
    assert (await check(platform)).broken_at is None


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_log SET data = '{\"quantity\": 1}' WHERE sequence = 3",
        "UPDATE audit_log SET actor_id = NULL WHERE sequence = 3",
        "UPDATE audit_log SET at = at - interval '1 microsecond' WHERE sequence = 3",
        "DELETE FROM audit_log WHERE sequence = 3",
        "UPDATE audit_log SET sequence = NULL WHERE sequence = 3",
    ],
)
async def test_a_changed_or_missing_entry_is_found(platform: Platform, tamper: str) -> None:
    user = await platform.user()
    for _ in range(4):
        await user.create()
    await seal(platform)
    await execute(platform, tamper)
    assert (await check(platform)).broken_at == 3


async def test_entries_taken_off_the_end_are_found_also_after_more_were_written(platform: Platform) -> None:
    user = await platform.user()
    for _ in range(4):
        await user.create()
    await seal(platform)
    await execute(platform, "DELETE FROM audit_log WHERE sequence >= 4")
    assert (await check(platform)).broken_at == 4
    await user.create()
    await seal(platform)
    assert (await check(platform)).broken_at == 4


async def test_a_seal_that_was_taken_away_is_found(platform: Platform) -> None:
    user = await platform.user()
    await seal(platform)
    await user.create()
    await seal(platform)
    await execute(platform, "DELETE FROM audit_seals WHERE sequence = 2")
    assert (await check(platform)).broken_at == 2


async def test_a_chain_that_was_made_anew_is_found_by_its_seals_and_by_a_head_that_was_noted(platform: Platform) -> None:
    user = await platform.user()
    await user.create()
    await seal(platform)
    noted = (await check(platform)).head
    await execute(
        platform,
        "UPDATE audit_log SET action = 'x' WHERE sequence = 1",
        "UPDATE audit_log SET sequence = NULL, previous_hash = NULL, hash = NULL",
        "DELETE FROM audit_seals",
    )
    await seal(platform)
    again = await check(platform)
    assert (again.broken_at, again.head.sequence) == (None, noted.sequence), "who owns the database can do this"
    found = await audit_chain.check(platform.services.database, noted=noted)
    assert found.broken_at == noted.sequence
    async with platform.services.database.transaction() as session:
        await session.execute(update(AuditSeal).values(hash=noted.hash))
    assert (await check(platform)).broken_at == noted.sequence


async def test_what_is_not_sealed_yet_is_told_as_such(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    await seal(platform)
    await user.create()
    answer = await admin.get("/admin/audit/check")
    assert (answer["is_whole"], answer["sealed"], answer["unsealed"]) == (True, 2, 1)
    newest, older = (await admin.get("/admin/audit"))["items"][:2]
    assert (newest["sequence"], newest["hash"]) == (None, None)
    assert older["sequence"] == 2


async def test_the_list_is_filtered_and_paged(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    for _ in range(3):
        await user.create()
    path = "/admin/audit"
    mine: dict[str, Any] = {"actor_id": user.user_id, "action": "strategy", "limit": 2}
    first = await admin.get(path, params=mine)
    rest = await admin.get(path, params={**mine, "cursor": first["next_cursor"]})
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [2, 1, None]
    assert {entry["action"] for entry in [*first["items"], *rest["items"]]} == {"strategy.create"}
    assert (await admin.get(path, params={"action": "strat"}))["items"] == []
    now = platform.clock.now().isoformat()
    assert (await admin.get(path, params={**mine, "to": now}))["items"] == []
    assert len((await admin.get(path, params={**mine, "from": now}))["items"]) == 2
    await admin.refused("GET", path, 400, "INVALID_VALUE", params={"from": "2026-11-20T09:00:00"})


async def test_the_audit_log_can_be_checked_on_the_machine(platform: Platform) -> None:
    user = await platform.user()
    await user.create()
    await seal(platform)
    whole = await asyncio.to_thread(run_cli, platform, "check-audit")
    noted = whole.output.split("elsewhere: ")[1].strip()
    assert (whole.exit_code, noted.startswith("2:")) == (0, True)
    assert (await asyncio.to_thread(run_cli, platform, "check-audit", "--noted", noted)).exit_code == 0
    assert (await asyncio.to_thread(run_cli, platform, "check-audit", "--noted", "2:" + "0" * 64)).exit_code == 1
    assert (await asyncio.to_thread(run_cli, platform, "check-audit", "--noted", "nonsense")).exit_code == 2
    await user.create()
    assert "1 entries" in (await asyncio.to_thread(run_cli, platform, "check-audit")).output
    await execute(platform, "UPDATE audit_log SET action = 'x' WHERE sequence = 1")
    broken = await asyncio.to_thread(run_cli, platform, "check-audit")
    assert (broken.exit_code, "entry 1" in broken.output) == (1, True)


async def alarms(platform: Platform) -> list[str]:
    async with platform.services.database.transaction() as session:
        return list(await session.scalars(select(Alert.message).where(Alert.cleared_at.is_(None))))


async def test_a_chain_that_was_tampered_with_raises_an_alarm_until_it_is_whole_again(platform: Platform) -> None:
    user = await platform.user()
    for _ in range(3):
        await user.create()
    upkeep = Upkeep(platform.services.database, platform.clock)
    await upkeep.round()
    assert await alarms(platform) == []
    await execute(platform, "UPDATE audit_log SET action = 'strategy.delete' WHERE sequence = 3")
    await upkeep.round()
    assert await alarms(platform) == [], "the whole log is read once an hour"
    platform.clock.advance(hours=1)
    await upkeep.round()
    assert await alarms(platform) == ["At entry 3: the entry is not as it was sealed"]
    await execute(platform, "UPDATE audit_log SET action = 'strategy.create' WHERE sequence = 3")
    platform.clock.advance(hours=1)
    await upkeep.round()
    assert await alarms(platform) == []


async def test_a_chain_that_was_made_anew_is_noticed_by_whoever_remembers_the_old_one(platform: Platform) -> None:
    user = await platform.user()
    await user.create()
    upkeep = Upkeep(platform.services.database, platform.clock)
    await upkeep.round()
    await execute(platform, "DELETE FROM audit_seals", "DELETE FROM audit_log WHERE sequence = 2")
    await execute(platform, "UPDATE audit_log SET sequence = NULL, previous_hash = NULL, hash = NULL")
    await user.create()
    platform.clock.advance(hours=1)
    await upkeep.round()
    (message,) = await alarms(platform)
    assert message.startswith("At entry 2")
