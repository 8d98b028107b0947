"""The queries that say what to watch and whose feed to use."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from storage.database import Database
from storage.models import Order, Setting
from storage.repositories.stops import PAGE_SIZE, OpenRun, feed_accounts, open_runs_page, waiting_instruments
from tests.listener.seeding import (
    Seeded,
    add_account,
    add_holding_run,
    add_user,
    update_account,
    update_order,
    update_run,
)
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.orders import Leg, OrderState, Side
from trading.runs import RunState
from trading.sessions import trading_date


@pytest.fixture
async def user(database: Database) -> str:
    return await add_user(database)


@pytest.fixture
async def held(database: Database, user: str) -> Seeded:
    return await add_holding_run(database, user, await add_account(database, user))


async def read(database: Database, *, after: str = "") -> list[OpenRun]:
    now = datetime.now(UTC)
    async with database.transaction() as session:
        return await open_runs_page(session, after=after, today=trading_date(now), soon=now + timedelta(minutes=15))


async def test_a_holding_run_is_read_with_its_armed_exit(database: Database, held: Seeded) -> None:
    (run,) = await read(database)
    assert (run.run_id, run.workflow_id, run.account_id) == (held.run_id, held.workflow_id, held.account_id)
    assert run.exit is not None
    assert (run.exit.is_watched, run.exit.stop_price, run.exit.stop_version) == (True, Decimal(3500), 1)


async def test_an_ended_run_is_not_read(database: Database, held: Seeded) -> None:
    await update_run(database, held.run_id, state=RunState.ENDED)
    assert await read(database) == []


async def test_tomorrow_s_run_is_read_only_when_it_buys_soon(database: Database, held: Seeded) -> None:
    now = datetime.now(UTC)
    async with database.transaction() as session:
        await session.delete(await session.get_one(Order, held.order_id))
    await update_run(database, held.run_id, trading_day=trading_date(now) + timedelta(days=1), buy_at=now + timedelta(hours=10))
    assert await read(database) == []
    await update_run(database, held.run_id, buy_at=now + timedelta(minutes=10))
    assert [run.run_id for run in await read(database)] == [held.run_id]


async def test_of_runs_that_buy_later_today_only_the_instruments_are_read_each_once(
    database: Database, held: Seeded, user: str
) -> None:
    now = datetime.now(UTC)
    waiting = [await add_holding_run(database, user, held.account_id, symbol="LATER") for _ in range(2)]
    for seeded in waiting:
        async with database.transaction() as session:
            await session.delete(await session.get_one(Order, seeded.order_id))
        await update_run(database, seeded.run_id, state=RunState.SCHEDULED, buy_at=now + timedelta(hours=3))
    assert [run.run_id for run in await read(database)] == [held.run_id]
    async with database.transaction() as session:
        found = await waiting_instruments(session, today=trading_date(now))
    assert found == [(BrokerName.ZERODHA, InstrumentId("NSE", "LATER"))]


async def test_an_exit_without_shares_is_not_armed_and_only_the_newest_attempt_counts(database: Database, held: Seeded) -> None:
    await update_order(database, held.order_id, quantity=0)
    (run,) = await read(database)
    assert run.exit is not None
    assert not run.exit.is_watched
    await update_order(database, held.order_id, state=OrderState.CANCELLED)
    async with database.transaction() as session:
        first = await session.get_one(Order, held.order_id)
        copied = ("run_id", "strategy_id", "user_id", "account_id", "trading_day", "exchange", "symbol", "product")
        second = Order(
            **{name: getattr(first, name) for name in copied},
            leg=Leg.EXIT,
            attempt=2,
            tag="second",
            state=OrderState.ARMED,
            side=Side.SELL,
            quantity=4,
            stop_price=Decimal(3490),
            stop_version=2,
        )
        session.add(second)
    (run,) = await read(database)
    assert run.exit is not None
    assert (run.exit.is_watched, run.exit.stop_price, run.exit.stop_version) == (True, Decimal(3490), 2)


async def test_a_changed_stop_counts_from_its_change(database: Database, held: Seeded) -> None:
    changed_at = datetime(2026, 1, 1, tzinfo=UTC)
    await update_order(database, held.order_id, stop_version=2, updated_at=changed_at)
    (run,) = await read(database)
    assert run.exit is not None
    assert run.exit.armed_at == changed_at


async def test_pages_follow_each_other_without_gap_or_overlap(database: Database, held: Seeded, user: str) -> None:
    for number in range(PAGE_SIZE + 3):
        await add_holding_run(database, user, held.account_id, symbol=f"SYM{number}")
    first = await read(database)
    second = await read(database, after=first[-1].run_id)
    assert len(first) == PAGE_SIZE
    assert len({run.run_id for run in [*first, *second]}) == PAGE_SIZE + 4


async def accounts(database: Database, *, among: str | None = None, at_most: int | None = None) -> list[str]:
    async with database.transaction() as session:
        found = await feed_accounts(session, broker=BrokerName.ZERODHA, now=datetime.now(UTC), among=among, at_most=at_most)
    return [account.account_id for account in found]


async def test_only_accounts_with_a_living_token_carry_a_feed_the_newest_first(database: Database, user: str) -> None:
    older = await add_account(database, user, broker_user_id="A")
    newer = await add_account(database, user, broker_user_id="B")
    await add_account(database, user, broker_user_id="C", expires_in=None)
    await add_account(database, user, broker_user_id="D", expires_in=timedelta(seconds=-1))
    removed = await add_account(database, user, broker_user_id="E")
    await update_account(database, removed, deleted_at=datetime.now(UTC))
    assert await accounts(database) == [newer, older]


async def test_an_admin_s_choice_comes_first(database: Database, user: str) -> None:
    chosen = await add_account(database, user, broker_user_id="A")
    newer = await add_account(database, user, broker_user_id="B")
    async with database.transaction() as session:
        session.add(Setting(name="feed_account", value={"zerodha": chosen}))
    assert await accounts(database) == [chosen, newer]


async def test_the_one_in_use_and_the_chosen_one_can_be_read_alone(database: Database, user: str) -> None:
    chosen, used, other = [await add_account(database, user, broker_user_id=each) for each in "ABC"]
    assert await accounts(database, among=used) == [used]
    async with database.transaction() as session:
        session.add(Setting(name="feed_account", value={"zerodha": chosen}))
    assert await accounts(database, among=used) == [chosen, used]
    assert await accounts(database, at_most=2) == [chosen, other]
    await update_account(database, used, token_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await accounts(database, among=used) == [chosen]
