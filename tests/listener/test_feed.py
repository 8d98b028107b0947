"""The feed against the stand-in exchange: it connects, follows the runs, and comes back from whatever ends it."""

import asyncio

from sqlalchemy import select

from storage.models import Alert
from tests.listener.seeding import add_account, update_account, update_run
from tests.listener.world import World
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.accounts import BrokerName
from trading.runs import RunState


async def test_a_tick_that_crosses_a_stop_reaches_the_desks_and_the_workflow(world: World) -> None:
    run = await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        world.sim.set_price("TCS", "3500.05")
        world.sim.set_price("TCS", "3499.95")
        await eventually(lambda: heard, "the message on the channel")
        await eventually(lambda: world.temporal.signals, "the signal")
    assert {(stop.run_id, stop.account_id, stop.stop_version, str(stop.price)) for stop in heard} == {
        (run.run_id, run.account_id, 1, "3499.95")
    }
    workflow_id, hit = world.temporal.signals[0]
    assert (workflow_id, hit.trigger_id, hit.symbol) == (run.workflow_id, heard[0].trigger_id, "TCS")


async def test_it_subscribes_to_the_symbols_of_open_runs_and_to_no_other(world: World) -> None:
    account = await world.log_in("alice")
    tcs = await world.hold(account)
    await world.hold(account, symbol="INFY", stop="1000")
    async with world.listening():
        await world.subscribed_to("TCS", "INFY")
        await update_run(world.database, tcs.run_id, state=RunState.ENDED)
        await world.until_beat("symbols", 1)
        await world.hold(account, symbol="SBIN", stop="100")
        await world.subscribed_to("SBIN", "INFY")


async def test_it_waits_for_the_first_account_and_then_begins(world: World) -> None:
    account = await world.log_in("alice")
    await update_account(world.database, account, sealed_access_token=None)
    await world.hold(account)
    async with world.listening():
        await world.until_beat("trouble", "no account is logged in")
        await world.renew_login("alice", account)
        await world.subscribed_to("TCS")
        await world.until_beat("trouble", "")


async def test_after_a_cut_the_first_price_is_compared_with_the_stops(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        # Quotes would tell of the crossing too: here only the feed, connected and subscribed again, can.
        world.sim.add_fault("status_503", endpoint="quote", count=None)
        # Both happen before the listener can act on either: the crossing is over when the feed is back.
        world.sim.add_fault("cut")
        world.sim.set_price("TCS", "3490")
        await eventually(lambda: heard, "the crossing seen by the first price after the cut")


async def test_a_dead_token_moves_the_feed_to_another_account(world: World) -> None:
    second = await world.log_in("bob")
    # The newest login is preferred, also when it is dead and nobody has noticed.
    first = await world.log_in("alice")
    await world.hold(first)
    async with world.listening():
        await world.until_beat("account_id", first)
        await world.subscribed_to("TCS")
        world.sim.expire_token("alice")
        await world.until_beat("account_id", second)
        await world.until_beat("healthy", True)


async def test_an_account_whose_token_was_dead_from_the_start_is_passed_over(world: World) -> None:
    usable = await world.log_in("bob")
    await world.hold(await world.log_in("alice"))
    world.sim.expire_token("alice")
    async with world.listening():
        await world.until_beat("account_id", usable)
        await world.subscribed_to("TCS")


async def test_an_account_that_is_removed_is_left_at_once(world: World) -> None:
    first = await world.log_in("alice")
    await world.hold(first)
    async with world.listening():
        await world.until_beat("account_id", first)
        second = await world.log_in("bob")
        await update_account(world.database, first, sealed_access_token=None)
        await world.until_beat("account_id", second)


async def test_a_silent_feed_raises_an_alarm_and_stops_are_watched_by_quotes_until_it_is_back(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        mute = world.sim.add_fault("mute", count=None)
        await until_alarm(world, is_up=True)
        world.sim.set_price("TCS", "3490")
        await eventually(lambda: heard, "the crossing seen by a quote")
        world.sim.faults.remove(mute.fault_id)
        await until_alarm(world, is_up=False)
        await world.until_beat("healthy", True)


async def until_alarm(world: World, *, is_up: bool) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with world.database.transaction() as session:
                alarms = (await session.scalars(select(Alert).where(Alert.key == "feed:zerodha"))).all()
            if any(alarm.cleared_at is None for alarm in alarms) == is_up and alarms:
                assert alarms[0].kind == "feed_silent"
                return
            await asyncio.sleep(0.05)


async def test_an_odd_tick_the_market_does_not_confirm_fires_nothing(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    await world.hold(await world.log_in("bob"), symbol="INFY", stop="1000")
    world.sim.set_prices({"TCS": "3600", "INFY": "1500"})
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS", "INFY")
        await world.raw_tick("TCS", "0")
        await world.raw_tick("TCS", "35")
        # What comes after it on the same wire has been taken: the odd ones were, too.
        world.sim.set_price("INFY", "999")
        await eventually(lambda: heard, "the crossing of the other symbol")
    assert {stop.price for stop in heard} == {999}


async def test_a_real_crash_is_confirmed_by_a_quote_and_fires(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        world.sim.set_price("TCS", "1000")
        await eventually(lambda: heard, "the crossing, after a second witness")
    assert heard[0].price == 1000


async def test_the_price_of_a_quiet_symbol_stays_while_the_feed_lives_and_vanishes_when_it_does_not(world: World) -> None:
    await world.hold(await world.log_in("alice"))
    world.sim.set_price("TCS", "3600")
    async with world.listening():
        await world.subscribed_to("TCS")
        first = await world.redis.get("price:TCS")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await world.redis.pttl("price:TCS") > 3_500:
                await asyncio.sleep(0.05)
            while await world.redis.pttl("price:TCS") <= 3_500:
                await asyncio.sleep(0.05)
        assert await world.redis.get("price:TCS") == first
        world.sim.add_fault("token_expired", count=None)
        world.sim.expire_token("alice")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await world.redis.exists("price:TCS"):
                await asyncio.sleep(0.05)


async def test_a_paper_accounts_stop_is_watched_on_a_feed_of_somebody_else(world: World) -> None:
    await world.log_in("alice")
    paper = await add_account(world.database, world.user_id, broker_user_id="paper")
    await update_account(world.database, paper, broker=BrokerName.PAPER)
    run = await world.hold(paper)
    world.sim.set_price("TCS", "3600")
    async with world.desk() as heard, world.listening():
        await world.subscribed_to("TCS")
        world.sim.set_price("TCS", "3499.95")
        await eventually(lambda: heard, "the message on the channel")
    assert {(stop.run_id, stop.account_id) for stop in heard} == {(run.run_id, paper)}
