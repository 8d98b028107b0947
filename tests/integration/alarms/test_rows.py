"""Alarms as rows: raised once, cleared when over, ended by a person where only a person can; one table knows all kinds."""

from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from execution.alarm_kinds import ENDED_BY_A_PERSON, KINDS, Over
from execution.alarms import Alarm, alarms_up, clear_alarm, raise_alarm
from execution.desk_alarms import DeskAlarms
from execution.look import LookResult
from storage.database import Database
from storage.models import Alert, BrokerAccount, Severity
from trading.accounts import BrokerName

ROOT = Path(__file__).parents[3]


async def up(database: Database, kind: str = "token_expired", key: str = "a", **more: str) -> bool:
    async with database.transaction() as session:
        return await raise_alarm(session, Alarm(key, kind, "-", **more))  # type: ignore[arg-type]


async def acknowledge(database: Database, *, ends: bool) -> None:
    now = func.clock_timestamp()
    async with database.transaction() as session:
        await session.execute(update(Alert).values(acknowledged_at=now, cleared_at=now if ends else None))


def looked(**more: list[str]) -> LookResult:
    return LookResult(in_doubt=0, alive=0, watched=0, looked=True, **more)  # type: ignore[arg-type]


async def test_an_alarm_is_raised_once_while_it_lasts_and_again_after_it_was_over(database: Database) -> None:
    assert [await up(database), await up(database)] == [True, False]
    async with database.transaction() as session:
        assert [await clear_alarm(session, "a"), await clear_alarm(session, "a")] == [True, False]
    assert await up(database)


async def test_an_acknowledged_alarm_whose_cause_lasts_is_not_raised_again(database: Database) -> None:
    await up(database)
    await acknowledge(database, ends=False)
    assert not await up(database)


async def test_what_a_person_has_settled_is_not_raised_again_for_the_same_thing_within_a_day(database: Database) -> None:
    assert await up(database, "order_doubled")
    await acknowledge(database, ends=True)
    assert not await up(database, "order_doubled")
    assert await up(database, "order_doubled", key="another order")
    async with database.transaction() as session:
        yesterday = func.clock_timestamp() - func.make_interval(0, 0, 0, 1)
        await session.execute(update(Alert).where(Alert.key == "a").values(acknowledged_at=yesterday))
    assert await up(database, "order_doubled")


async def test_an_alarm_has_the_severity_of_its_kind_and_an_unknown_kind_is_grave(database: Database) -> None:
    for kind in ("workflow_lost", "order_in_doubt", "nobody_knows_this"):
        await up(database, kind, key=kind)
    async with database.transaction() as session:
        found = {alert.kind: alert.severity for alert in await session.scalars(select(Alert))}
    assert found == {
        "workflow_lost": Severity.WARNING,
        "order_in_doubt": Severity.CRITICAL,
        "nobody_knows_this": Severity.CRITICAL,
    }


def test_every_kind_has_a_page_with_its_title_that_says_how_it_ends() -> None:
    for name, kind in KINDS.items():
        page = (ROOT / "docs" / "runbooks" / f"{name}.md").read_text()
        assert page.startswith(f"# {kind.title}\n"), name
        ending = page.partition("## When it ends\n\n")[2]
        assert ending.startswith("Not by itself" if kind.over is Over.PERSON else "By itself"), name
    assert {name for name, kind in KINDS.items() if kind.over is Over.PERSON} == ENDED_BY_A_PERSON


# --- the desk's own -----------------------------------------------------------------------------------------------------


def an_account() -> BrokerAccount:
    return BrokerAccount(id="brk_1", user_id="usr_1", broker=BrokerName.ZERODHA)


async def open_keys(database: Database) -> set[str]:
    async with database.transaction() as session:
        return (await alarms_up(session, ["brk_1"])).get("brk_1", set())


async def test_a_desk_clears_what_the_one_before_it_has_raised(database: Database) -> None:
    first = DeskAlarms(an_account(), database=database, up=frozenset())
    await first.session_ended()
    await first.exit_refused("run_1", "no")
    second = DeskAlarms(an_account(), database=database, up=await open_keys(database))
    await second.looked(looked())
    assert await open_keys(database) == {"exit-refused:run_1"}
    await second.exit_taken("run_1")
    assert await open_keys(database) == set()


async def test_a_login_that_dies_again_after_its_renewal_is_an_alarm_again(database: Database) -> None:
    desk = DeskAlarms(an_account(), database=database, up=frozenset())
    for _ in range(2):
        await desk.session_ended()
        assert await open_keys(database) == {"token-expired:brk_1"}
        await desk.session_renewed()
        assert await open_keys(database) == set()


class Away:
    """A database that is not there."""

    def transaction(self) -> None:
        raise OSError("connection refused")


@pytest.mark.parametrize("call", ["session_ended", "session_renewed"])
async def test_a_desk_goes_on_when_its_alarms_cannot_be_written(call: str) -> None:
    desk = DeskAlarms(an_account(), database=Away(), up=frozenset({"token-expired:brk_1"} if "re" in call else ()))  # type: ignore[arg-type]
    await getattr(desk, call)()


async def test_an_alarm_that_could_not_be_written_is_written_at_the_next_occasion(database: Database) -> None:
    desk = DeskAlarms(an_account(), database=Away(), up=frozenset())  # type: ignore[arg-type]
    await desk.session_ended()
    desk._database = database
    await desk.session_ended()
    assert await open_keys(database) == {"token-expired:brk_1"}
