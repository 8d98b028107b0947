"""C50 to C59: a read that did not succeed says so, and never looks like an empty book."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tests.contract.world import INFY, NOWHERE, OWNER, TCS, World
from trading.instruments import PriceLimits, Product
from trading.orders import BrokerHolding, BrokerOrderStatus, Side
from trading.ports.broker import Broker, BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

Read = Callable[[Broker, str], Awaitable[object]]
# The read, given an order's id; and the names its endpoint may have among the simulator's faults.
READS: dict[str, tuple[Read, str | tuple[str, ...]]] = {
    "orders": (lambda broker, _: broker.orders(), "orders"),
    "find_by_tag": (lambda broker, _: broker.find_by_tag("t1"), "orders"),
    # Some brokers have a call for one order, at others it is looked up in the book.
    "order": (lambda broker, order_id: broker.order(order_id), ("order", "orders")),
    "trades": (lambda broker, _: broker.trades(), "trades"),
    "positions": (lambda broker, _: broker.positions(), "positions"),
    "holdings": (lambda broker, _: broker.holdings(), "holdings"),
    "margins": (lambda broker, _: broker.margins(), "margins"),
    "profile": (lambda broker, _: broker.profile(), "profile"),
    "validate_credentials": (lambda broker, _: broker.validate_credentials(), "profile"),
    "ltp": (lambda broker, _: broker.ltp([TCS]), "quote"),
    "price_limits": (lambda broker, _: broker.price_limits([TCS]), "quote"),
}
FAULTS = [
    ("drop_before", BrokerUnavailable),
    ("status_500", BrokerUnavailable),
    ("status_502_html", BrokerUnavailable),
    ("status_503", BrokerUnavailable),
    ("status_429", BrokerUnavailable),
    ("redirect", BrokerUnavailable),
    ("slow", BrokerUnavailable),
    ("half_json", UnreadableAnswer),
    ("ok_with_error_inside", UnreadableAnswer),
    ("token_expired", SessionExpired),
]


class ReadingContract:
    @pytest.mark.parametrize("name", READS)
    @pytest.mark.parametrize(("fault", "error"), FAULTS)
    async def test_c50_every_read_under_every_fault_raises(
        self, world: World, name: str, fault: str, error: type[Exception]
    ) -> None:
        order_id = await world.place(world.resting())
        # Where having none is an error of its own, half of that would be no success with half an answer.
        world.sim.set_holding(OWNER, "TCS", 5, average_price="3400")
        read, endpoint = READS[name]
        world.fault(fault, endpoint=endpoint, delay_ms=60_000)
        if fault == "ok_with_error_inside":
            error = world.ways.error_with_status_200
        with pytest.raises(error) as caught:
            await read(world.another_broker(timeout_seconds=0.5 if fault == "slow" else 5), order_id)
        assert type(caught.value) is error
        assert world.account.access_token not in str(caught.value)

    @pytest.mark.parametrize("name", READS)
    async def test_c51_every_read_with_a_dead_token_says_so(self, world: World, name: str) -> None:
        order_id = await world.place(world.resting())
        world.expire_token()
        with pytest.raises(SessionExpired):
            await READS[name][0](world.broker, order_id)

    @pytest.mark.parametrize("name", READS)
    async def test_c52_every_read_of_nobody_is_unavailable(self, world: World, name: str) -> None:
        with pytest.raises(BrokerUnavailable):
            await READS[name][0](world.unreachable_broker(), "1")

    async def test_c53_an_account_that_did_nothing_has_empty_books(self, world: World) -> None:
        assert (await world.broker.orders()).orders == ()
        assert await world.broker.trades() == ()
        assert await world.broker.positions() == ()
        assert await world.broker.holdings() == ()

    async def test_c54_a_book_is_stamped_before_it_was_asked_for(self, world: World) -> None:
        before = time.monotonic()
        book = await world.broker.orders()
        assert before <= book.requested_at <= time.monotonic()

    async def test_c55_one_order_is_read_by_its_id_at_its_newest(self, world: World) -> None:
        request = world.resting()
        order_id = await world.place(request)
        assert (await world.broker.order(order_id)).status is BrokerOrderStatus.OPEN
        world.sim.set_price("TCS", "3399")
        order = await world.broker.order(order_id)
        assert (order.status, order.filled_quantity, order.tag) == (BrokerOrderStatus.COMPLETE, 5, request.tag)
        assert order == await world.only(request.tag)

    async def test_c56_an_order_id_nobody_knows_is_refused(self, world: World) -> None:
        with pytest.raises(BrokerRefused):
            await world.broker.order("190101000000000")

    async def test_c57_last_prices_are_exact_and_unknown_instruments_absent(self, world: World) -> None:
        world.sim.set_prices({"TCS": "3512.35", "INFY": "1499.90"})
        prices = await world.broker.ltp([TCS, NOWHERE, INFY])
        assert {instrument: str(price) for instrument, price in prices.items()} == {TCS: "3512.35", INFY: "1499.9"}

    async def test_c58_circuit_limits_are_exact_and_unknown_instruments_absent(self, world: World) -> None:
        world.sim.set_circuit("TCS", lower="3160.55", upper="3863")
        limits = await world.broker.price_limits([TCS, NOWHERE])
        assert limits == {TCS: PriceLimits(Decimal("3160.55"), Decimal("3863"))}

    async def test_c59_shares_of_earlier_days_are_holdings_and_todays_a_position(self, world: World) -> None:
        world.sim.set_holding(OWNER, "TCS", 12, average_price="3100.55", on_the_way=2)
        await world.place(world.order(instrument=INFY, price="1500", product=Product.CNC))
        assert await world.broker.holdings() == (BrokerHolding(TCS, 12, Decimal("3100.55")),)
        await world.place(world.order(side=Side.SELL, quantity=12, product=Product.CNC))
        held = {position.instrument: position.net_quantity for position in await world.broker.positions()}
        assert held == {INFY: 5, TCS: -12}
