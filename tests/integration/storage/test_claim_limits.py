"""Risk limits inside the claim: two workers, one account, the same instant; together they never take more than there is."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from execution.claim import EntriesClaimed, claim_entries, claim_judged
from execution.limits import lock_accounts
from storage.database import Database
from storage.models import BrokerAccount, Order, RiskLimit
from tests.integration.storage.claims import MONOTONIC, claim, wanted_entry
from tests.integration.storage.rows import DAY, NOW, Rows
from tests.waiting import DEADLINE_SECONDS
from trading.orders import Leg, OrderState
from trading.risk import NO_LIMITS, Limits, RiskCode
from trading.runs import RunState

# What one entry of ten shares may cost: ten times the limit price of `wanted_entry`.
VALUE = Decimal(36_180)


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def limited(rows: Rows, account: BrokerAccount, **limits: Any) -> RiskLimit:
    row = RiskLimit(account_id=account.id, user_id=account.user_id, **limits)
    await rows.store(row)
    return row


async def entries(rows: Rows, account: BrokerAccount, count: int) -> list[Order]:
    return [await rows.order(await rows.run(account), Leg.ENTRY) for _ in range(count)]


async def claim_all(database: Database, orders: list[Order], *, owner: str = "w", defaults: Limits = NO_LIMITS) -> EntriesClaimed:
    wanted = [wanted_entry(order) for order in orders]
    return await claim_entries(database, wanted, owner=owner, now=NOW, monotonic=MONOTONIC, defaults=defaults)


LIMITS: list[tuple[str, dict[str, Any], RiskCode]] = [
    ("open value", {"max_open_value": 2 * VALUE}, RiskCode.OPEN_VALUE),
    ("orders per day", {"max_orders_per_day": 2}, RiskCode.ORDERS_PER_DAY),
]


@pytest.mark.parametrize(("what", "limits", "code"), LIMITS, ids=[case[0] for case in LIMITS])
async def test_one_batch_takes_no_more_than_there_is(
    database: Database, rows: Rows, what: str, limits: dict[str, Any], code: RiskCode
) -> None:
    account = await rows.account()
    await limited(rows, account, **limits)
    orders = await entries(rows, account, 4)
    outcome = await claim_all(database, orders)
    assert {order.order_id for order in outcome.claimed} == {orders[0].id, orders[1].id}
    assert {order_id: refusal.code for order_id, refusal in outcome.refused.items()} == {
        orders[2].id: code,
        orders[3].id: code,
    }
    assert [row.state for row in await rows.orders(orders)] == [OrderState.SENDING] * 2 + [OrderState.ARMED] * 2


@pytest.mark.parametrize(("what", "limits", "code"), LIMITS, ids=[case[0] for case in LIMITS])
async def test_many_workers_together_take_no_more_than_there_is(
    database: Database, rows: Rows, what: str, limits: dict[str, Any], code: RiskCode
) -> None:
    account = await rows.account()
    await limited(rows, account, **limits)
    orders = await entries(rows, account, 8)
    outcomes = await asyncio.gather(
        *(claim_all(database, orders[number : number + 1], owner=f"worker-{number}") for number in range(8))
    )
    assert sum(len(outcome.claimed) for outcome in outcomes) == 2
    assert sum(len(outcome.refused) for outcome in outcomes) == 6


async def test_a_second_worker_waits_for_what_the_first_is_about_to_take(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await limited(rows, account, max_open_value=VALUE)
    first, second = await entries(rows, account, 2)
    async with database.transaction() as session:
        wanted = [wanted_entry(first)]
        taken = await claim_judged(session, wanted, owner="one", now=NOW, monotonic=MONOTONIC)
        assert len(taken.claimed) == 1
        other = asyncio.create_task(claim_all(database, [second], owner="two"))
        done, _ = await asyncio.wait([other], timeout=0.3)
        assert not done, "it judged the limit without knowing of the first"
    outcome = await other
    assert (outcome.claimed, list(outcome.refused)) == ([], [second.id])


async def test_accounts_are_locked_in_one_order_so_that_no_two_claims_wait_in_a_circle(database: Database, rows: Rows) -> None:
    accounts = [await rows.account() for _ in range(7)]
    async with database.transaction() as session:
        keys = {account.id: await session.scalar(select(func.hashtext(account.id))) for account in accounts}
        held = sorted(keys, key=lambda account_id: keys[account_id])[3]
        await lock_accounts(session, [held])
        mine = await session.scalar(select(func.pg_backend_pid()))
        waiting = asyncio.create_task(lock_all(database, sorted(keys, reverse=True)))
        await until_it_waits(session)
        granted = set(await session.scalars(_GRANTED, {"mine": mine}))
    await waiting
    assert granted == {key for key in keys.values() if key < keys[held]}


_WAITING = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_GRANTED = text(
    "SELECT (objid::bigint - CASE WHEN objid::bigint >= 2147483648 THEN 4294967296 ELSE 0 END)::int FROM pg_locks"
    " WHERE locktype = 'advisory' AND granted AND pid <> :mine AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def lock_all(database: Database, account_ids: list[str]) -> None:
    async with database.transaction() as session:
        await lock_accounts(session, account_ids)


async def until_it_waits(session: AsyncSession) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await session.scalar(_WAITING):
            await asyncio.sleep(0.01)


async def test_an_account_without_limits_waits_for_nobody(database: Database, rows: Rows) -> None:
    account, other = await rows.account(), await rows.account()
    await limited(rows, account, max_orders_per_day=1)
    (mine,), theirs = await entries(rows, account, 1), await entries(rows, other, 2)
    async with database.transaction() as session:
        await claim_judged(session, [wanted_entry(mine)], owner="one", now=NOW, monotonic=MONOTONIC)
        assert len((await claim_all(database, theirs)).claimed) == 2


async def test_what_is_held_and_what_may_still_fill_count_as_open(database: Database, rows: Rows) -> None:
    account = await rows.account()
    half_sold = await rows.run(account, bought=10, buy_value=Decimal(30_000), sold=5)
    await rows.order(half_sold, Leg.ENTRY, state=OrderState.FILLED, filled_quantity=10, price=Decimal(3000))
    working = await rows.run(account, bought=4, buy_value=Decimal(12_000))
    await rows.order(working, Leg.ENTRY, state=OrderState.OPEN, filled_quantity=4, price=Decimal(3100))
    await rows.run(account, bought=10, buy_value=Decimal(99_000), state=RunState.ENDED)
    (order,) = await entries(rows, account, 1)
    open_value = Decimal(15_000) + Decimal(12_000) + 6 * Decimal(3100)
    limits = await limited(rows, account, max_open_value=open_value + VALUE - Decimal("0.01"))
    assert list((await claim_all(database, [order])).refused) == [order.id]
    await rows.change(limits, max_open_value=open_value + VALUE)
    assert len((await claim_all(database, [order])).claimed) == 1


async def test_entries_in_doubt_count_and_those_that_never_left_do_not(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await limited(rows, account, max_orders_per_day=3)
    for state in (OrderState.UNKNOWN, OrderState.REJECTED, OrderState.SUPERSEDED):
        await rows.order(await rows.run(account), Leg.ENTRY, state=state, price=Decimal(1))
    orders = await entries(rows, account, 2)
    assert len((await claim_all(database, orders)).claimed) == 1


async def test_a_loss_that_was_realised_today_keeps_entries_and_never_an_exit(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await limited(rows, account, max_daily_loss=Decimal(100), max_orders_per_day=1, max_order_value=Decimal(1))
    await rows.run(account, realised_pnl=Decimal(-100), state=RunState.ENDED)
    (order,) = await entries(rows, account, 1)
    assert (await claim_all(database, [order])).refused[order.id].code == RiskCode.DAILY_LOSS
    leaving = await rows.order(await rows.run(account, bought=10), Leg.EXIT)
    assert len(await claim(database, leaving)) == 1


async def test_a_trip_that_a_person_has_reset_leaves_another_limits_worth(database: Database, rows: Rows) -> None:
    account = await rows.account()
    limits = await limited(rows, account, max_daily_loss=Decimal(100), loss_tripped_on=DAY, loss_at_trip=Decimal(120))
    lost = await rows.run(account, realised_pnl=Decimal("-219.99"), state=RunState.ENDED)
    first, second, third = await entries(rows, account, 3)
    assert len((await claim_all(database, [first])).claimed) == 1
    await rows.change(lost, realised_pnl=Decimal(-220))
    assert list((await claim_all(database, [second])).refused) == [second.id]
    await rows.change(limits, loss_tripped_on=DAY.replace(day=19))
    await rows.change(lost, realised_pnl=Decimal(-100))
    assert list((await claim_all(database, [third])).refused) == [third.id], "yesterday's trip allows nothing today"


async def test_an_account_without_limits_of_its_own_has_the_platforms(database: Database, rows: Rows) -> None:
    account, with_own = await rows.account(), await rows.account()
    await limited(rows, with_own, max_orders_per_day=2)
    defaults = Limits(max_orders_per_day=1)
    orders = [*await entries(rows, account, 2), *await entries(rows, with_own, 2)]
    outcome = await claim_all(database, orders, defaults=defaults)
    assert [order.account_id for order in outcome.claimed].count(account.id) == 1
    assert [order.account_id for order in outcome.claimed].count(with_own.id) == 2


async def test_an_entry_that_cannot_leave_for_another_reason_takes_nothing_from_the_next(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await limited(rows, account, max_orders_per_day=1)
    stopped, waiting = await entries(rows, account, 2)
    await rows.change(stopped, stop_price=Decimal(3600))
    outcome = await claim_all(database, [stopped, waiting])
    assert [order.order_id for order in outcome.claimed] == [waiting.id]
    assert outcome.refused == {}


async def test_a_row_held_by_somebody_else_takes_nothing_from_the_next(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await limited(rows, account, max_orders_per_day=1)
    held, free = await entries(rows, account, 2)
    async with database.transaction() as session:
        await session.get(Order, held.id, with_for_update=True)
        outcome = await claim_all(database, [held, free])
    assert [order.order_id for order in outcome.claimed] == [free.id]
    assert outcome.refused == {}
