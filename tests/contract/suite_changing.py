"""C30 to C49: modify and cancel."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.registry import UnsupportedBroker
from simulator.exchange.sessions import Hours
from tests.contract.suite_market_data import first_update
from tests.contract.world import OWNER, World, no, yes
from trading.orders import (
    Accepted,
    BrokerOrderStatus,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    RefusalKind,
    Refused,
    Side,
    Unknown,
)

IN_DOUBT = ["drop_before", "status_500", "status_502_html", "status_503", "half_json", "redirect", "ok_with_error_inside"]
DEFINITE = [
    ("status_429", RefusalKind.RATE_LIMIT),
    ("token_expired", RefusalKind.SESSION),
    ("ip_refused", RefusalKind.PERMISSION),
]


async def change(world: World, action: str, order_id: str, *, timeout_seconds: float = 5.0) -> ChangeOutcome:
    broker = world.another_broker(timeout_seconds=timeout_seconds)
    if action == "modify":
        return await broker.modify(ModifyRequest(order_id, 5, Decimal(3410)), may_send=yes)
    return await broker.cancel(order_id, may_send=yes)


async def waiting_stop(world: World) -> OrderRequest:
    """Five shares that were bought, and their sale below the price of 3500: at 3465 or less, for not less than 3430."""
    await world.place(world.order())
    request = replace(world.order(side=Side.SELL, price="3430"), trigger_price=Decimal(3465))
    await world.place(request)
    return request


def kind_of(outcome: ChangeOutcome) -> RefusalKind:
    assert isinstance(outcome, Refused)
    assert outcome.message
    return outcome.kind


class ChangingContract:
    async def test_c30_a_new_price_fills_a_resting_order(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        assert await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3500)), may_send=yes) == Accepted()
        order = await world.only(request.tag)
        assert (order.broker_order_id, order.status, order.price) == (order_id, BrokerOrderStatus.COMPLETE, 3500)
        assert world.attempts("modify", order_id=order_id) == 1

    async def test_c31_a_new_quantity_is_the_total(self, world: World) -> None:
        world.fault("partial", quantity=2)
        request = world.order()
        order_id = await world.place(request)
        assert await world.broker.modify(ModifyRequest(order_id, 9, Decimal(3400)), may_send=yes) == Accepted()
        order = await world.only(request.tag)
        assert (order.quantity, order.filled_quantity, order.price) == (9, 2, 3400)

    async def test_c32_cancelling_ends_a_resting_order(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        assert await world.broker.cancel(order_id, may_send=yes) == Accepted()
        assert (await world.only(request.tag)).status is BrokerOrderStatus.CANCELLED
        assert world.attempts("cancel", order_id=order_id) == 1

    async def test_c33_a_cancelled_order_keeps_what_it_had_filled(self, world: World) -> None:
        world.fault("partial", quantity=2)
        request = world.order()
        await world.broker.cancel(await world.place(request), may_send=yes)
        order = await world.only(request.tag)
        assert (order.status, order.filled_quantity, order.average_price) == (BrokerOrderStatus.CANCELLED, 2, 3500)

    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c34_an_order_that_has_ended_is_gone(self, world: World, action: str) -> None:
        complete, cancelled = await world.place(world.order()), await world.place(world.resting())
        world.sim.broker_cancel(OWNER)
        for order_id in (complete, cancelled):
            assert kind_of(await change(world, action, order_id)) is RefusalKind.GONE

    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c35_an_order_being_processed_is_busy(self, world: World, action: str) -> None:
        order_id = await world.place(world.resting())
        world.fault(f"{action}_refused")
        assert kind_of(await change(world, action, order_id)) is RefusalKind.BUSY

    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c36_a_change_refused_after_the_answer_leaves_the_order_open_as_it_was(self, world: World, action: str) -> None:
        request = world.resting()
        order_id = await world.place(request)
        world.fault(f"{action}_refused", asynchronous=True)
        assert await change(world, action, order_id) == Accepted()
        order = await world.only(request.tag)
        assert (order.status, order.price, order.quantity) == (BrokerOrderStatus.OPEN, 3400, 5)

    async def test_c37_too_many_modifications_are_over_budget_and_cancelling_stays_possible(self, world: World) -> None:
        order_id = await world.place(world.resting())
        limits = world.registry().limits(world.name)
        assert not isinstance(limits, UnsupportedBroker)
        outcome: ChangeOutcome = Accepted()
        for number in range(100):
            outcome = await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3400 + number % 2)), may_send=yes)
            if outcome != Accepted():
                break
        assert kind_of(outcome) is RefusalKind.BUDGET
        assert number >= limits.modifications_per_order
        assert await world.broker.cancel(order_id, may_send=yes) == Accepted()

    @pytest.mark.parametrize("fault", IN_DOUBT)
    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c38_a_change_without_a_clear_answer_is_unknown_and_sent_once(
        self, world: World, action: str, fault: str
    ) -> None:
        order_id = await world.place(world.resting())
        world.fault(fault, endpoint=action)
        assert isinstance(await change(world, action, order_id), Unknown)
        assert world.attempts(action, order_id=order_id) == 1

    @pytest.mark.parametrize("fault", ["accept_then_drop", "slow"])
    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c39_a_change_that_was_made_without_an_answer_is_unknown_and_made_once(
        self, world: World, action: str, fault: str
    ) -> None:
        request = world.resting()
        order_id = await world.place(request)
        world.fault(fault, endpoint=action, delay_ms=60_000)
        assert isinstance(await change(world, action, order_id, timeout_seconds=1 if fault == "slow" else 5), Unknown)
        assert world.attempts(action, order_id=order_id) == world.accepted(action, order_id=order_id) == 1
        order = await world.only(request.tag)
        assert (order.status is BrokerOrderStatus.CANCELLED) == (action == "cancel")
        assert order.price == (3410 if action == "modify" else 3400)

    @pytest.mark.parametrize(("fault", "kind"), DEFINITE)
    @pytest.mark.parametrize("action", ["modify", "cancel"])
    async def test_c40_a_clear_refusal_of_a_change_changes_nothing(
        self, world: World, action: str, fault: str, kind: RefusalKind
    ) -> None:
        request = world.resting()
        order_id = await world.place(request)
        world.fault(fault, endpoint=action)
        outcome = await change(world, action, order_id)
        if kind is RefusalKind.RATE_LIMIT and world.ways.over_the_limit is None:
            assert isinstance(outcome, Unknown)
        else:
            assert kind_of(outcome) is kind
        order = await world.only(request.tag)
        assert (order.status, order.price) == (BrokerOrderStatus.OPEN, 3400)

    async def test_c41_a_change_not_sent_reaches_nobody(self, world: World) -> None:
        order_id = await world.place(world.resting())
        modification = ModifyRequest(order_id, 5, Decimal(3410))
        for outcome in (
            await world.broker.modify(modification, may_send=no),
            await world.broker.cancel(order_id, may_send=no),
            await world.unreachable_broker().modify(modification, may_send=yes),
            await world.unreachable_broker().cancel(order_id, may_send=yes),
        ):
            assert kind_of(outcome) is RefusalKind.NOT_SENT
        assert world.attempts("modify", order_id=order_id) == world.attempts("cancel", order_id=order_id) == 0

    async def test_c42_an_impossible_price_is_refused_as_input_and_changes_nothing(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        outcome = await world.broker.modify(ModifyRequest(order_id, 5, Decimal("3400.03")), may_send=yes)
        assert (world.ways.takes_first and outcome == Accepted()) or kind_of(outcome) is RefusalKind.INPUT
        order = await world.only(request.tag)
        assert (order.status, order.price) == (BrokerOrderStatus.OPEN, 3400)

    async def test_c43_a_stop_waits_for_its_trigger_and_then_sells_at_its_limit_or_better(self, world: World) -> None:
        request = await waiting_stop(world)
        waiting = await world.only(request.tag)
        assert (waiting.status, waiting.filled_quantity, waiting.trigger_price) == (BrokerOrderStatus.OPEN, 0, 3465)
        assert (waiting.price, waiting.quantity, waiting.side) == (3430, 5, Side.SELL)
        world.sim.set_price("TCS", "3465.05")
        assert await world.only(request.tag) == waiting
        world.sim.set_price("TCS", "3465")
        sold = await world.only(request.tag)
        assert (sold.status, sold.filled_quantity, sold.trigger_price) == (BrokerOrderStatus.COMPLETE, 5, None)
        assert sold.average_price == 3465

    async def test_c44_a_waiting_stop_becomes_a_limit_order_by_being_modified(self, world: World) -> None:
        request = await waiting_stop(world)
        order_id = (await world.only(request.tag)).broker_order_id
        assert await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3550)), may_send=yes) == Accepted()
        resting = await world.only(request.tag)
        assert (resting.status, resting.price, resting.trigger_price) == (BrokerOrderStatus.OPEN, 3550, None)
        assert await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3490)), may_send=yes) == Accepted()
        sold = await world.only(request.tag)
        assert (sold.broker_order_id, sold.status, sold.average_price) == (order_id, BrokerOrderStatus.COMPLETE, 3500)
        assert world.attempts("modify", order_id=order_id) == 2
        assert world.attempts("place", tag=request.tag) == 1

    async def test_c45_a_waiting_stop_is_moved_made_smaller_and_taken_back(self, world: World) -> None:
        request = await waiting_stop(world)
        order_id = (await world.only(request.tag)).broker_order_id
        assert await world.broker.modify(ModifyRequest(order_id, 3, Decimal(3370), Decimal(3400)), may_send=yes) == Accepted()
        moved = await world.only(request.tag)
        assert (moved.status, moved.quantity, moved.price, moved.trigger_price) == (BrokerOrderStatus.OPEN, 3, 3370, 3400)
        world.sim.set_price("TCS", "3430")
        assert (await world.only(request.tag)).filled_quantity == 0
        assert await world.broker.cancel(order_id, may_send=yes) == Accepted()
        gone = await world.only(request.tag)
        assert (gone.status, gone.filled_quantity, gone.trigger_price) == (BrokerOrderStatus.CANCELLED, 0, None)

    async def test_c46_a_stop_that_has_triggered_and_found_nobody_is_modified_as_a_limit_order(self, world: World) -> None:
        request = await waiting_stop(world)
        world.sim.set_depth("TCS", 0)
        world.sim.set_price("TCS", "3420")
        resting = await world.only(request.tag)
        assert (resting.status, resting.filled_quantity) == (BrokerOrderStatus.OPEN, 0)
        assert resting.trigger_price == (None if world.ways.tells_triggered else 3465)
        change = ModifyRequest(resting.broker_order_id, 5, Decimal(3400))
        assert await world.broker.modify(change, may_send=yes) == Accepted()
        assert (await world.only(request.tag)).trigger_price is None
        world.sim.set_depth("TCS", None)
        world.sim.set_price("TCS", "3419")
        assert (await world.only(request.tag)).status is BrokerOrderStatus.COMPLETE

    async def test_c47_a_stop_whose_change_is_refused_waits_as_before(self, world: World) -> None:
        request = await waiting_stop(world)
        waiting = await world.only(request.tag)
        for fields in ({}, {"asynchronous": True}):
            world.fault("modify_refused", **fields)
            outcome = await world.broker.modify(ModifyRequest(waiting.broker_order_id, 5, Decimal(3490)), may_send=yes)
            assert outcome == Accepted() if fields else kind_of(outcome) is RefusalKind.BUSY
            seen = await world.only(request.tag)
            assert (seen.status, seen.price, seen.trigger_price) == (BrokerOrderStatus.OPEN, 3430, 3465)

    async def test_c48_order_updates_tell_what_a_stop_waits_for_and_of_its_sale(self, world: World) -> None:
        request = await waiting_stop(world)
        order_id = (await world.only(request.tag)).broker_order_id
        async with world.broker.order_updates() as updates:
            world.sim.set_depth("TCS", 2)
            await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3370), Decimal(3400)), may_send=yes)
            world.sim.set_price("TCS", "3400")
            seen = await first_update(updates, request.tag, BrokerOrderStatus.OPEN)
            while not seen.filled_quantity:
                assert seen.trigger_price in (3465, 3400, None)
                seen = await first_update(updates, request.tag, BrokerOrderStatus.OPEN)
        assert (seen.trigger_price, seen.filled_quantity) == (None, 2)

    async def test_c49_while_the_market_is_closed_nothing_is_placed_and_a_resting_order_stays(self, world: World) -> None:
        resting, late = world.resting(), world.resting()
        await world.place(resting)
        world.sim.exchange.hours = Hours.CLOSED
        await world.broker.place(late, may_send=yes)
        found = await world.broker.find_by_tag(late.tag)
        assert {order.status for order in found} <= {BrokerOrderStatus.REJECTED}
        assert (await world.only(resting.tag)).status is BrokerOrderStatus.OPEN
