"""Under which conditions an order may leave: each one alone keeps it."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.claim import claim_entries
from storage.database import Database
from storage.models import Alert, DeskLease, KillScope, KillSwitch, Order, Run, Severity, User, UserState
from tests.integration.storage.claims import A_SECOND, ABOVE_STOP, AT_STOP, MONOTONIC, claim, claim_leaving, wanted_entry
from tests.integration.storage.rows import NOW, Rows
from trading.orders import Leg, OrderState
from trading.runs import ExitReason, RunState

PAISA = Decimal("0.01")


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


@dataclass(frozen=True)
class Case:
    """How the run and the order differ from ones that may leave."""

    what: str
    may_leave: bool
    run: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)


def named(case: Case) -> str:
    return case.what


ENTRY_CASES = [
    Case("due", True),
    Case("its instant has not come", False, order={"fire_at": NOW + A_SECOND}),
    Case("its instant has not come but somebody asks", True, order={"fire_at": NOW + A_SECOND, "wanted_at": NOW}),
    Case("at its deadline", False, order={"deadline_at": NOW}),
    Case("after its deadline", False, order={"deadline_at": NOW - A_SECOND}),
    Case("just before its deadline", True, order={"deadline_at": NOW + timedelta(microseconds=1)}),
    Case("without a deadline nobody knows when it is too late", False, order={"deadline_at": None}),
    Case("the run leaves", False, run={"exit_wanted_at": NOW, "exit_reason": ExitReason.USER_STOP}),
    Case("the user keeps what there is", False, run={"leave_open": True}),
    Case("the run has ended", False, run={"state": RunState.ENDED}),
    Case("the stop was moved above the price", False, order={"stop_price": ABOVE_STOP + PAISA}),
    Case("the price is at the stop", False, order={"stop_price": ABOVE_STOP}),
    Case("the price is a paisa above the stop", True, order={"stop_price": ABOVE_STOP - PAISA}),
    Case("without a stop nothing is bought", False, order={"stop_price": None}),
    *(
        Case(f"it is {state.value} already", False, order={"state": state})
        for state in OrderState
        if state is not OrderState.ARMED
    ),
]


@pytest.mark.parametrize("case", ENTRY_CASES, ids=named)
async def test_an_entry_leaves_only_if(database: Database, rows: Rows, case: Case) -> None:
    order = await rows.order(await rows.run(await rows.account(), **case.run), Leg.ENTRY, **case.order)
    assert bool(await claim(database, order)) is case.may_leave
    expected = OrderState.SENDING if case.may_leave else order.state
    assert (await rows.fresh(order)).state is expected


async def test_an_entry_measured_at_its_stop_does_not_leave(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    for reference, may_leave in ((AT_STOP - PAISA, False), (AT_STOP, False), (AT_STOP + PAISA, True)):
        wanted = [wanted_entry(order, reference=reference)]
        outcome = await claim_entries(database, wanted, owner="w", now=NOW, monotonic=MONOTONIC)
        assert bool(outcome.claimed) is may_leave


def switch_for(run: Run, scope: KillScope) -> KillSwitch:
    ids = {
        KillScope.PLATFORM: "",
        KillScope.USER: run.user_id,
        KillScope.ACCOUNT: run.account_id,
        KillScope.STRATEGY: run.strategy_id,
    }
    return KillSwitch(scope=scope, scope_id=ids[scope])


@pytest.mark.parametrize("scope", list(KillScope))
async def test_a_kill_switch_keeps_entries_until_it_is_released(database: Database, rows: Rows, scope: KillScope) -> None:
    run = await rows.run(await rows.account())
    order = await rows.order(run, Leg.ENTRY)
    switch = switch_for(run, scope)
    await rows.store(switch)
    assert await claim(database, order) == []
    await rows.change(switch, released_at=NOW)
    assert len(await claim(database, order)) == 1


@pytest.mark.parametrize("scope", [KillScope.USER, KillScope.ACCOUNT, KillScope.STRATEGY])
async def test_somebody_elses_kill_switch_keeps_nothing(database: Database, rows: Rows, scope: KillScope) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    await rows.store(switch_for(await rows.run(await rows.account()), scope))
    assert len(await claim(database, order)) == 1


@pytest.mark.parametrize("gone", [{"state": UserState.SUSPENDED}, {"deleted_at": NOW}], ids=["suspended", "deleted"])
async def test_nothing_is_bought_for_a_user_who_is_suspended_and_what_they_hold_is_sold(
    database: Database, rows: Rows, gone: dict[str, Any]
) -> None:
    account, other = await rows.account(), await rows.account()
    entry, others = [await rows.order(await rows.run(of), Leg.ENTRY) for of in (account, other)]
    leaving = await rows.order(await rows.run(account, bought=10), Leg.EXIT)
    async with database.transaction() as session:
        user = await session.get_one(User, account.user_id)
    await rows.change(user, **gone)
    assert await claim(database, entry) == []
    assert len(await claim(database, others)) == 1
    assert len(await claim(database, leaving)) == 1
    await rows.change(user, state=UserState.ACTIVE, deleted_at=None)
    assert len(await claim(database, entry)) == 1


async def test_an_order_nobody_knows_keeps_entries_of_its_account_until_somebody_has_looked(
    database: Database, rows: Rows
) -> None:
    account, other = await rows.account(), await rows.account()
    entry, others = [await rows.order(await rows.run(of), Leg.ENTRY) for of in (account, other)]
    leaving = await rows.order(await rows.run(account, bought=10), Leg.EXIT)
    alarm = Alert(key="k", kind="order_unknown", severity=Severity.CRITICAL, message="-", account_id=account.id)
    await rows.store(alarm)
    assert await claim(database, entry) == []
    assert len(await claim(database, others)) == 1
    assert len(await claim(database, leaving)) == 1
    await rows.change(alarm, acknowledged_at=NOW)
    assert len(await claim(database, entry)) == 1


@pytest.mark.parametrize("server", ["7300000000000000000/00000001", None])
async def test_on_another_server_nothing_leaves_until_the_account_was_compared_there(
    database: Database, rows: Rows, server: str | None
) -> None:
    account, other = await rows.account(), await rows.account()
    lease, _ = await rows.lease(account), await rows.lease(other)
    entry = await rows.order(await rows.run(account), Leg.ENTRY)
    leaving = await rows.order(await rows.run(account, bought=10), Leg.EXIT)
    others = await rows.order(await rows.run(other), Leg.ENTRY)
    async with database.transaction() as session:
        here = (await session.get_one(DeskLease, lease.id)).compared_server
    assert here
    await rows.change(lease, compared_server=server)
    assert [*await claim(database, entry), *await claim(database, leaving)] == []
    assert len(await claim(database, others)) == 1
    await rows.change(lease, compared_server=here)
    assert len(await claim(database, entry)) == len(await claim(database, leaving)) == 1


@pytest.mark.parametrize("scope", list(KillScope))
async def test_no_kill_switch_ever_keeps_an_exit(database: Database, rows: Rows, scope: KillScope) -> None:
    run = await rows.run(await rows.account(), bought=10)
    order = await rows.order(run, Leg.EXIT)
    await rows.store(switch_for(run, scope))
    assert len(await claim(database, order)) == 1


# --- exits ------------------------------------------------------------------------------------------------------------

HELD: dict[str, Any] = {"bought": 10}
EXIT_CASES = [
    Case("its stop is hit", True),
    Case("its stop was moved below the price that hit it", False, order={"stop_price": AT_STOP - PAISA, "stop_version": 2}),
    Case("its stop was moved up and is hit all the more", True, order={"stop_price": AT_STOP + PAISA, "stop_version": 2}),
    Case("the user keeps the position", False, run={"leave_open": True}),
    Case("the user keeps the position although an exit was wanted", False, run={"leave_open": True, "exit_wanted_at": NOW}),
    Case("it would sell more than is held", False, order={"quantity": 11}),
    Case("some was sold already", False, run={"sold": 1}, order={"quantity": 10}),
    Case("some was sold by somebody else", False, run={"taken_elsewhere": 1}, order={"quantity": 10}),
    Case("everything is gone", False, run={"sold": 10}, order={"quantity": 10}),
    Case("it would sell nothing", False, order={"quantity": 0}),
    Case("it sells less than is held", True, order={"quantity": 4}),
    Case("it would sell more than is held although it is wanted", False, run={"exit_wanted_at": NOW}, order={"quantity": 11}),
    Case("the run has ended and a late fill is sold", True, run={"state": RunState.ENDED}),
    *(
        Case(f"it is {state.value} already", False, order={"state": state})
        for state in OrderState
        if state is not OrderState.ARMED
    ),
]


@pytest.mark.parametrize("case", EXIT_CASES, ids=named)
async def test_an_exit_leaves_only_if(database: Database, rows: Rows, case: Case) -> None:
    order = await rows.order(await rows.run(await rows.account(), **{**HELD, **case.run}), Leg.EXIT, **case.order)
    assert bool(await claim(database, order)) is case.may_leave
    expected = OrderState.SENDING if case.may_leave else order.state
    assert (await rows.fresh(order)).state is expected


@dataclass(frozen=True)
class Leaving:
    """A reason to leave, and what the rows say of it."""

    what: str
    reason: ExitReason
    may_leave: bool
    trigger: Decimal | None = None
    due: bool = False
    wanted_by_run: bool = False
    wanted_by_order: bool = False


REASONS = [
    Leaving("a stop above its price", ExitReason.STOP_LOSS, False, trigger=AT_STOP + PAISA),
    Leaving("a stop without a price that crossed it", ExitReason.STOP_LOSS, False),
    Leaving("a stop below its price", ExitReason.STOP_LOSS, True, trigger=AT_STOP - PAISA),
    Leaving("a stop that waits for its wish", ExitReason.STOP_LOSS, True, wanted_by_run=True),
    Leaving("a sell time that has not come", ExitReason.SELL_TIME, False),
    Leaving("a sell time that has come", ExitReason.SELL_TIME, True, due=True),
    Leaving("a stop does not leave for its sell time", ExitReason.STOP_LOSS, False, due=True),
    Leaving("a user's stop nobody wrote down", ExitReason.USER_STOP, False, due=True),
    Leaving("a user's stop", ExitReason.USER_STOP, True, wanted_by_run=True),
    Leaving("a late fill nobody wrote down", ExitReason.LATE_FILL, False),
    Leaving("a late fill", ExitReason.LATE_FILL, True, wanted_by_order=True),
    Leaving("the kill switch nobody wrote down", ExitReason.KILL_SWITCH, False),
    Leaving("the kill switch", ExitReason.KILL_SWITCH, True, wanted_by_run=True),
]


@pytest.mark.parametrize("case", REASONS, ids=lambda case: case.what)
async def test_an_exit_leaves_for_a_reason_the_rows_confirm(database: Database, rows: Rows, case: Leaving) -> None:
    run = await rows.run(await rows.account(), **HELD, exit_wanted_at=NOW if case.wanted_by_run else None)
    order: Order = await rows.order(run, Leg.EXIT, wanted_at=NOW if case.wanted_by_order else None)
    now = run.sell_at if case.due else run.sell_at - timedelta(microseconds=1)
    claimed = await claim_leaving(database, order, reason=case.reason, trigger=case.trigger, now=now)
    assert bool(claimed) is case.may_leave
