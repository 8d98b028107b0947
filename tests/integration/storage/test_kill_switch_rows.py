"""The kill switch and the claim want the same rows in the same instant: whoever is second sees what the first has done."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from execution.killing import Engaged, Wanted, engage, release
from storage.database import Database
from storage.models import KillScope, Order, Run
from tests.integration.storage.claims import claim, claim_in
from tests.integration.storage.rows import NOW, Rows
from trading.orders import Leg, OrderState, SupersededFor
from trading.runs import ExitReason, RunState

LATER = NOW + timedelta(seconds=5)


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


def over(run: Run, scope: KillScope = KillScope.ACCOUNT, *, square_off: bool = False) -> Wanted:
    ids = {
        KillScope.PLATFORM: "",
        KillScope.USER: run.user_id,
        KillScope.ACCOUNT: run.account_id,
        KillScope.STRATEGY: run.strategy_id,
    }
    return Wanted(scope, ids[scope], square_off, "enough", by=run.user_id)


async def press(database: Database, wanted: Wanted) -> Engaged:
    async with database.transaction() as session:
        return await engage(session, wanted, now=LATER)


async def run_of(database: Database, run: Run) -> Run:
    async with database.transaction() as session:
        return await session.get_one(Run, run.id)


async def waits(session: AsyncSession, task: "asyncio.Task[Engaged]") -> bool:
    done, _ = await asyncio.wait([task], timeout=0.3)
    return not done


@pytest.mark.parametrize("scope", list(KillScope))
async def test_armed_entries_of_the_scope_never_leave_and_no_others_are_touched(
    database: Database, rows: Rows, scope: KillScope
) -> None:
    account = await rows.account()
    run, elsewhere = await rows.run(account), await rows.run(await rows.account())
    mine, theirs = await rows.order(run, Leg.ENTRY), await rows.order(elsewhere, Leg.ENTRY)
    await press(database, over(run, scope))
    withdrawn = await rows.fresh(mine)
    assert (withdrawn.state, withdrawn.superseded_for) == (OrderState.SUPERSEDED, SupersededFor.KILL_SWITCH)
    touched = scope is KillScope.PLATFORM
    assert ((await rows.fresh(theirs)).state is OrderState.SUPERSEDED) is touched


async def test_a_claim_that_came_first_is_waited_for_and_what_it_did_not_take_never_leaves(
    database: Database, rows: Rows
) -> None:
    account = await rows.account()
    first, second = await rows.run(account), await rows.run(account)
    taken, left = await rows.order(first, Leg.ENTRY), await rows.order(second, Leg.ENTRY)
    async with database.transaction() as session:
        assert await claim_in(session, [taken])
        pressing = asyncio.create_task(press(database, over(first)))
        assert await waits(session, pressing), "the switch was committed beside a claim it does not know of"
    await pressing
    assert [(await rows.fresh(order)).state for order in (taken, left)] == [OrderState.SENDING, OrderState.SUPERSEDED]
    assert await claim(database, left) == []


async def test_a_claim_that_comes_while_the_switch_is_being_engaged_takes_nothing(database: Database, rows: Rows) -> None:
    run = await rows.run(await rows.account())
    order = await rows.order(run, Leg.ENTRY)
    async with database.transaction() as session:
        await engage(session, over(run), now=LATER)
        assert await claim(database, order) == []
    assert await claim(database, order) == []


async def test_an_entry_that_comes_back_unsent_is_not_claimed_again(database: Database, rows: Rows) -> None:
    run = await rows.run(await rows.account())
    order = await rows.order(run, Leg.ENTRY, state=OrderState.SENDING)
    await press(database, over(run))
    await rows.change(order, state=OrderState.ARMED)
    assert await claim(database, order) == []


async def test_two_that_press_in_the_same_instant_engage_one_switch(database: Database, rows: Rows) -> None:
    account = await rows.account()
    runs = [await rows.run(account) for _ in range(5)]
    pressed = await asyncio.gather(*(press(database, over(runs[0], square_off=sells)) for sells in (False, True, False, True)))
    assert len({engaged.switch.id for engaged in pressed}) == 1
    assert (await press(database, over(runs[0]))).switch.square_off
    assert [(await run_of(database, run)).exit_reason for run in runs] == [ExitReason.KILL_SWITCH] * 5


async def test_switches_overlap_and_each_is_released_alone(database: Database, rows: Rows) -> None:
    run = await rows.run(await rows.account())
    for scope in KillScope:
        await press(database, over(run, scope))
    order = await rows.order(run, Leg.ENTRY, attempt=2)
    for scope in KillScope:
        assert await claim(database, order) == []
        wanted = over(run, scope)
        async with database.transaction() as session:
            await release(session, scope=scope, scope_id=wanted.scope_id, reason="over", by="usr_1", now=LATER)
    assert len(await claim(database, order)) == 1


KEPT = [
    ("ended", {"state": RunState.ENDED}, None),
    ("left open by its user", {"leave_open": True}, None),
    ("handed to a person", {"handed_over_at": NOW}, None),
    (
        "leaving for its stop",
        {"exit_reason": ExitReason.STOP_LOSS, "exit_wanted_at": NOW},
        ExitReason.STOP_LOSS,
    ),
    ("leaving for its sell time", {"exit_reason": ExitReason.SELL_TIME, "exit_wanted_at": NOW}, ExitReason.KILL_SWITCH),
    ("holding", {}, ExitReason.KILL_SWITCH),
]


@pytest.mark.parametrize(("what", "values", "reason"), KEPT, ids=[case[0] for case in KEPT])
async def test_squaring_off_asks_whoever_is_the_platforms_to_sell(
    database: Database, rows: Rows, what: str, values: dict[str, object], reason: ExitReason | None
) -> None:
    run = await rows.run(await rows.account(), bought=10, **values)
    await press(database, over(run, square_off=True))
    assert (await run_of(database, run)).exit_reason is reason


async def test_without_square_off_nobody_is_asked_to_sell(database: Database, rows: Rows) -> None:
    run = await rows.run(await rows.account(), bought=10)
    order: Order = await rows.order(run, Leg.EXIT)
    await press(database, over(run))
    assert (await run_of(database, run)).exit_reason is None
    assert (await rows.fresh(order)).state is OrderState.ARMED
