"""C10 to C29: placing an order, and what is known afterwards. Judged by the exchange's own log and the book."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.contract.world import INFY, NOWHERE, OWNER, TCS, World, no, yes
from trading.instruments import InstrumentId, Product, Segment
from trading.orders import BrokerOrderStatus, OrderRequest, Placed, PlaceOutcome, RefusalKind, Refused, Side, Unknown


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, the refusal it must end as (None: unknown), and whether the exchange took the order all the same."""

    fault: str
    settings: dict[str, object] = field(default_factory=dict)
    refusal: RefusalKind | None = None
    exists: bool = False

    def __str__(self) -> str:
        return "-".join([self.fault, *(f"{name}={value}" for name, value in self.settings.items())])


FAULTS = [
    Case("accept_then_drop", exists=True),
    Case("accept_then_drop", {"how": "reset"}, exists=True),
    Case("drop_before"),
    Case("drop_before", {"how": "reset"}),
    Case("status_500"),
    Case("status_500", {"accepted": True}, exists=True),
    Case("status_502_html"),
    Case("status_502_html", {"accepted": True}, exists=True),
    Case("status_503"),
    Case("status_503", {"accepted": True}, exists=True),
    Case("status_429", refusal=RefusalKind.RATE_LIMIT),
    Case("half_json", exists=True),
    Case("redirect"),
    Case("ok_with_error_inside"),
    Case("ok_with_error_inside", {"accepted": True}, exists=True),
    Case("timeout_400", exists=True),
    Case("slow", {"delay_ms": 60_000}, exists=True),
    Case("token_expired", refusal=RefusalKind.SESSION),
    Case("ip_refused", refusal=RefusalKind.PERMISSION),
]


class PlacingContract:
    async def test_c10_an_order_placed_is_in_the_book_under_its_tag(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        order = await world.only(request.tag)
        assert (order.broker_order_id, order.tag, order.instrument) == (order_id, request.tag, TCS)
        assert (order.product, order.side, order.quantity, order.price) == (Product.MIS, Side.BUY, 5, Decimal(3400))
        assert (order.status, order.filled_quantity) == (BrokerOrderStatus.OPEN, 0)
        assert order.exchange_order_id
        assert order.updated_at is not None
        assert world.attempts("place", tag=request.tag) == world.accepted("place", tag=request.tag) == 1

    async def test_c11_a_filled_order_is_complete_at_its_exact_price(self, world: World) -> None:
        world.sim.set_price("TCS", "3499.90")
        request = world.order()
        await world.place(request)
        order = await world.only(request.tag)
        assert (order.status, order.filled_quantity, order.average_price) == (BrokerOrderStatus.COMPLETE, 5, Decimal("3499.90"))

    async def test_c12_an_unused_tag_finds_nothing_and_a_repeated_one_finds_both(self, world: World) -> None:
        request = world.resting()
        assert await world.broker.find_by_tag(request.tag) == ()
        first, second = await world.place(request), await world.place(request)
        assert {order.broker_order_id for order in await world.broker.find_by_tag(request.tag)} == {first, second}

    async def test_c13_an_order_a_person_placed_has_no_tag(self, world: World) -> None:
        world.sim.place_by_hand(OWNER, symbol="TCS", side="BUY", quantity=2, price="3400")
        (order,) = (await world.broker.orders()).orders
        assert (order.tag, order.quantity) == (None, 2)

    @pytest.mark.parametrize("case", FAULTS, ids=str)
    async def test_c14_every_fault_has_its_outcome_and_one_request_at_most(self, world: World, case: Case) -> None:
        world.fault(case.fault, endpoint="place", **case.settings)
        request = world.resting()
        outcome = await world.another_broker(timeout_seconds=_patience(case.fault)).place(request, may_send=yes)
        _check(outcome, world.ways.over_the_limit if case.refusal is RefusalKind.RATE_LIMIT else case.refusal)
        assert world.attempts("place", tag=request.tag) == 1
        assert world.accepted("place", tag=request.tag) == int(case.exists)
        assert len(await world.broker.find_by_tag(request.tag)) == int(case.exists)

    async def test_c15_an_order_that_enters_the_book_late_is_unknown_then_found(self, world: World) -> None:
        world.fault("accept_late", delay_ms=300)
        request = world.resting()
        assert isinstance(await world.broker.place(request, may_send=yes), Unknown)
        await world.sim.wait_for(lambda: world.accepted("place", tag=request.tag) == 1)
        assert (await world.only(request.tag)).status is BrokerOrderStatus.OPEN

    async def test_c16_a_refused_connection_is_not_sent(self, world: World) -> None:
        request = world.resting()
        _check(await world.unreachable_broker().place(request, may_send=yes), RefusalKind.NOT_SENT)

    async def test_c17_too_late_is_not_sent(self, world: World) -> None:
        request = world.resting()
        _check(await world.broker.place(request, may_send=no), RefusalKind.NOT_SENT)
        assert world.attempts("place", tag=request.tag) == 0

    async def test_c18_a_dead_token_is_refused_as_such(self, world: World) -> None:
        world.expire_token()
        request = world.resting()
        _check(await world.broker.place(request, may_send=yes), RefusalKind.SESSION)
        assert world.accepted("place", tag=request.tag) == 0

    async def test_c19_too_little_money_is_refused_as_such(self, world: World) -> None:
        world.sim.account(OWNER, funds=100, dialect=world.name.value)
        await _check_impossible(world, world.resting(), RefusalKind.MARGIN)

    @pytest.mark.parametrize("fields", [{"price": "3400.03"}, {"quantity": 0}, {"instrument": NOWHERE}, {"price": "1"}], ids=str)
    async def test_c20_an_impossible_order_is_refused_as_input(self, world: World, fields: dict[str, object]) -> None:
        await _check_impossible(world, world.order(**fields), RefusalKind.INPUT)  # type: ignore[arg-type]

    async def test_c21_a_rejection_after_the_answer_is_in_the_book_with_its_reason(self, world: World) -> None:
        world.fault("reject_async", message="16283 : no")
        request = world.order()
        await world.place(request)
        order = await world.only(request.tag)
        assert (order.status, order.filled_quantity) == (BrokerOrderStatus.REJECTED, 0)
        assert "16283" in order.message

    async def test_c22_a_part_filled_order_is_open_with_what_it_filled(self, world: World) -> None:
        world.fault("partial", quantity=2)
        request = world.order()
        await world.place(request)
        order = await world.only(request.tag)
        assert (order.status, order.filled_quantity, order.quantity) == (BrokerOrderStatus.OPEN, 2, 5)
        assert order.average_price == 3500

    async def test_c23_trades_add_up_to_their_order(self, world: World) -> None:
        world.sim.set_depth("TCS", 3)
        request = world.order()
        order_id = await world.place(request)
        world.sim.set_price("TCS", "3499")
        trades = [trade for trade in await world.broker.trades() if trade.broker_order_id == order_id]
        order = await world.only(request.tag)
        assert order.status is BrokerOrderStatus.COMPLETE
        assert len({trade.trade_id for trade in trades}) == len(trades) > 1
        assert sum(trade.quantity for trade in trades) == order.filled_quantity == 5
        value = sum((trade.quantity * trade.price for trade in trades), Decimal(0))
        assert abs(value / 5 - order.average_price) < Decimal("0.01")
        assert {(trade.instrument, trade.side, trade.product) for trade in trades} == {(TCS, Side.BUY, Product.MIS)}
        assert all(trade.filled_at.utcoffset() is not None for trade in trades)

    async def test_c24_positions_are_signed_and_per_product(self, world: World) -> None:
        await world.place(world.order(quantity=5))
        await world.place(world.order(quantity=2, product=Product.CNC))
        await world.place(world.order(side=Side.SELL, quantity=3, price="1500", instrument=INFY))
        held = {(p.instrument, p.product): p.net_quantity for p in await world.broker.positions()}
        assert held == {(TCS, Product.MIS): 5, (TCS, Product.CNC): 2, (INFY, Product.MIS): -3}
        (tcs,) = [p for p in await world.broker.positions() if (p.instrument, p.product) == (TCS, Product.MIS)]
        assert (tcs.average_price, tcs.last_price) == (3500, 3500)

    async def test_c25_a_broker_that_cancels_by_itself_leaves_a_cancelled_order(self, world: World) -> None:
        request = world.resting()
        await world.place(request)
        world.sim.broker_cancel(OWNER)
        assert (await world.only(request.tag)).status is BrokerOrderStatus.CANCELLED

    async def test_c26_orders_sent_at_once_are_all_placed_once(self, world: World) -> None:
        requests = [world.resting() for _ in range(60)]
        assert await world.broker.warm(10) == 10
        outcomes = await asyncio.gather(*(world.broker.place(request, may_send=yes) for request in requests))
        assert all(isinstance(outcome, Placed) for outcome in outcomes)
        for request in requests:
            assert world.accepted("place", tag=request.tag) == 1

    @pytest.mark.parametrize(
        ("name", "price"), [("NSE:M&M", "3500"), ("NSE:BAJAJ-AUTO", "8900"), ("NSE:SBIN", "820"), ("BSE:SBIN", "820")]
    )
    async def test_c27_symbols_are_ours_on_this_side_and_the_brokers_on_that(self, world: World, name: str, price: str) -> None:
        instrument = InstrumentId.parse(name)
        request = world.order(instrument=instrument, price=price)
        await world.place(request)
        assert (await world.only(request.tag)).instrument == instrument
        (entry,) = world.sim.log.since(0, action="place", tag=request.tag)
        assert entry["instrument"] == str(instrument)
        assert {trade.instrument for trade in await world.broker.trades()} == {instrument}
        assert {position.instrument for position in await world.broker.positions()} == {instrument}

    async def test_c28_contracts_are_traded_in_whole_lots(self, world: World) -> None:
        listed = [entry.instrument for entry in world.listed if entry.instrument.segment is Segment.DERIVATIVES]
        future = next(one for one in listed if one.lot_size > 1 and "FUT" in one.id.symbol)
        (price,) = (await world.broker.ltp([future.id])).values()
        terms = {"instrument": future.id, "price": str(price), "product": Product.NRML}
        request = world.order(quantity=future.lot_size, **terms)  # type: ignore[arg-type]
        await world.place(request)
        order = await world.only(request.tag)
        assert (order.status, order.filled_quantity) == (BrokerOrderStatus.COMPLETE, future.lot_size)
        half = world.order(quantity=future.lot_size + 1, **terms)  # type: ignore[arg-type]
        await _check_impossible(world, half, RefusalKind.INPUT)

    async def test_c29_over_the_documented_rate_nothing_is_placed_unseen(self, world: World) -> None:
        world.sim.account(OWNER, rate_limits="orders", dialect=world.name.value)
        requests = [world.resting() for _ in range(30)]
        outcomes = await asyncio.gather(*(world.broker.place(request, may_send=yes) for request in requests))
        over = [request for request, outcome in zip(requests, outcomes, strict=True) if not isinstance(outcome, Placed)]
        assert over
        for outcome in outcomes:
            if not isinstance(outcome, Placed):
                _check(outcome, world.ways.over_the_limit)
        assert all(world.accepted("place", tag=request.tag) == 0 for request in over)
        placed = {order.tag for order in (await world.broker.orders()).orders}
        assert placed == {request.tag for request in requests} - {request.tag for request in over}


async def _check_impossible(world: World, request: OrderRequest, kind: RefusalKind) -> None:
    """It is refused as such and not in the book; a broker that takes orders first may reject it there, with the reason, or say
    too little to be believed."""
    outcome = await world.broker.place(request, may_send=yes)
    found = await world.broker.find_by_tag(request.tag)
    if not world.ways.takes_first or isinstance(outcome, Refused):
        _check(outcome, kind)
    if isinstance(outcome, Placed):
        (order,) = found
        assert (order.status, order.filled_quantity) == (BrokerOrderStatus.REJECTED, 0)
        assert order.message
    else:
        assert found == ()


def _patience(fault: str) -> float:
    """Seconds: short only where the answer is known never to come."""
    return 1 if fault == "slow" else 5


def _check(outcome: PlaceOutcome, refusal: RefusalKind | None) -> None:
    if refusal is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind is refusal
        assert outcome.message
