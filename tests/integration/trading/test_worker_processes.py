"""Workers as whole processes: paused in the middle of a send and woken up, killed, asked to leave, without room for their log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.client import Client

from cache.channels import StopCrossed, publish_stops
from storage.models import BrokerAccount, Run
from tests.integration.trading.processes import WorkerProcess, lease_holders, worker_process
from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.runs import EndReason

HERD = 8


@pytest.fixture
async def world(
    database_url: str, redis_url: str, temporal_client: Client, temporal_address: str, task_queue: str
) -> AsyncIterator[World]:
    """Without desks and workers of its own: they are processes."""
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        temporal_address=temporal_address,
        broker_timeout_seconds=8.0,
        log_level="info",
        with_worker=False,
        with_desks=False,
    ) as made:
        yield made


async def until_held_by(world: World, account: BrokerAccount, worker: WorkerProcess) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await lease_holders(world)).get(account.id) != worker.name:
            await asyncio.sleep(0.05)


async def eventually_held(world: World, account: BrokerAccount) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while account.id not in await lease_holders(world):
            await asyncio.sleep(0.02)


async def words(world: World, run: Run) -> list[str]:
    return [line.split(":")[0] for line in await world.timeline(run.id)]


async def test_a_worker_paused_with_its_exit_on_the_wire_wakes_up_after_another_has_sold(world: World, tmp_path: Path) -> None:
    account = await world.add_account()
    with worker_process(world, "first", tmp_path) as first:
        run = await world.start_run(account)
        await world.until_holding(run)
        with worker_process(world, "second", tmp_path) as second:
            world.sim.add_fault("slow", endpoint="place", count=1, delay_ms=1500)
            await world.cross_stop(run, "3490", signal=False)
            await eventually(lambda: world.sides() == ["BUY", "SELL"], "the exit is at the exchange")
            first.pause()
            await until_held_by(world, account, second)
            # It may be paused amid a transaction: the server then ends that one after 15 s.
            await world.until(run.id, lambda row, _: row.sold == 10, "found by its tag", seconds=70)
            first.wake()
            result = await world.result(run)
            later = await world.start_run(account, stop_loss="3300")
            await world.until_holding(later)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL", "BUY"]
    assert world.sim.net_position("alice", "TCS") == 10
    assert "order_found" in await words(world, run)
    assert (await words(world, run)).count("stop_hit") == 1, "also when the one who sent it could not say so"


async def test_a_worker_paused_over_the_instant_of_its_entry_finds_it_bought_by_another(world: World, tmp_path: Path) -> None:
    account = await world.add_account()
    with worker_process(world, "first", tmp_path) as first, worker_process(world, "second", tmp_path) as second:
        world.lead = type(world.lead)(base_seconds=4.0, jitter_seconds=0.0, deadline_seconds=60.0)
        run = await world.start_run(account, buy_in=5.0)
        await world.until(run.id, lambda _, orders: any(order.state == "armed" for order in orders), "armed")
        await eventually_held(world, account)
        holder = first if (await lease_holders(world))[account.id] == first.name else second
        holder.pause()
        await world.until_holding(run)
        assert world.clock.now() > run.buy_at
        holder.wake()
        await world.cross_stop(run, "3490")
        result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def test_a_worker_killed_while_holding_is_replaced_when_its_lease_has_run_out(world: World, tmp_path: Path) -> None:
    account = await world.add_account()
    with worker_process(world, "first", tmp_path) as first:
        run = await world.start_run(account)
        await world.until_holding(run)
        with worker_process(world, "second", tmp_path) as second:
            first.process.kill()
            await world.cross_stop(run, "3490")
            await until_held_by(world, account, second)
            result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def test_a_worker_asked_to_leave_finishes_its_sends_and_gives_its_desks_up_at_once(world: World, tmp_path: Path) -> None:
    # So long that nobody could wait for it to run out.
    world.settings = world.settings.model_copy(update={"lease_seconds": 300.0})
    names = [f"herd{number}" for number in range(HERD)]
    accounts = [await world.add_account(name) for name in names]
    with ExitStack() as stack:
        first = stack.enter_context(worker_process(world, "first", tmp_path))
        runs = [await world.start_run(account) for account in accounts]
        await asyncio.gather(*(world.until_holding(run) for run in runs))
        stack.enter_context(worker_process(world, "second", tmp_path))
        await eventually(lambda: "worker_started" in (tmp_path / "second.log").read_text(), "the second worker is up")
        world.sim.add_fault("slow", endpoint="place", count=HERD, delay_ms=4000)
        await cross_all(world, runs, "3490")
        await eventually(lambda: all(world.sides(name) == ["BUY", "SELL"] for name in names), "the exits are at the exchange")
        first.ask_to_leave()
        await eventually(first.has_left, "it has left")
        assert first.name not in (await lease_holders(world)).values(), "nobody waits for the leases of one who left"
        assert first.process.returncode == 0
        results = await asyncio.gather(*(world.result(run) for run in runs))
    assert {result.end_reason for result in results} == {EndReason.STOP_LOSS}
    assert all(world.sides(name) == ["BUY", "SELL"] for name in names)
    for run in runs:
        in_doubt = {"order_in_doubt", "order_found", "order_absent"} & set(await words(world, run))
        assert not in_doubt, "an answer was not waited for"


async def cross_all(world: World, runs: list[Run], price: str) -> None:
    """One tick crosses all their stops: the desks are told, the workflows are not."""
    await world.price("TCS", price)
    now = world.clock.now()
    crossed = [StopCrossed(run.id, run.account_id, run.stop_version, Decimal(price), now, f"{run.id}-1") for run in runs]
    await publish_stops(world.redis, crossed)


async def test_a_worker_whose_log_finds_the_disk_full_trades_as_always(world: World, tmp_path: Path) -> None:
    account = await world.add_account()
    with Path("/dev/full").open("wb") as full, worker_process(world, "first", tmp_path, stderr=full) as worker:
        # A lost answer and failing reads make the desk write to its log in the middle of the order path.
        world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
        world.sim.add_fault("status_503", endpoint="orders", count=3)
        run = await world.start_run(account)
        await world.until_holding(run)
        world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
        await world.cross_stop(run, "3490")
        result = await world.result(run)
        assert not worker.has_left()
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
