"""Shares that somebody else has sold are taken off a run under its lock, and not while its own exit may be selling them."""

from datetime import timedelta

import pytest

from execution.ledger import take_shortfall
from storage.database import Database
from storage.models import Run
from tests.integration.storage.rows import NOW, Rows
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import Leg, OrderState
from trading.runs import RunState

TCS = LedgerKey(InstrumentId("NSE", "TCS"), Product.MIS)


async def taken_beside(database: Database, state: OrderState) -> int:
    """What is taken off a run of 10 when 10 are missing and its exit is in that state."""
    rows = Rows(database)
    account = await rows.account()
    run = await rows.run(account, bought=10, state=RunState.HOLDING)
    await rows.order(run, Leg.EXIT, state=state)
    await take_shortfall(database, account.id, TCS, 10, now=NOW + timedelta(minutes=1))
    async with database.transaction() as session:
        fresh = await session.get_one(Run, run.id)
        return fresh.taken_elsewhere


@pytest.mark.parametrize("state", [OrderState.SENDING, OrderState.UNKNOWN])
async def test_nothing_is_taken_off_a_run_whose_exit_is_in_doubt(database: Database, state: OrderState) -> None:
    assert await taken_beside(database, state) == 0


async def test_missing_shares_are_taken_off_a_run_whose_exit_waits(database: Database) -> None:
    assert await taken_beside(database, OrderState.ARMED) == 10
