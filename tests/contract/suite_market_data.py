"""C60 to C81: the instrument list, ticks and order updates."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.registry import UnsupportedBroker
from tests.contract.world import INFY, NOWHERE, OWNER, TCS, World, yes
from trading.instruments import Segment
from trading.orders import BrokerOrder, BrokerOrderStatus, Side
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, Tick, TickStream

DEADLINE_SECONDS = 10


@asynccontextmanager
async def subscribed(world: World) -> AsyncIterator[TickStream]:
    async with world.broker.ticks() as stream:
        await stream.subscribe([TCS])
        yield stream


async def first_tick(stream: TickStream, price: str) -> Tick:
    """The first tick at that price. Lost ones end in a timeout."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for batch in stream:
            for tick in batch:
                if tick.last_price == Decimal(price):
                    return tick
    raise AssertionError("the stream ended without an error")


async def first_update(updates: AsyncIterator[BrokerOrder], tag: str | None, status: BrokerOrderStatus) -> BrokerOrder:
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for order in updates:
            if (order.tag, order.status) == (tag, status):
                return order
    raise AssertionError("the updates ended without an error")


async def heartbeat(world: World, stream: TickStream) -> None:
    """Wait until something was heard; the stream is being read elsewhere."""
    before = stream.last_heard_at
    await world.sim.wait_for(lambda: stream.last_heard_at > before)


class MarketDataContract:
    async def test_c60_the_list_gives_rules_and_a_key_for_each_instrument(self, world: World) -> None:
        listed = {entry.instrument.id: entry for entry in await world.master.instruments()}
        tcs = listed[TCS].instrument
        assert (tcs.segment, tcs.lot_size, tcs.has_derivatives) == (Segment.CASH, 1, True)
        assert tcs.tick_size > 0
        assert len({entry.token for entry in listed.values()}) == len(listed)
        segments = {entry.instrument.segment for entry in listed.values()}
        assert {Segment.CASH, Segment.INDEX, Segment.DERIVATIVES} <= segments
        assert any(entry.instrument.segment is Segment.CASH and not entry.instrument.has_derivatives for entry in listed.values())

    async def test_c61_a_list_that_does_not_arrive_raises(self, world: World) -> None:
        master = world.registry(urls=world.nobody).master(world.name)
        assert not isinstance(master, UnsupportedBroker)
        with pytest.raises(BrokerUnavailable):
            await master.instruments()

    async def test_c62_a_price_arrives_exact_with_the_venues_time(self, world: World) -> None:
        async with subscribed(world) as stream:
            world.sim.set_price("TCS", "3489.95")
            tick = await first_tick(stream, "3489.95")
        assert tick.instrument == TCS
        now = datetime.now(UTC)
        assert tick.received_at <= now
        assert tick.event_time is None or now - timedelta(minutes=1) < tick.event_time <= now

    async def test_c63_subscribing_brings_the_price_of_now(self, world: World) -> None:
        world.sim.set_price("TCS", "3477.70")
        async with subscribed(world) as stream:
            assert (await first_tick(stream, "3477.70")).instrument == TCS

    async def test_c64_only_subscribed_instruments_arrive(self, world: World) -> None:
        async with subscribed(world) as stream:
            await stream.subscribe([INFY])
            await first_tick(stream, "1500")
            await stream.unsubscribe([TCS])
            world.sim.set_price("TCS", "3000")
            world.sim.set_price("INFY", "1501")
            async with asyncio.timeout(DEADLINE_SECONDS):
                async for batch in stream:
                    assert Decimal(3000) not in {tick.last_price for tick in batch}
                    if any(tick.last_price == 1501 for tick in batch):
                        break

    async def test_c65_prices_set_together_arrive_together_or_one_by_one_but_all(self, world: World) -> None:
        async with subscribed(world) as stream:
            await stream.subscribe([INFY])
            world.sim.set_prices({"TCS": "3400", "INFY": "1400"})
            wanted = {(TCS, Decimal(3400)), (INFY, Decimal(1400))}
            async with asyncio.timeout(DEADLINE_SECONDS):
                async for batch in stream:
                    wanted -= {(tick.instrument, tick.last_price) for tick in batch}
                    if not wanted:
                        break

    async def test_c66_an_unknown_instrument_is_refused_and_the_others_are_watched(self, world: World) -> None:
        async with world.broker.ticks() as stream:
            with pytest.raises(BrokerRefused, match="NOWHERE"):
                await stream.subscribe([NOWHERE, TCS])
            assert (await first_tick(stream, "3500")).instrument == TCS

    async def test_c67_a_cut_connection_raises_from_the_iteration(self, world: World) -> None:
        async with subscribed(world) as stream:
            await first_tick(stream, "3500")
            world.fault("cut")
            with pytest.raises(BrokerUnavailable):
                await first_tick(stream, "0.05")

    async def test_c68_a_silent_connection_does_not_move_the_time_last_heard(self, world: World) -> None:
        async with subscribed(world) as stream, world.broker_of("bob").ticks() as healthy:
            world.fault("mute")
            tasks = [asyncio.create_task(first_tick(stream, "0.05")), asyncio.create_task(first_tick(healthy, "0.05"))]
            # What was already on its way arrives before the other account's next heartbeat does.
            await heartbeat(world, healthy)
            heard_at = stream.last_heard_at
            for _ in range(2):
                await heartbeat(world, healthy)
            assert stream.last_heard_at == heard_at
            for task in tasks:
                task.cancel()

    async def test_c69_heartbeats_alone_move_the_time_last_heard(self, world: World) -> None:
        async with subscribed(world) as stream:
            await first_tick(stream, "3500")
            heard_at = stream.last_heard_at
            waiting = asyncio.create_task(first_tick(stream, "0.05"))
            await world.sim.wait_for(lambda: stream.last_heard_at > heard_at)
            assert stream.last_heard_at <= time.monotonic()
            waiting.cancel()

    async def test_c70_a_dead_token_gets_neither_ticks_nor_updates(self, world: World) -> None:
        world.expire_token()
        for opening in (world.broker.ticks(), world.broker.order_updates()):
            with pytest.raises(SessionExpired):
                async with opening:
                    pass

    async def test_c71_a_token_that_dies_ends_the_connection(self, world: World) -> None:
        async with subscribed(world) as stream:
            await first_tick(stream, "3500")
            world.expire_token()
            with pytest.raises(BrokerUnavailable):
                await first_tick(stream, "0.05")

    async def test_c72_nobody_listening_is_unavailable(self, world: World) -> None:
        for opening in (world.unreachable_broker().ticks(), world.unreachable_broker().order_updates()):
            with pytest.raises(BrokerUnavailable):
                async with opening:
                    pass

    async def test_c73_a_fill_is_told(self, world: World) -> None:
        request = world.resting()
        async with world.broker.order_updates() as updates:
            await world.place(request)
            world.sim.set_price("TCS", "3400")
            order = await first_update(updates, request.tag, BrokerOrderStatus.COMPLETE)
        assert (order.instrument, order.side, order.filled_quantity) == (TCS, Side.BUY, 5)
        assert order.broker_order_id == (await world.only(request.tag)).broker_order_id

    async def test_c74_a_partial_fill_is_told_with_its_quantity(self, world: World) -> None:
        world.sim.set_depth("TCS", 2)
        request = world.order()
        async with world.broker.order_updates() as updates:
            await world.place(request)
            order = await first_update(updates, request.tag, BrokerOrderStatus.OPEN)
            while order.filled_quantity == 0:
                order = await first_update(updates, request.tag, BrokerOrderStatus.OPEN)
        assert (order.filled_quantity, order.quantity) == (2, 5)

    async def test_c75_a_cancellation_is_told(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        async with world.broker.order_updates() as updates:
            await world.broker.cancel(order_id, may_send=yes)
            assert (await first_update(updates, request.tag, BrokerOrderStatus.CANCELLED)).broker_order_id == order_id

    async def test_c76_what_the_user_does_by_hand_is_told_too(self, world: World) -> None:
        async with world.broker.order_updates() as updates:
            order_id = world.sim.place_by_hand(OWNER, symbol="TCS", side="BUY", quantity=3, price="3500")
            assert (await first_update(updates, None, BrokerOrderStatus.COMPLETE)).broker_order_id == order_id

    async def test_c77_another_accounts_orders_are_not_told(self, world: World) -> None:
        async with world.broker.order_updates() as updates:
            world.sim.account("bob")
            world.sim.place_by_hand("bob", symbol="TCS", side="BUY", quantity=3, price="3500")
            mine = world.order()
            await world.place(mine)
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert (await anext(updates)).tag == mine.tag

    async def test_c78_an_older_state_told_last_does_not_change_the_book(self, world: World) -> None:
        world.fault("regress_update")
        request = world.resting()
        async with world.broker.order_updates() as updates:
            await world.place(request)
            world.sim.set_price("TCS", "3400")
            await first_update(updates, request.tag, BrokerOrderStatus.COMPLETE)
        assert (await world.only(request.tag)).status is BrokerOrderStatus.COMPLETE

    async def test_c79_cut_order_updates_raise_from_the_iteration(self, world: World) -> None:
        async with world.broker.order_updates() as updates:
            world.fault("cut")
            with pytest.raises(BrokerUnavailable):
                await first_update(updates, "none", BrokerOrderStatus.COMPLETE)

    async def test_c80_an_odd_price_on_the_wire_arrives_as_it_is_for_others_to_judge(self, world: World) -> None:
        async with subscribed(world) as stream:
            await first_tick(stream, "3500")
            assert world.sim.odd_tick("TCS", "35.05") == 1
            await first_tick(stream, "35.05")
            assert world.sim.odd_tick("TCS", "0") == 1
            assert await world.broker.ltp([TCS]) == {TCS: 3500}
            world.sim.set_price("TCS", "3501")
            assert (await first_tick(stream, "3501")).instrument == TCS

    async def test_c81_an_update_is_read_when_there_is_leisure_and_none_is_lost(self, world: World) -> None:
        heard, leisure = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            heard.set()
            await leisure.wait()

        request = world.resting()
        async with world.broker.order_updates(leisure=wait) as updates:
            reading = asyncio.create_task(first_update(updates, request.tag, BrokerOrderStatus.COMPLETE))
            await world.place(request)
            world.sim.set_price("TCS", "3400")
            async with asyncio.timeout(DEADLINE_SECONDS):
                await heard.wait()
            assert not reading.done()
            leisure.set()
            assert (await reading).filled_quantity == 5
