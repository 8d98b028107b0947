"""Alarms reach a person: at least once, gathered in a storm, with the end as well as the beginning, and never with a secret."""

import asyncio
import logging
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import func, select, update

from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.tasks import end
from runtime.messenger import Target, open_targets
from runtime.telling import Teller
from storage.database import Database
from storage.models import Alert, AlertDelivery
from storage.repositories import alerts
from tests.integration.alarms.webhook import SECRET, Webhook, open_webhook
from tests.waiting import DEADLINE_SECONDS, eventually


def target_at(webhook: Webhook) -> Target:
    return open_targets(SecretStr(webhook.address))[0]


async def up(database: Database, key: str = "a", kind: str = "token_expired", message: str = "Log in again") -> None:
    async with database.transaction() as session:
        assert await raise_alarm(session, Alarm(key, kind, message, account_id="brk_1"))


async def over(database: Database, key: str = "a") -> None:
    async with database.transaction() as session:
        assert await clear_alarm(session, key)


async def make_due(database: Database) -> None:
    """As if the pause after a failed attempt were over."""
    async with database.transaction() as session:
        await session.execute(update(AlertDelivery).values(next_attempt_at=func.clock_timestamp()))


async def test_the_beginning_and_the_end_of_an_alarm_arrive_once_each(database: Database, webhook: Webhook) -> None:
    teller, target = Teller(database, []), target_at(webhook)
    await up(database)
    assert await teller.tell(target) == 1
    assert await teller.tell(target) == 0
    assert (webhook.titles, webhook.messages[0]["type"]) == (["Critical: A broker login has ended"], "failure")
    assert "Log in again (brk_1)" in webhook.messages[0]["message"]
    assert "docs/runbooks/token_expired.md" in webhook.messages[0]["message"]
    await over(database)
    assert await teller.tell(target) == 1
    assert await teller.tell(target) == 0
    assert (webhook.titles[1:], webhook.messages[1]["type"]) == (["Over: A broker login has ended"], "success")


async def test_a_storm_is_one_message(database: Database, webhook: Webhook) -> None:
    for number in range(40):
        await up(database, key=f"k{number}", kind="order_in_doubt")
    await up(database, key="lost", kind="workflow_lost")
    assert await Teller(database, []).tell(target_at(webhook)) == 41
    assert webhook.titles == ["41 alarms"]
    assert webhook.messages[0]["message"].endswith("and 26 more: 25 order_in_doubt, 1 workflow_lost")


async def test_what_a_target_did_not_take_is_told_again_and_counted_as_waiting(database: Database, webhook: Webhook) -> None:
    teller, target = Teller(database, []), target_at(webhook)
    webhook.answer = 500
    await up(database)
    assert await teller.tell(target) == 1
    assert await teller.tell(target) == 0, "it is not tried again at once"
    async with database.transaction() as session:
        assert (await alerts.undelivered(session, targets=[target.name])).waiting == 1
    webhook.answer = 200
    await make_due(database)
    assert await teller.tell(target) == 1
    assert len(webhook.messages) == 1
    async with database.transaction() as session:
        assert (await alerts.undelivered(session, targets=[target.name])).waiting == 0


async def test_it_is_given_up_after_a_bounded_number_of_attempts_and_said_so(database: Database, webhook: Webhook) -> None:
    teller, target = Teller(database, []), target_at(webhook)
    webhook.answer = 500
    await up(database)
    for _ in range(alerts.MOST_ATTEMPTS):
        assert await teller.tell(target) == 1
        await make_due(database)
    assert await teller.tell(target) == 0
    async with database.transaction() as session:
        found = await alerts.undelivered(session, targets=[target.name])
    assert (found.waiting, found.given_up) == (0, 1)


async def test_the_pause_between_attempts_grows_up_to_a_limit(database: Database, webhook: Webhook) -> None:
    teller, target = Teller(database, []), target_at(webhook)
    webhook.answer = 500
    await up(database)
    pauses = []
    for _ in range(8):
        await teller.tell(target)
        async with database.transaction() as session:
            left = select(func.extract("epoch", AlertDelivery.next_attempt_at - func.clock_timestamp()))
            pauses.append(float((await session.scalars(left)).one()))
        await make_due(database)
    expected = [10, 20, 40, 80, 160, 320, 600, 600]
    # Time passes between the writing and the reading of a pause, never backwards.
    assert all(wanted - 9 < found <= wanted for found, wanted in zip(pauses, expected, strict=True)), pauses


async def test_a_teller_that_died_after_taking_is_followed_by_another(database: Database, webhook: Webhook) -> None:
    target = target_at(webhook)
    await up(database)
    async with database.transaction() as session:
        await alerts.enlist(session, target=target.name, most=10)
    async with database.transaction() as session:
        assert len(await alerts.take(session, target=target.name, most=10)) == 1
    assert await Teller(database, []).tell(target) == 0
    await make_due(database)
    assert await Teller(database, []).tell(target) == 1
    assert len(webhook.messages) == 1


async def test_two_tellers_at_once_tell_it_once(database: Database, webhook: Webhook) -> None:
    target = target_at(webhook)
    for number in range(30):
        await up(database, key=f"k{number}")
    told = await asyncio.gather(*(Teller(database, []).tell(target) for _ in range(4)))
    listed = sum(int(message["title"].split()[0]) if message["title"][0].isdigit() else 1 for message in webhook.messages)
    assert (sum(told), listed) == (30, 30), told


async def test_what_began_and_ended_unheard_long_ago_is_not_told(database: Database, webhook: Webhook) -> None:
    await up(database)
    await over(database)
    async with database.transaction() as session:
        await session.execute(update(Alert).values(cleared_at=func.clock_timestamp() - alerts.STALE_AFTER))
    assert await Teller(database, []).tell(target_at(webhook)) == 0


async def test_what_a_person_has_seen_already_is_not_told(database: Database, webhook: Webhook) -> None:
    await up(database)
    async with database.transaction() as session:
        await session.execute(update(Alert).values(acknowledged_at=func.clock_timestamp()))
    assert await Teller(database, []).tell(target_at(webhook)) == 0


async def test_a_target_that_never_answers_holds_up_neither_alarms_nor_other_targets(
    database: Database, webhook: Webhook
) -> None:
    async with open_webhook() as hanging:
        hanging.mute = True
        targets = [target_at(hanging), target_at(webhook)]
        telling = asyncio.create_task(Teller(database, targets).run())
        try:
            await up(database)
            await eventually(lambda: webhook.messages, "the other target was told")
            # The row of the alarm is free while the first target still hangs.
            await over(database)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await waiting_for(database, targets[0]) != 1:
                    await asyncio.sleep(0.02)
        finally:
            await end([telling])


async def test_a_database_that_goes_away_ends_the_telling_for_a_while_only(database: Database, webhook: Webhook) -> None:
    away = BreaksOnce(database)
    telling = asyncio.create_task(Teller(away, [target_at(webhook)]).run())  # type: ignore[arg-type]
    try:
        await up(database)
        await eventually(lambda: webhook.messages, "it was told after all")
        assert away.broken
    finally:
        await end([telling])


async def test_no_secret_of_a_target_is_in_a_log_a_row_or_an_error(database: Database, webhook: Webhook, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    target, teller = target_at(webhook), Teller(database, [])
    with structlog.testing.capture_logs() as logged:
        await up(database)
        for webhook.answer in (500, 200):
            await make_due(database)
            await teller.tell(target)
    async with database.transaction() as session:
        rows = [row.target for row in await session.scalars(select(AlertDelivery))]
    assert [entry["event"] for entry in logged] == ["alarms_not_told", "alarms_told"]
    shown = f"{logged} {rows} {target!r} {webhook.messages} {[record.getMessage() for record in caplog.records]}"
    assert SECRET not in shown
    with pytest.raises(ValueError, match="number 2") as refused:
        open_targets(SecretStr(f"{webhook.address}, nonsense://{SECRET}"))
    assert SECRET not in f"{refused.value}{[record.getMessage() for record in caplog.records]}"


def test_targets_are_separated_by_commas_and_told_apart_without_their_secrets() -> None:
    listed = f"json://127.0.0.1/{SECRET}?+x=1,2 , tgram://123456789:abcdefg_hijklmnop/12315544/,json://127.0.0.1/{SECRET}?+x=1,2"
    names = [target.name for target in open_targets(SecretStr(listed))]
    assert [name.split("-")[0] for name in names] == ["json", "tgram", "json"]
    assert names[2] == f"{names[0]}-2"
    assert open_targets(SecretStr(" ")) == ()


async def waiting_for(database: Database, target: Target) -> int:
    async with database.transaction() as session:
        return (await alerts.undelivered(session, targets=[target.name])).waiting


class BreaksOnce:
    """A database whose first transaction fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.broken = False

    def transaction(self) -> Any:
        if not self.broken:
            self.broken = True
            raise OSError("connection refused")
        return self._database.transaction()
