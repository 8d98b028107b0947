"""A strategy's day from its start to a flat position, judged by the exchange's own log."""

from tests.integration.trading.world import World
from trading.runs import EndReason, Position


async def test_a_run_that_hits_its_stop_sells_once_and_ends_flat(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert result.position is Position.EXITED_BY_SL
    assert (result.bought, result.sold) == (10, 10)
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sides() == ["BUY", "SELL"]
    assert world.requests("cancel") == world.requests("modify") == []
    hits = [line for line in await world.timeline(run.id) if line.startswith("stop_hit")]
    assert hits == ["stop_hit: Stop-loss hit at ₹3,490.00"], "told once, whoever knew first"
    ((_, latency),) = world.readings("stop_latency_seconds")
    assert latency.value == 1, "measured once, from the tick to the order"


async def test_a_run_sells_at_its_sell_time(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, sell_in=2.5)
    result = await world.result(run)
    assert result.end_reason is EndReason.SOLD_AT_TIME, await world.timeline(run.id)
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sides() == ["BUY", "SELL"]
    sell = world.requests("place")[1]
    row = await world.run(run.id)
    assert sell["arrived_ns"] >= row.sell_at.timestamp() * 1e9, "sold before its time"
