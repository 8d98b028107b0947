"""C30 to C49: modify and cancel."""

from decimal import Decimal

import pytest

from brokers.registry import UnsupportedBroker
from tests.contract.world import OWNER, World, no, yes
from trading.orders import Accepted, BrokerOrderStatus, ChangeOutcome, ModifyRequest, RefusalKind, Refused, Unknown

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
