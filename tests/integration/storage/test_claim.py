"""The claim: of all who want to send an attempt, one may."""

import asyncio
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import select

from execution.claim import SEND_WITHIN, ClaimedOrder, claim_entries, claim_exits, give_back
from storage.database import Database
from storage.models import Order
from tests.integration.storage.claims import AT_STOP, MONOTONIC, claim, claim_in, wanted_entry, wanted_exit
from tests.integration.storage.rows import NOW, Rows, unsaved_order, unsaved_run
from trading.orders import Leg, OrderState, Side
from trading.runs import ExitReason

HERD = 200


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def herd(rows: Rows, leg: Leg) -> list[Order]:
    """Two hundred armed orders of one account, each of a run of its own."""
    account = await rows.account()
    strategies = [await rows.strategy(account) for _ in range(HERD)]
    bought = 10 if leg is Leg.EXIT else 0
    runs = [unsaved_run(account, strategy, bought=bought) for strategy in strategies]
    await rows.store(*runs)
    orders = [unsaved_order(run, leg) for run in runs]
    await rows.store(*orders)
    return orders


@pytest.mark.parametrize("leg", list(Leg))
async def test_of_two_who_claim_the_same_two_hundred_each_row_goes_to_exactly_one(database: Database, leg: Leg) -> None:
    rows = Rows(database)
    orders = await herd(rows, leg)
    backwards = orders[::-1]
    first, second = await asyncio.gather(
        claim(database, *orders, owner="worker-1"), claim(database, *backwards, owner="worker-2")
    )
    won = Counter(order.order_id for order in (*first, *second))
    assert set(won.values()) == {1}
    owners = {order.order_id: "worker-1" for order in first} | {order.order_id: "worker-2" for order in second}
    after = await rows.orders(orders)
    assert {row.id: row.owner for row in after if row.state is OrderState.SENDING} == owners
    # Rows one of them held locked for a moment may have been passed over by the other, and none was lost to both.
    left = [row for row in after if row.state is OrderState.ARMED]
    assert len(left) + len(won) == HERD
    assert len(await claim(database, *orders, owner="worker-1")) == len(left)


async def test_many_claimers_in_small_bites_send_each_row_once(database: Database) -> None:
    orders = await herd(Rows(database), Leg.EXIT)

    async def bite(owner: str, start: int) -> list[ClaimedOrder]:
        mine: list[ClaimedOrder] = []
        turned = orders[start:] + orders[:start]
        for at in range(0, HERD, 20):
            mine += await claim(database, *turned[at : at + 40], owner=owner)
        return mine

    claimed = [order for won in await asyncio.gather(*(bite(f"worker-{n}", n * 33) for n in range(6))) for order in won]
    claimed += await claim(database, *orders, owner="last")
    assert Counter(order.order_id for order in claimed) == Counter(order.id for order in orders)


async def test_a_row_another_claim_holds_is_passed_over_and_not_waited_for(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    async with database.transaction() as session:
        assert len(await claim_in(session, [order])) == 1
        assert await claim(database, order, owner="worker-2") == []
    assert await claim(database, order, owner="worker-2") == []


async def test_a_claim_that_is_rolled_back_was_never_made(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)

    async def die_holding_it() -> None:
        async with database.transaction() as session:
            await claim_in(session, [order])
            raise OSError("the process died")

    with pytest.raises(OSError, match="died"):
        await die_holding_it()
    assert (await rows.fresh(order)).state is OrderState.ARMED
    assert len(await claim(database, order, owner="worker-2")) == 1


@pytest.mark.parametrize("leg", Leg)
async def test_a_row_somebody_is_changing_is_passed_over(database: Database, rows: Rows, leg: Leg) -> None:
    order = await rows.order(await rows.run(await rows.account(), bought=10), leg)
    async with database.transaction() as session:
        await session.scalar(select(Order).where(Order.id == order.id).with_for_update())
        assert await claim(database, order) == []
    assert len(await claim(database, order)) == 1


# --- what a claim returns, and what it writes -------------------------------------------------------------------------


async def test_an_entrys_request_is_built_from_its_row(database: Database, rows: Rows) -> None:
    account = await rows.account()
    order = await rows.order(await rows.run(account), Leg.ENTRY)
    await rows.change(order, quantity=7, revision=5)
    (claimed,) = await claim(database, order)
    request = claimed.request
    assert (request.tag, str(request.instrument), request.side) == (order.tag, "NSE:TCS", Side.BUY)
    assert (request.quantity, request.price) == (7, Decimal("3618.00"))
    assert (claimed.account_id, claimed.user_id, claimed.leg, claimed.attempt) == (account.id, account.user_id, Leg.ENTRY, 1)
    assert (claimed.revision, claimed.wanted_at, claimed.reason) == (6, order.fire_at, None)
    assert claimed.send_until == MONOTONIC + SEND_WITHIN.total_seconds()


async def test_an_exits_claim_keeps_why_it_left(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account(), bought=10), Leg.EXIT)
    (claimed,) = await claim(database, order)
    assert (claimed.request.side, claimed.request.quantity) == (Side.SELL, 10)
    assert (claimed.reason, claimed.trigger, claimed.wanted_at) == (ExitReason.STOP_LOSS, Decimal(3500), NOW)
    row = await rows.fresh(order)
    assert (row.reason, row.trigger_price, row.wanted_at, row.band_step) == (ExitReason.STOP_LOSS, Decimal(3500), NOW, 2)


async def test_the_row_says_who_sends_until_when_and_at_what_price(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    before = await rows.clock()
    await claim(database, order, owner="worker-7")
    row = await rows.fresh(order)
    assert (row.state, row.owner, row.fired_by) == (OrderState.SENDING, "worker-7", "desk")
    assert (row.price, row.reference_price) == (Decimal("3618.00"), Decimal("3600.00"))
    assert row.claimed_at is not None
    assert row.send_by is not None
    assert before < row.claimed_at
    assert before + SEND_WITHIN < row.send_by < await rows.clock() + SEND_WITHIN


async def test_an_entry_is_not_claimed_as_an_exit_nor_the_other_way_round(database: Database, rows: Rows) -> None:
    run = await rows.run(await rows.account(), bought=10)
    entry = await rows.order(run, Leg.ENTRY)
    leaving = await rows.order(run, Leg.EXIT, fire_at=NOW, deadline_at=entry.deadline_at, stop_price=AT_STOP)
    crossed, bought = wanted_exit(entry), wanted_entry(leaving)
    assert await claim_exits(database, [crossed], owner="w", now=NOW, monotonic=MONOTONIC) == []
    assert (await claim_entries(database, [bought], owner="w", now=NOW, monotonic=MONOTONIC)).claimed == []
    assert await claim(database, entry) != []
    assert await claim(database, leaving) != []


async def test_claiming_nothing_asks_nothing(database: Database) -> None:
    assert (await claim_entries(database, [], owner="w", now=NOW, monotonic=MONOTONIC)).claimed == []
    assert await claim_exits(database, [], owner="w", now=NOW, monotonic=MONOTONIC) == []


# --- giving back ------------------------------------------------------------------------------------------------------


async def returned(database: Database, claimed: ClaimedOrder, *, owner: str = "worker-1") -> bool:
    async with database.transaction() as session:
        return await give_back(session, claimed, owner=owner)


async def test_what_was_not_sent_goes_back_and_can_be_claimed_by_anyone(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    (claimed,) = await claim(database, order)
    assert await returned(database, claimed)
    row = await rows.fresh(order)
    assert (row.state, row.owner, row.send_by, row.claimed_at) == (OrderState.ARMED, None, None, None)
    (again,) = await claim(database, order, owner="worker-2")
    assert again.request == claimed.request
    assert again.revision > claimed.revision


async def test_only_its_owner_gives_a_claim_back(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    (claimed,) = await claim(database, order)
    assert not await returned(database, claimed, owner="worker-2")
    assert (await rows.fresh(order)).state is OrderState.SENDING


async def test_a_claim_is_given_back_once_and_an_older_one_never(database: Database, rows: Rows) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    (first,) = await claim(database, order)
    assert await returned(database, first)
    assert not await returned(database, first)
    (second,) = await claim(database, order)
    assert not await returned(database, first)
    assert not await returned(database, replace(second, revision=second.revision + 1))
    assert (await rows.fresh(order)).state is OrderState.SENDING


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.SENDING])
async def test_what_the_book_has_shown_is_not_given_back(database: Database, rows: Rows, state: OrderState) -> None:
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    (claimed,) = await claim(database, order)
    await rows.change(order, state=state)
    assert not await returned(database, claimed)
    assert (await rows.fresh(order)).state is state
