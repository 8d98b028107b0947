"""Leases: who runs which account's desk. For order and speed; the claim keeps orders single."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from execution import leases
from execution.leases import Lease, Renewed
from storage.database import Database
from storage.models import BrokerAccount, DeskLease
from tests.integration.storage.rows import Rows
from trading.orders import Leg, OrderState
from trading.runs import RunState

LONG = 600.0
HALF_A_MINUTE, AN_HOUR = timedelta(seconds=30), timedelta(hours=1)
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
SOON = PAST


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def account_with_work(rows: Rows) -> tuple[BrokerAccount, DeskLease]:
    """An account with an open run, and its lease, which nobody has."""
    account = await rows.account()
    await rows.run(account)
    return account, await rows.lease(account)


async def take(database: Database, owner: str, *, most: int = 500) -> list[Lease]:
    async with database.transaction() as session:
        return await leases.take_free(session, owner=owner, seconds=LONG, most=most)


async def renew(database: Database, owner: str) -> list[Lease]:
    async with database.transaction() as session:
        return (await leases.renew(session, owner=owner, seconds=LONG, held=())).found


async def release(database: Database, owner: str, *account_ids: str) -> None:
    async with database.transaction() as session:
        await leases.release(session, account_ids, owner=owner)


async def uncovered(database: Database) -> list[str]:
    async with database.transaction() as session:
        return await leases.uncovered(session, grace_seconds=0)


async def read(database: Database, lease: DeskLease) -> DeskLease:
    async with database.transaction() as session:
        return await session.get_one(DeskLease, lease.id)


async def test_a_free_lease_is_taken_once(database: Database, rows: Rows) -> None:
    account, _ = await account_with_work(rows)
    assert await take(database, "worker-1") == [Lease(account.id, epoch=1)]
    assert await take(database, "worker-2") == []
    assert await take(database, "worker-1") == []


async def test_two_workers_that_come_up_together_share_and_never_hold_the_same(database: Database, rows: Rows) -> None:
    accounts = {(await account_with_work(rows))[0].id for _ in range(30)}
    taken = await asyncio.gather(*(take(database, f"worker-{number % 2}", most=10) for number in range(6)))
    taken.append(await take(database, "worker-0"))
    held = [lease.account_id for batch in taken for lease in batch]
    assert len(held) == len(set(held))
    assert set(held) == accounts
    assert all(len(batch) <= 10 for batch in taken[:-1])


async def test_renewing_prolongs_all_of_ones_own_and_no_other(database: Database, rows: Rows) -> None:
    mine, my_lease = await account_with_work(rows)
    await take(database, "worker-1")
    await account_with_work(rows)
    await take(database, "worker-2")
    before = (await read(database, my_lease)).expires_at
    assert await renew(database, "worker-1") == [Lease(mine.id, epoch=1)]
    after = await read(database, my_lease)
    assert after.expires_at > before
    assert after.owner == "worker-1"


async def test_a_lease_that_has_run_out_is_not_revived(database: Database, rows: Rows) -> None:
    _, lease = await account_with_work(rows)
    await take(database, "worker-1")
    await rows.change(lease, expires_at=PAST)
    assert await renew(database, "worker-1") == []
    assert (await read(database, lease)).expires_at == PAST


async def test_a_lease_that_has_run_out_goes_to_the_next_with_a_new_epoch(database: Database, rows: Rows) -> None:
    account, lease = await account_with_work(rows)
    await take(database, "worker-1")
    await rows.change(lease, expires_at=PAST)
    assert await take(database, "worker-2") == [Lease(account.id, epoch=2)]
    assert await renew(database, "worker-1") == []
    assert await renew(database, "worker-2") == [Lease(account.id, epoch=2)]


async def test_a_lease_runs_for_the_seconds_it_was_taken_for_by_the_databases_clock(database: Database, rows: Rows) -> None:
    _, lease = await account_with_work(rows)
    for owner, work in (("worker-1", partial(leases.renew, held=())), (None, partial(leases.take_free, most=1))):
        await rows.change(lease, owner=owner, expires_at=await rows.clock() + AN_HOUR)
        before = await rows.clock()
        async with database.transaction() as session:
            await work(session, owner="worker-1", seconds=30.0)
        expires_at = (await read(database, lease)).expires_at
        assert before + HALF_A_MINUTE < expires_at < await rows.clock() + HALF_A_MINUTE


async def test_a_renewal_tells_only_what_its_owner_did_not_know(database: Database, rows: Rows) -> None:
    kept, _ = await account_with_work(rows)
    gone, lease = await account_with_work(rows)
    unknown, _ = await account_with_work(rows)
    await take(database, "worker-1")
    await rows.change(lease, owner="worker-2")
    async with database.transaction() as session:
        renewed = await leases.renew(session, owner="worker-1", seconds=LONG, held=[kept.id, gone.id])
    assert renewed == Renewed(found=[Lease(unknown.id, epoch=1)], lost=[gone.id])


async def test_a_lease_given_up_is_free_at_once(database: Database, rows: Rows) -> None:
    account, _ = await account_with_work(rows)
    await take(database, "worker-1")
    await release(database, "worker-1", account.id)
    assert await renew(database, "worker-1") == []
    assert await take(database, "worker-2") == [Lease(account.id, epoch=2)]


async def test_nobody_gives_up_what_another_holds(database: Database, rows: Rows) -> None:
    account, _ = await account_with_work(rows)
    await take(database, "worker-1")
    await release(database, "worker-2", account.id)
    assert await renew(database, "worker-1") == [Lease(account.id, epoch=1)]


async def test_only_named_accounts_are_given_up(database: Database, rows: Rows) -> None:
    kept, _ = await account_with_work(rows)
    given, _ = await account_with_work(rows)
    await take(database, "worker-1")
    await release(database, "worker-1", given.id)
    assert await renew(database, "worker-1") == [Lease(kept.id, epoch=1)]


# --- which accounts need a desk ---------------------------------------------------------------------------------------


async def needs_a_desk(database: Database) -> bool:
    """Taken by one who looks for work; and then, seen from the other side, not idle."""
    taken = await take(database, "worker-1")
    async with database.transaction() as session:
        idle = await leases.idle(session, owner="worker-1")
    assert idle == []
    return bool(taken)


async def test_an_account_with_nothing_to_do_needs_no_desk(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await rows.lease(account)
    run = await rows.run(account, state=RunState.ENDED)
    await rows.order(run, Leg.ENTRY, state=OrderState.FILLED)
    assert not await needs_a_desk(database)


async def test_a_run_that_waits_for_its_buy_time_needs_no_desk_until_shortly_before_it(database: Database, rows: Rows) -> None:
    account = await rows.account()
    now = await rows.clock()
    run = await rows.run(account, state=RunState.SCHEDULED, buy_at=now + timedelta(hours=3))
    await rows.lease(account)
    assert await take(database, "worker-1") == []
    assert await uncovered(database) == []
    await rows.change(run, buy_at=now + timedelta(minutes=14))
    assert await take(database, "worker-1") == [Lease(account.id, epoch=1)]


@pytest.mark.parametrize("wish", ["stop_requested_at", "exit_wanted_at"])
async def test_a_run_that_waits_and_shall_end_has_a_desk(database: Database, rows: Rows, wish: str) -> None:
    account = await rows.account()
    now = await rows.clock()
    await rows.run(account, state=RunState.SCHEDULED, buy_at=now + timedelta(hours=3), **{wish: now})
    await rows.lease(account)
    assert await take(database, "worker-1") == [Lease(account.id, epoch=1)]


async def test_a_desk_is_left_when_all_that_its_account_has_is_a_run_for_later(database: Database, rows: Rows) -> None:
    account = await rows.account()
    run = await rows.run(account)
    await rows.lease(account)
    assert await take(database, "worker-1") == [Lease(account.id, epoch=1)]
    now = await rows.clock()
    await rows.change(run, state=RunState.SCHEDULED, buy_at=now + timedelta(hours=3))
    async with database.transaction() as session:
        assert await leases.idle(session, owner="worker-1") == [account.id]


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.ENDED])
async def test_an_open_run_needs_a_desk(database: Database, rows: Rows, state: RunState) -> None:
    account = await rows.account()
    await rows.lease(account)
    await rows.run(account, state=state)
    assert await needs_a_desk(database)


@pytest.mark.parametrize("state", [OrderState.ARMED, OrderState.SENDING, OrderState.UNKNOWN, OrderState.OPEN])
async def test_a_live_order_needs_a_desk_even_if_its_run_has_ended(database: Database, rows: Rows, state: OrderState) -> None:
    account = await rows.account()
    await rows.lease(account)
    await rows.order(await rows.run(account, state=RunState.ENDED), Leg.ENTRY, state=state)
    assert await needs_a_desk(database)


@pytest.mark.parametrize(("hours", "needed"), [(24 * 365 * 50, True), (-1, False)], ids=["still watched", "no longer watched"])
async def test_the_tag_of_an_absent_attempt_needs_a_desk_while_it_is_watched(
    database: Database, rows: Rows, hours: int, needed: bool
) -> None:
    account = await rows.account()
    await rows.lease(account)
    run = await rows.run(account, state=RunState.ENDED)
    watched_until = datetime.now(UTC) + timedelta(hours=hours)
    await rows.order(run, Leg.ENTRY, state=OrderState.ABSENT, watched_until=watched_until)
    assert await needs_a_desk(database) is needed


async def test_a_desk_whose_work_is_done_is_idle_and_keeps_its_lease_until_it_gives_it_up(database: Database, rows: Rows) -> None:
    account = await rows.account()
    await rows.lease(account)
    run = await rows.run(account)
    await take(database, "worker-1")
    await rows.change(run, state=RunState.ENDED)
    async with database.transaction() as session:
        assert await leases.idle(session, owner="worker-1") == [account.id]
        assert await leases.idle(session, owner="worker-2") == []
    assert await renew(database, "worker-1") == [Lease(account.id, epoch=1)]


async def test_living_workers_are_those_that_announced_themselves_lately(database: Database) -> None:
    async def living() -> int:
        async with database.transaction() as session:
            return await leases.live_workers(session)

    assert await living() == 0
    async with database.transaction() as session:
        for owner, seconds in (("worker-0", 60.0), ("worker-1", 60.0), ("worker-1", 60.0), ("worker-2", -1.0)):
            await leases.announce(session, owner=owner, seconds=seconds)
    assert await living() == 2
    async with database.transaction() as session:
        await leases.resign(session, owner="worker-0")
    assert await living() == 1


async def test_what_a_worker_has_just_given_away_it_does_not_take_back(database: Database, rows: Rows) -> None:
    kept, _ = await account_with_work(rows)
    given, _ = await account_with_work(rows)
    async with database.transaction() as session:
        taken = await leases.take_free(session, owner="worker-1", seconds=60, most=10, but_not=[given.id])
    assert [lease.account_id for lease in taken] == [kept.id]


@pytest.mark.parametrize(
    ("state", "changes", "is_quiet"),
    [
        (OrderState.ARMED, {"fire_at": FAR}, True),
        (OrderState.ARMED, {"fire_at": None}, True),
        (OrderState.ARMED, {"fire_at": SOON}, False),
        (OrderState.ARMED, {"fire_at": FAR, "wanted_at": SOON}, False),
        (OrderState.SENDING, {}, False),
        (OrderState.UNKNOWN, {}, False),
        (OrderState.OPEN, {}, False),
        (OrderState.FILLED, {}, True),
    ],
)
async def test_an_account_is_moved_only_while_nothing_of_it_is_under_way_or_due(
    database: Database, rows: Rows, state: OrderState, changes: dict[str, object], is_quiet: bool
) -> None:
    account, _ = await account_with_work(rows)
    await take(database, "worker-1")
    run = await rows.run(account)
    order = await rows.order(run, Leg.ENTRY, state=state)
    await rows.change(order, **changes)
    async with database.transaction() as session:
        quiet = await leases.quiet(session, owner="worker-1", seconds=10, most=10)
        assert quiet == ([account.id] if is_quiet else [])
        assert await leases.quiet(session, owner="worker-2", seconds=10, most=10) == []
