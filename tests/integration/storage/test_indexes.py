"""What the database itself refuses, whatever the code above it forgets."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage.database import Database
from storage.models import Alert, FillRow, KillScope, KillSwitch, Order, Severity, User
from tests.integration.storage.rows import NOW, Rows, unsaved_order, unsaved_run
from trading.orders import DEAD_STATES, LIVE_STATES, Leg, OrderState
from trading.runs import OPEN_RUN_STATES, RunState


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


@pytest.mark.parametrize("first", OPEN_RUN_STATES)
@pytest.mark.parametrize("second", [RunState.SCHEDULED, RunState.LEAVING])
async def test_a_strategy_has_at_most_one_open_run(rows: Rows, first: RunState, second: RunState) -> None:
    account = await rows.account()
    strategy = await rows.strategy(account)
    await rows.store(unsaved_run(account, strategy, state=first))
    with pytest.raises(IntegrityError, match="uq_runs_one_open"):
        await rows.store(unsaved_run(account, strategy, state=second))


async def test_a_strategy_may_run_again_once_its_run_has_ended(rows: Rows) -> None:
    account = await rows.account()
    strategy = await rows.strategy(account)
    for _ in range(2):
        await rows.store(unsaved_run(account, strategy, state=RunState.ENDED))
    await rows.store(unsaved_run(account, strategy, state=RunState.SCHEDULED))


async def test_an_ended_run_cannot_be_opened_beside_an_open_one(rows: Rows) -> None:
    account = await rows.account()
    strategy = await rows.strategy(account)
    ended = await rows.run(account, strategy, state=RunState.ENDED)
    await rows.run(account, strategy)
    with pytest.raises(IntegrityError, match="uq_runs_one_open"):
        await rows.change(ended, state=RunState.HOLDING)


async def test_another_strategy_of_the_same_account_runs_beside_it(rows: Rows) -> None:
    account = await rows.account()
    await rows.run(account)
    await rows.run(account)


@pytest.mark.parametrize("first", sorted(LIVE_STATES))
async def test_a_leg_has_at_most_one_live_attempt(rows: Rows, first: OrderState) -> None:
    run = await rows.run(await rows.account(), bought=10)
    await rows.order(run, Leg.EXIT, state=first)
    for second in LIVE_STATES:
        with pytest.raises(IntegrityError, match="uq_orders_one_live"):
            await rows.order(run, Leg.EXIT, attempt=2, state=second)


@pytest.mark.parametrize("dead", sorted(DEAD_STATES))
async def test_a_dead_attempt_makes_room_for_the_next_and_cannot_come_back(rows: Rows, dead: OrderState) -> None:
    run = await rows.run(await rows.account(), bought=10)
    first = await rows.order(run, Leg.EXIT, state=dead)
    await rows.order(run, Leg.EXIT, attempt=2)
    with pytest.raises(IntegrityError, match="uq_orders_one_live"):
        await rows.change(first, state=OrderState.OPEN)


async def test_entry_and_exit_live_side_by_side(rows: Rows) -> None:
    run = await rows.run(await rows.account(), bought=4)
    await rows.order(run, Leg.ENTRY, state=OrderState.OPEN)
    await rows.order(run, Leg.EXIT)


async def test_an_attempt_has_one_row(rows: Rows) -> None:
    run = await rows.run(await rows.account(), bought=10)
    await rows.order(run, Leg.EXIT, state=OrderState.REJECTED)
    with pytest.raises(IntegrityError, match="uq_orders_attempt"):
        await rows.order(run, Leg.EXIT, state=OrderState.REJECTED, tag="another0000000000000")


async def test_a_tag_is_unique_in_its_account_and_free_in_another(rows: Rows) -> None:
    account = await rows.account()
    taken = await rows.order(await rows.run(account), Leg.ENTRY)
    with pytest.raises(IntegrityError, match="uq_orders_tag"):
        await rows.order(await rows.run(account), Leg.ENTRY, tag=taken.tag, state=OrderState.REJECTED)
    await rows.order(await rows.run(await rows.account()), Leg.ENTRY, tag=taken.tag)


async def test_a_refused_row_takes_the_whole_transaction_with_it(rows: Rows) -> None:
    run = await rows.run(await rows.account(), bought=10)
    await rows.order(run, Leg.EXIT)
    entry, second_exit = unsaved_order(run, Leg.ENTRY), unsaved_order(run, Leg.EXIT, attempt=2)
    with pytest.raises(IntegrityError):
        await rows.store(entry, second_exit)
    assert await rows.orders([entry, second_exit]) == []


def a_fill(order: Order, trade_id: str) -> FillRow:
    return FillRow(
        order_id=order.id,
        run_id=order.run_id,
        user_id=order.user_id,
        account_id=order.account_id,
        broker_order_id="1",
        trade_id=trade_id,
        quantity=5,
        price=3500,
        filled_at=NOW,
    )


async def test_a_trade_is_stored_once(rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    await rows.store(a_fill(order, "t1"))
    await rows.store(a_fill(order, "t2"))
    with pytest.raises(IntegrityError, match="uq_fills_trade"):
        await rows.store(a_fill(order, "t1"))


async def test_an_alarm_is_up_once_and_may_be_raised_again_after_it_was_cleared(rows: Rows) -> None:
    def alarm() -> Alert:
        return Alert(key="in-doubt:ord_1", kind="order_in_doubt", severity=Severity.CRITICAL, message="-")

    first = alarm()
    await rows.store(first)
    with pytest.raises(IntegrityError, match="uq_alerts_open_key"):
        await rows.store(alarm())
    await rows.change(first, cleared_at=NOW)
    await rows.store(alarm())


async def test_a_kill_switch_is_engaged_once_per_scope(rows: Rows) -> None:
    first = KillSwitch(scope=KillScope.USER, scope_id="usr_1")
    await rows.store(first, KillSwitch(scope=KillScope.USER, scope_id="usr_2"), KillSwitch(scope=KillScope.PLATFORM, scope_id=""))
    with pytest.raises(IntegrityError, match="uq_kill_switches_engaged"):
        await rows.store(KillSwitch(scope=KillScope.USER, scope_id="usr_1"))
    await rows.change(first, released_at=NOW)
    await rows.store(KillSwitch(scope=KillScope.USER, scope_id="usr_1"))


async def test_an_e_mail_address_has_one_living_user_however_it_is_written(rows: Rows) -> None:
    first = User(email="alice@example.org", password_hash="-")
    await rows.store(first)
    with pytest.raises(IntegrityError, match="uq_users_email"):
        await rows.store(User(email="Alice@Example.org", password_hash="-"))
    await rows.change(first, deleted_at=NOW)
    await rows.store(User(email="Alice@Example.org", password_hash="-"))


async def test_orders_of_a_day_are_found_without_reading_all_others(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "EXPLAIN SELECT account_id, count(*) FROM orders WHERE trading_day >= '2026-11-20' GROUP BY account_id"
        found = "\n".join((await session.scalars(text(plan))).all())
    assert "ix_orders_trading_day" in found
