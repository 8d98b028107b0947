"""Rows compared with the broker's book by whoever does it, beside the desk: what is ours is adopted, the rest is told."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sqlalchemy import update
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.messages import AccountsReconciled, ReconcileAccounts
from activities.reconciliation import BrokerReconciliationActivities
from execution.alarms import Alarm, raise_alarm
from execution.reconcile import Reconciled, reconcile_account
from runtime.calendar import AlwaysOpen
from storage.models import Alert, BrokerAccount
from tests.integration.trading.books import alarms, forget, holding
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import Leg, OrderRequest, OrderState, Placed, Side
from trading.ports.broker import BrokerError
from trading.reconciliation import (
    BaselineRead,
    ForeignOrder,
    Missed,
    OrderMissing,
    OrderUnknown,
    PositionDiffers,
    SoldElsewhere,
)
from trading.runs import EndReason, RunState
from trading.sessions import TradingCalendar, trading_date
from trading.tags import make_tag

TCS = InstrumentId("NSE", "TCS")
KEY = LedgerKey(TCS, Product.MIS)


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def without_desk(world: World) -> None:
    """From here on nobody follows the account: only a comparison can notice anything."""
    await world.floor.close()


async def reconcile(world: World, account: BrokerAccount) -> Reconciled:
    return await reconcile_account(account, world.room.tools)


async def settled(world: World, account: BrokerAccount) -> None:
    """Compared once, so that what was there before the day's trades is known."""
    assert {type(finding) for finding in (await reconcile(world, account)).findings} <= {BaselineRead}


def shift_position(world: World, quantity: int) -> None:
    """The broker's position moves without a trade, as when it is converted to another product."""
    for position in world.sim._account("alice").positions.values():
        position.overnight_quantity += quantity


async def place_with_our_tag(world: World, account: BrokerAccount) -> str:
    """An order as this platform would send it, of which no row is left."""
    broker = await world.accounts.open(account.id)
    tag = make_tag("run_lost", leg=Leg.ENTRY, attempt=1, trading_day=trading_date(world.clock.now()))
    request = OrderRequest(tag, TCS, Product.MIS, Side.BUY, 3, Decimal("3620.00"))
    placed = await broker.place(request, may_send=lambda: True)
    assert isinstance(placed, Placed)
    return placed.broker_order_id


# --- orders of ours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.ABSENT, OrderState.ARMED])
async def test_an_order_our_row_missed_is_adopted_and_its_shares_are_covered(world: World, state: OrderState) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await settled(world, account)
    await without_desk(world)
    await forget(world, run, state)
    found = await reconcile(world, account)
    assert [type(finding) for finding in found.findings] == [Missed]
    assert found.changed == (run.id,)
    row, (entry, leaving) = await world.run(run.id), await world.orders(run.id)
    assert (row.bought, row.state) == (10, RunState.HOLDING)
    assert (entry.state, entry.filled_quantity) == (OrderState.FILLED, 10)
    assert (leaving.state, leaving.quantity, leaving.stop_price) == (OrderState.ARMED, 10, Decimal(3500))
    assert sum(fill.quantity for fill in await world.fills(run.id)) == 10
    assert any(line.startswith("order_found:") for line in await world.timeline(run.id)) or state is OrderState.ABSENT
    again = await reconcile(world, account)
    assert (again.findings, again.changed) == ((), ())
    assert world.sides() == ["BUY"]


async def test_two_that_reconcile_at_once_correct_once(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await settled(world, account)
    await without_desk(world)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=4)
    await asyncio.gather(*(reconcile(world, account) for _ in range(3)))
    assert (await world.run(run.id)).taken_elsewhere == 4
    assert [line for line in await world.timeline(run.id) if line.startswith("taken_elsewhere")] == [
        "taken_elsewhere: 4 TCS of this run were sold by somebody else; they are not sold again"
    ]
    await forget(world, run, OrderState.UNKNOWN)
    await asyncio.gather(*(reconcile(world, account) for _ in range(3)))
    row, orders = await world.run(run.id), await world.orders(run.id)
    assert row.bought == 10
    assert [(order.leg, order.state) for order in orders] == [(Leg.ENTRY, OrderState.FILLED), (Leg.EXIT, OrderState.ARMED)]


async def test_an_acknowledged_order_the_broker_no_longer_lists_is_told_and_nothing_is_concluded(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await settled(world, account)
    await without_desk(world)
    stale = world.sim.add_fault("stale_book", seconds=3600, count=None)
    kinds = {type(finding) for finding in (await reconcile(world, account)).findings}
    assert kinds == {OrderMissing}
    assert set(await alarms(world, account)) == {"reconcile_difference"}
    assert (await world.run(run.id)).bought == 10
    world.sim.faults.remove(stale.fault_id)
    assert (await reconcile(world, account)).findings == ()
    assert await alarms(world, account) == {}


async def test_a_read_that_fails_proves_nothing(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await settled(world, account)
    await without_desk(world)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=4)
    for endpoint in ("orders", "trades", "positions"):
        fault = world.sim.add_fault("status_503", endpoint=endpoint, count=None)
        with pytest.raises(BrokerError):
            await reconcile(world, account)
        world.sim.faults.remove(fault.fault_id)
    assert (await world.run(run.id)).taken_elsewhere == 0
    assert await alarms(world, account) == {}


# --- an order with our tag that nobody knows ----------------------------------------------------------------------------


async def test_an_order_with_our_tag_and_no_row_freezes_the_accounts_entries_until_somebody_has_looked(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    waiting = await world.start_run(account, buy_in=4.0, stop_loss="3300")
    await world.until(waiting.id, lambda _, orders: [o.state for o in orders] == ["armed"], "the entry is armed")
    lost = await place_with_our_tag(world, account)
    findings = (await reconcile(world, account)).findings
    assert [finding.broker_order_id for finding in findings if isinstance(finding, OrderUnknown)] == [lost]
    assert set(await alarms(world, account)) == {"order_unknown"}

    denied = await world.start_run(account, buy_in=1.0, stop_loss="3300")
    assert (await world.result(denied)).end_reason is EndReason.ENTRY_FAILED
    await world.until(waiting.id, lambda _, orders: world.clock.now() > waiting.buy_at, "the buy time has passed")
    assert world.sides() == ["BUY", "BUY"], "ours and the lost one"
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).end_reason is EndReason.STOP_LOSS, "exits are never held back"

    await world.price("TCS", "3600")
    async with world.database.transaction() as session:
        now = world.clock.now()
        await session.execute(
            update(Alert).where(Alert.kind == "order_unknown").values(acknowledged_at=now, cleared_at=now)  # as the API does
        )
    await world.until_holding(waiting)
    await reconcile(world, account)
    assert "order_unknown" not in await alarms(world, account), "looked at once is enough"


async def test_an_order_sent_through_another_connection_of_the_same_account_is_known(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    async with world.database.transaction() as session:
        (await session.get_one(BrokerAccount, account.id)).deleted_at = world.clock.now()
        again = BrokerAccount(
            user_id=account.user_id,
            broker=account.broker,
            environment=account.environment,
            broker_user_id=account.broker_user_id,
            session_version=1,
        )
        known = world.sim.account("alice")
        world.accounts.seal(again, type(world.accounts.credentials(account))(known.api_key, known.api_secret, known.access_token))
        session.add(again)
    assert (await reconcile(world, again)).findings == ()
    assert (await world.run(run.id)).bought == 10


# --- other people's trades ----------------------------------------------------------------------------------------------


async def test_a_sale_by_hand_is_taken_off_the_newest_run_and_told(world: World) -> None:
    account = await world.add_account()
    older, newer = await holding(world, account), await holding(world, account)
    await settled(world, account)
    await without_desk(world)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=6)
    found = await reconcile(world, account)
    assert SoldElsewhere(KEY, 6) in found.findings
    assert found.changed == (newer.id,)
    taken = [(await world.run(run.id)).taken_elsewhere for run in (older, newer)]
    assert taken == [0, 6]
    assert (await world.orders(newer.id))[-1].quantity == 4
    again = await reconcile(world, account)
    assert again.changed == ()
    assert set(await alarms(world, account)) == {"sold_elsewhere"}
    for run in (older, newer):
        lines = [line for line in await world.timeline(run.id) if line.startswith("foreign_order:")]
        assert len(lines) == 1, "told once, in the timeline of each run in that symbol"


async def test_a_purchase_by_hand_is_told_and_changes_nothing(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await settled(world, account)
    world.sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=5)
    found = await reconcile(world, account)
    assert [type(finding) for finding in found.findings] == [ForeignOrder]
    assert await alarms(world, account) == {}
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 10
    assert world.sim.net_position("alice", "TCS") == 5


async def test_delivered_shares_beside_intraday_ones_are_kept_apart(world: World) -> None:
    account = await world.add_account()
    intraday = await holding(world, account)
    delivered = await holding(world, account, product=Product.CNC, quantity=7)
    await settled(world, account)
    await without_desk(world)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=7, product="CNC")
    found = await reconcile(world, account)
    assert [type(finding) for finding in found.findings] == [ForeignOrder]
    assert [(await world.run(run.id)).taken_elsewhere for run in (intraday, delivered)] == [0, 0]


# --- positions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quantity", "words"), [(-4, "4 short of"), (4, "4 above")])
async def test_a_position_trades_do_not_explain_is_an_alarm_and_ends_nothing(world: World, quantity: int, words: str) -> None:
    account = await world.add_account()
    older, newer = await holding(world, account), await holding(world, account)
    await settled(world, account)
    shift_position(world, quantity)
    for _ in range(2):
        found = await reconcile(world, account)
        assert [type(finding) for finding in found.findings] == [PositionDiffers]
    assert words in (await alarms(world, account))["reconcile_difference"]
    told = [[line for line in await world.timeline(run.id) if line.startswith("difference:")] for run in (older, newer)]
    assert [len(lines) for lines in told] == ([0, 1] if quantity < 0 else [0, 0]), "the newest run, once"
    assert [(await world.run(run.id)).taken_elsewhere for run in (older, newer)] == [0, 0]
    shift_position(world, -quantity)
    await reconcile(world, account)
    assert await alarms(world, account) == {}


async def test_empty_positions_prove_nothing_and_clear_nothing(world: World) -> None:
    account = await world.add_account()
    await holding(world, account)
    empty = world.sim.add_fault("empty_positions", count=None)
    assert (await reconcile(world, account)).findings == (), "not even what was there before"
    world.sim.faults.remove(empty.fault_id)
    await settled(world, account)
    shift_position(world, -4)
    await reconcile(world, account)
    world.sim.add_fault("empty_positions", count=None)
    assert (await reconcile(world, account)).findings == ()
    assert set(await alarms(world, account)) == {"reconcile_difference"}


async def test_a_position_that_lags_for_a_moment_is_no_difference(world: World) -> None:
    account = await world.add_account()
    await holding(world, account)
    await settled(world, account)
    slow = world.sim.add_fault("slow", endpoint="orders", delay_ms=250, account="sim-alice", count=None)
    await without_desk(world)
    began = slow.hits
    shift_position(world, -10)
    comparing = asyncio.create_task(reconcile(world, account))
    await eventually(lambda: slow.hits == began + 2, "it looks again")
    shift_position(world, 10)
    assert (await comparing).findings == ()
    assert await alarms(world, account) == {}


# --- which accounts, and when -------------------------------------------------------------------------------------------


async def one_round(world: World, calendar: TradingCalendar | None = None) -> AccountsReconciled:
    body = BrokerReconciliationActivities(tools=world.room.tools, calendar=calendar or AlwaysOpen())
    return await ActivityEnvironment().run(body.reconcile, ReconcileAccounts("", world.clock.now()))


async def test_only_accounts_with_something_open_are_read_and_one_that_cannot_be_read_hides_no_other(world: World) -> None:
    quiet, busy, dead = [await world.add_account(name) for name in ("alice", "bob", "carol")]
    for account in (busy, dead):
        await holding(world, account)
    world.sim.expire_token("carol")
    done = await one_round(world)
    assert (done.compared, done.unread, done.last, done.left) == (1, 1, "", 0)
    async with world.database.transaction() as session:
        await raise_alarm(session, Alarm("position:x", "reconcile_difference", "-", account_id=quiet.id))
    done = await one_round(world)
    assert (done.compared, done.unread) == (2, 1), "an account whose alarm is up is compared until it agrees"


class Closed(AlwaysOpen):
    def day(self, day: object) -> None:  # type: ignore[override]
        return None


async def test_outside_market_hours_nobody_is_read(world: World) -> None:
    account = await world.add_account()
    await holding(world, account)
    done = await one_round(world, Closed())
    assert (done.compared, done.unread, done.left) == (0, 0, 0)
