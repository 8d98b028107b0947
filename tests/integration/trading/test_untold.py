"""A plan was changed in the rows and the workflow could not be told: the rows are what counts."""

import asyncio
from datetime import timedelta

from execution.commands import PlanChangeTaken, take_plan_change
from storage.models import BrokerAccount, Run
from tests.integration.trading.world import World
from tests.waiting import DEADLINE_SECONDS
from trading.runs import EndReason
from workflows import names


async def _move_sell_time(world: World, account: BrokerAccount, run: Run, *, seconds: float) -> PlanChangeTaken:
    now = world.clock.now()
    async with world.database.transaction() as session:
        taken = await take_plan_change(
            session,
            run_id=run.id,
            user_id=account.user_id,
            sell_at=now + timedelta(seconds=seconds),
            stop_loss=None,
            now=now,
        )
    assert isinstance(taken, PlanChangeTaken)
    return taken


async def test_a_later_sell_time_holds_although_the_workflow_wakes_at_the_earlier_one(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, sell_in=6.0)
    await world.until_holding(run)
    taken = await _move_sell_time(world, account, run, seconds=3600)
    moved_to = taken.sell_at.isoformat().replace("+00:00", "Z")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await world.workflow(run).query(names.STATUS))["sell_at"] != moved_to and world.sides() == ["BUY"]:
            await asyncio.sleep(0.2)
    assert world.sides() == ["BUY"], "sold at a time that had been moved away"
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
