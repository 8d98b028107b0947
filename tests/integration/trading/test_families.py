"""Delivery beside intraday, one exchange beside the other: each run trades its own, and nothing else in the account moves."""

import asyncio
from decimal import Decimal

from execution.position_rows import read_ledger_row
from simulator.exchange.positions import Holding
from simulator.money import to_price
from storage.models import BrokerAccount, Run
from tests.integration.trading.test_trailing import listening
from tests.integration.trading.world import World
from tests.waiting import eventually_asked
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.runs import EndReason
from trading.sessions import trading_date


def families(world: World) -> list[tuple[str, str, str]]:
    """Side, exchange and product of everything that was placed, in order of arrival."""
    asked = [row["parameters"] for row in world.requests("place")]
    return [(each["transaction_type"], each["exchange"], each["product"]) for each in asked]


def give_holding(world: World, quantity: int) -> None:
    """Shares that were delivered on an earlier day."""
    account = world.sim.simulator.registry.find("sim-alice")
    assert account is not None
    account.holdings["NSE:TCS"] = Holding("NSE:TCS", quantity, to_price("3000"))


def sellable(world: World) -> int:
    account = world.sim.simulator.registry.find("sim-alice")
    assert account is not None
    return account.sellable("NSE:TCS")


def sell_by_hand(world: World, quantity: int) -> None:
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=quantity, product="CNC")


async def until_holdings_are_known(world: World, account: BrokerAccount) -> None:
    """From here on what is sold by hand can be told from what a run has bought."""
    key = LedgerKey(InstrumentId("NSE", "TCS"), Product.CNC)

    await eventually_asked(
        lambda: read_ledger_row(world.database, account.id, key, trading_date(world.clock.now())),
        lambda row: row.delivered is not None,
        "the shares of earlier days are known",
    )


async def start_at_bse(world: World, account: object, **plan: object) -> Run:
    await world.price("TCS", "3600", exchange="BSE")
    return await world.start_run(account, exchange="BSE", **plan)  # type: ignore[arg-type]


async def test_a_run_at_bombay_trades_there_from_the_tick_to_the_sale(world: World) -> None:
    account = await world.add_account()
    async with listening(world):
        run = await start_at_bse(world, account)
        await world.until_holding(run)
        world.sim.set_price("NSE:TCS", "3400")  # the other exchange's price is not this run's
        world.sim.set_price("BSE:TCS", "3501")
        await asyncio.sleep(0.3)
        assert len(families(world)) == 1
        world.sim.set_price("BSE:TCS", "3500")
        result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert families(world) == [("BUY", "BSE", "MIS"), ("SELL", "BSE", "MIS")]
    assert world.sim.net_position("alice", "BSE:TCS") == world.sim.net_position("alice", "NSE:TCS") == 0


async def test_one_symbol_at_both_exchanges_is_two_positions(world: World) -> None:
    account = await world.add_account()
    there = await start_at_bse(world, account, quantity=4)
    here = await world.start_run(account, quantity=10)
    for run in (there, here):
        await world.until_holding(run)
    await world.cross_stop(here, "3490")
    assert (await world.result(here)).sold == 10
    assert (world.sim.net_position("alice", "TCS"), world.sim.net_position("alice", "BSE:TCS")) == (0, 4)
    await world.cross_stop(there, "3490")
    assert (await world.result(there)).sold == 4
    assert world.sim.net_position("alice", "BSE:TCS") == 0
    assert families(world)[2:] == [("SELL", "NSE", "MIS"), ("SELL", "BSE", "MIS")]


async def test_a_delivery_run_at_bombay_sells_what_it_bought(world: World) -> None:
    account = await world.add_account()
    run = await start_at_bse(world, account, product=Product.CNC, sell_in=3.0)
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.SOLD_AT_TIME, 10)
    assert families(world) == [("BUY", "BSE", "CNC"), ("SELL", "BSE", "CNC")]
    assert world.sim.net_position("alice", "BSE:TCS", product="CNC") == 0


async def test_a_delivery_run_leaves_older_holdings_alone(world: World) -> None:
    account = await world.add_account()
    give_holding(world, 25)
    run = await world.start_run(account, product=Product.CNC, quantity=7)
    await world.until_holding(run)
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 7
    assert sellable(world) == 25
    assert [row["parameters"]["quantity"] for row in world.requests("place")] == ["7", "7"]


async def test_older_holdings_sold_by_hand_take_nothing_from_a_delivery_run(world: World) -> None:
    account = await world.add_account()
    give_holding(world, 25)
    run = await world.start_run(account, product=Product.CNC, quantity=7)
    await until_holdings_are_known(world, account)
    sell_by_hand(world, 20)
    await asyncio.sleep(1.0)  # the ledger has looked
    assert (await world.run(run.id)).taken_elsewhere == 0
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 7
    assert sellable(world) == 5


async def test_delivered_shares_sold_by_hand_are_not_sold_again(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, product=Product.CNC, quantity=7)
    await until_holdings_are_known(world, account)
    sell_by_hand(world, 7)
    await world.until(run.id, lambda row, _: row.taken_elsewhere == 7, "the sale by hand is seen")
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.CLOSED_ELSEWHERE, 0)
    assert families(world) == [("BUY", "NSE", "CNC")]
    assert world.sim.net_position("alice", "TCS", product="CNC") == 0


async def test_shares_bought_on_an_earlier_day_are_sold_by_hand_before_those_of_todays_run(world: World) -> None:
    account = await world.add_account()
    world.sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=10, product="CNC")
    world.sim.simulator.roll_day()
    assert (sellable(world), world.sim.net_position("alice", "TCS", product="CNC")) == (10, 0)
    await world.log_in_again(account)
    run = await world.start_run(account, product=Product.CNC, quantity=7)
    await until_holdings_are_known(world, account)
    sell_by_hand(world, 6)
    sell_by_hand(world, 8)
    await world.until(run.id, lambda row, _: row.taken_elsewhere == 4, "what went beyond the ten is taken off the run")
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 3
    assert sellable(world) == 0


async def test_a_delivery_sale_whose_shares_are_gone_goes_on_until_it_is_handed_over_with_an_alarm(world: World) -> None:
    """While nobody tells what was there in the morning, the broker's own refusals keep more from being sold."""
    account = await world.add_account()
    world.sim.add_fault("status_500", endpoint="holdings", count=1000)
    run = await world.start_run(account, product=Product.CNC, quantity=7, hand_over_in=6.0, sell_in=5.0)
    await world.until_holding(run)
    world.sim.place_by_hand("alice", symbol="TCS", side="SELL", quantity=7, product="CNC")
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.HANDED_OVER
    assert result.sold == 0
    assert world.sim.net_position("alice", "TCS", product="CNC") == 0, "more was sold than was there"
    assert Decimal(result.realised_pnl) == 0
