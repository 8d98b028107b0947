"""Everything around the listener may be lost, in part or whole, and no stop is."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import text

from cache.channels import ArmedStop, Disarmed, publish_armed, publish_runs_changed
from cache.connection import connect
from cache.heartbeats import read_beats
from cache.runtime_view import RuntimeView
from listener.leadership import LISTENER_LOCK, Standing
from storage.database import Database
from tests.listener.seeding import update_order, update_run
from tests.listener.world import World
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.instruments import InstrumentId
from trading.orders import OrderState
from trading.runs import ExitReason, RunState


async def test_a_standby_takes_over_when_the_active_listener_is_gone(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with AsyncExitStack() as stack, world.desk() as heard:
        async with world.listening("listener-1"):
            await world.until_beat("name", "listener-1")
            await stack.enter_async_context(world.listening("listener-2"))
            await eventually_standby(world)
            assert await holders(world.database) == 1
        world.sim.set_price("TCS", "3490")
        await eventually(lambda: heard, "the crossing, by the second listener")
        await world.until_beat("name", "listener-2")


async def eventually_standby(world: World) -> None:
    # One it left behind from before it became the active listener proves nothing.
    await world.redis.delete("heartbeat:listener-standby")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while "listener-standby" not in await read_beats(world.redis):
            await asyncio.sleep(0.02)


# The view shows the whole server; other tests hold the same lock in their own databases.
OF_THIS_TEST = (
    "locktype = 'advisory' AND granted AND objid = :low AND classid = :high "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def holders(database: Database) -> int:
    async with database.transaction() as session:
        locks = f"SELECT count(*) FROM pg_locks WHERE {OF_THIS_TEST}"  # noqa: S608 (constants only)
        found = await session.execute(text(locks), {"low": LISTENER_LOCK & 0xFFFFFFFF, "high": LISTENER_LOCK >> 32})
        return int(found.scalar_one())


async def kill_lock_connections(database: Database) -> None:
    async with database.transaction() as session:
        statement = f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {OF_THIS_TEST}"  # noqa: S608 (constants only)
        await session.execute(text(statement), {"low": LISTENER_LOCK & 0xFFFFFFFF, "high": LISTENER_LOCK >> 32})


async def test_a_lost_lock_connection_stops_the_publishing_until_the_lock_is_taken_again(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening() as listener:
        await world.subscribed_to("TCS")
        rival = Database(world.database.engine.url.render_as_string(hide_password=False))
        async with rival, rival.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await kill_lock_connections(world.database)
            # Whoever asks first has it; asked in one breath with the killing, that is the rival.
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not (await connection.execute(text(f"SELECT pg_try_advisory_lock({LISTENER_LOCK})"))).scalar_one():
                    await asyncio.sleep(0.001)
            await eventually(lambda: listener.leadership.standing is Standing.STANDBY, "the listener stands back")
            world.sim.set_price("TCS", "3490")
            await eventually_standby(world)
            assert heard == []
            assert world.temporal.attempts == 0
            await connection.invalidate()
        await eventually(lambda: heard, "the crossing, once it is the active one again")


async def test_a_crossing_during_a_short_loss_of_the_lock_is_told_when_it_is_back(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening() as listener:
        await world.subscribed_to("TCS")
        listener.leadership.standing = Standing.UNSURE
        world.sim.set_prices({"TCS": "3490"})
        world.sim.set_prices({"TCS": "3600"})
        await world.until_beat("stops", 0)
        assert heard == []
        listener.leadership.standing = Standing.ACTIVE
        await eventually(lambda: heard, "the crossing that waited")
    assert heard[0].price == 3490


async def test_without_redis_the_signal_alone_carries_the_stop(world: World, tmp_path: Path) -> None:
    run = await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3490")
    async with connect(f"unix://{tmp_path / 'nobody.sock'}") as absent, world.listening(redis=absent):
        await eventually(lambda: world.temporal.signals, "the signal")
    assert world.temporal.signals[0][0] == run.workflow_id


async def test_without_temporal_the_desks_are_told_and_the_signal_follows_when_it_is_back(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    world.temporal.is_down = True
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        world.sim.set_price("TCS", "3490")
        await eventually(lambda: heard and world.temporal.attempts >= 2, "the message, and signals that fail")
        world.temporal.is_down = False
        await eventually(lambda: world.temporal.signals, "the signal")


async def test_a_restarted_listener_loads_its_stops_and_compares_the_first_price(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.listening("listener-1"):
        await world.subscribed_to("TCS")
    world.sim.set_price("TCS", "3490")
    async with world.desk() as heard, world.listening("listener-2"):
        await eventually(lambda: heard, "the crossing of the downtime")


async def test_a_stop_found_by_the_full_read_is_compared_with_the_price_that_is_known(world: World) -> None:
    account = await world.log_in("alice")
    await world.hold(account)
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        # No tick follows: the newest one is all there is.
        late = await world.hold(account, stop="3650")
        await eventually(lambda: heard, "the crossing by a price that came before the stop was known")
    assert {stop.run_id for stop in heard} == {late.run_id}


async def test_a_lost_message_is_repeated_with_the_same_trigger_until_the_exit_has_left(world: World) -> None:
    run = await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3490")
    async with world.listening():
        await eventually(lambda: world.temporal.signals, "the signal, while no desk is listening")
        async with world.desk() as heard:
            await eventually(lambda: len(heard) >= 2, "the message again")
            await update_order(world.database, run.order_id, state=OrderState.OPEN, reason=ExitReason.STOP_LOSS)
            await update_run(world.database, run.run_id, state=RunState.LEAVING)
            await world.until_beat("stops", 0)
        assert len({stop.trigger_id for stop in heard} | {hit.trigger_id for _, hit in world.temporal.signals}) == 1


async def test_a_listener_killed_between_message_and_signal_signals_after_its_restart(world: World) -> None:
    run = await world.hold(await world.log_in("alice"))
    await update_order(
        world.database,
        run.order_id,
        state=OrderState.FILLED,
        reason=ExitReason.STOP_LOSS,
        trigger_price=Decimal("3499.95"),
        wanted_at=datetime.now(UTC),
    )
    await update_run(world.database, run.run_id, state=RunState.LEAVING)
    async with world.listening():
        await eventually(lambda: world.temporal.signals, "the signal nobody had sent")
    assert [(workflow, hit.price, hit.trigger_id) for workflow, hit in world.temporal.signals] == [
        (run.workflow_id, Decimal("3499.95"), f"{run.run_id}:1")
    ]


async def test_a_stop_the_desk_arms_is_watched_before_the_next_full_read_and_a_disarmed_one_is_not(world: World) -> None:
    account = await world.log_in("alice")
    held = await world.hold(account)
    world.sim.set_price("TCS", "3600")
    armed = ArmedStop("run_new", account, InstrumentId("NSE", "TCS"), Decimal(3550), 1, datetime.now(UTC))
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        await world.until_beat("stops", 1)
        async with asyncio.timeout(DEADLINE_SECONDS):
            # Nobody is told when the subscription stands; a full read may take the made-up stop away again meanwhile.
            while not heard:
                await publish_armed(world.redis, [armed, Disarmed(held.run_id)])
                world.sim.set_price("TCS", "3540")
                await asyncio.sleep(0.02)
        assert {stop.run_id for stop in heard} == {"run_new"}


async def test_a_new_stop_version_fires_at_its_own_price(world: World) -> None:
    run = await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        now = datetime.now(UTC)
        await update_order(world.database, run.order_id, stop_price=Decimal(3550), stop_version=2, updated_at=now)
        await publish_runs_changed(world.redis)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not heard:
                world.sim.set_price("TCS", "3545")
                await asyncio.sleep(0.02)
        assert (heard[0].stop_version, heard[0].price) == (2, 3545)


async def test_an_emptied_redis_is_filled_again(world: World) -> None:
    run = await world.hold(await world.log_in("alice"))
    async with world.listening():
        await world.subscribed_to("TCS")
        await world.redis.flushall()
        await world.until_price("TCS")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await RuntimeView(world.redis).read(run.strategy_id) is None:
                await asyncio.sleep(0.02)


async def test_the_database_may_be_away_when_the_listener_starts(world: World, database_url: str) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3490")
    there = world.database
    nowhere = Database("postgresql+asyncpg://postgres@127.0.0.1:1/none")
    async with nowhere:
        world.database = nowhere
        async with world.listening() as listener:
            await eventually(lambda: listener._complaints.is_open("listener_lock_unreachable"), "the complaint")
    world.database = there
    async with world.desk() as heard, world.listening():
        await eventually(lambda: heard, "the crossing")
