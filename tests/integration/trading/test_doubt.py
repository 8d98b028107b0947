"""Answers that go missing: from doubt to the truth by the broker's book, never by sending again. Judged by the exchange's log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client

from storage.models import Alert
from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS, eventually_asked
from trading.runs import EndReason

# The order was accepted although no clear answer came: it must be found by its tag and adopted.
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("accept_then_drop", {}),
    ("status_500", {"accepted": True}),
    ("status_502_html", {"accepted": True}),
    ("status_503", {"accepted": True}),
    ("half_json", {}),
    ("timeout_400", {}),
    ("ok_with_error_inside", {"accepted": True}),
    ("slow", {"delay_ms": 1500}),
    ("accept_late", {"delay_ms": 600, "answer": "drop"}),
]
# Nothing was accepted, but only two reads of the book may say so.
NOT_ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("status_500", {}),
    ("status_502_html", {}),
    ("redirect", {}),
    ("ok_with_error_inside", {}),
]


def _names(cases: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [kind + ("-accepted" if fields.get("accepted") else "") for kind, fields in cases]


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


def tags(world: World) -> list[str]:
    return [row["parameters"]["tag"] for row in world.requests("place")]


@pytest.mark.parametrize(("kind", "fields"), ACCEPTED, ids=_names(ACCEPTED))
async def test_an_accepted_entry_without_an_answer_is_found_and_not_sent_again(
    world: World, kind: str, fields: dict[str, Any]
) -> None:
    account = await world.add_account()
    world.sim.add_fault(kind, endpoint="place", count=1, **fields)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert world.sides() == ["BUY"]
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.bought, result.sold) == (10, 10)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


@pytest.mark.parametrize(("kind", "fields"), ACCEPTED, ids=_names(ACCEPTED))
async def test_an_accepted_exit_without_an_answer_is_found_and_not_sent_again(
    world: World, kind: str, fields: dict[str, Any]
) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.add_fault(kind, endpoint="place", count=1, **fields)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


@pytest.mark.parametrize(("kind", "fields"), NOT_ACCEPTED, ids=_names(NOT_ACCEPTED))
async def test_an_entry_that_never_arrived_is_proven_absent_and_tried_again_under_a_new_tag(
    world: World, kind: str, fields: dict[str, Any]
) -> None:
    account = await world.add_account()
    world.sim.add_fault(kind, endpoint="place", count=1, **fields)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert len(tags(world)) == len(set(tags(world))), "an attempt was sent twice"
    assert world.sim.net_position("alice", "TCS") == 10
    entries = [order for order in await world.orders(run.id) if order.leg == "entry"]
    assert [order.state.value for order in entries[:-1]] == ["absent"]
    assert entries[-1].filled_quantity == 10


@pytest.mark.parametrize(("kind", "fields"), NOT_ACCEPTED, ids=_names(NOT_ACCEPTED))
async def test_an_exit_that_never_arrived_is_proven_absent_and_tried_again(
    world: World, kind: str, fields: dict[str, Any]
) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.add_fault(kind, endpoint="place", count=1, **fields)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert len(tags(world)) == len(set(tags(world)))
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_stale_book_proves_nothing(world: World) -> None:
    """The first reads after the lost answer show the book of before; believing them would buy twice."""
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.add_fault("stale_book", seconds=30, count=6)
    world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.sold == 10
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_reads_that_fail_prove_nothing(world: World) -> None:
    account = await world.add_account()
    world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
    world.sim.add_fault("status_503", endpoint="orders", count=5)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert world.sides() == ["BUY"]


async def test_a_broker_whose_book_cannot_be_read_is_an_alarm_until_it_can(world: World) -> None:
    account = await world.add_account()
    # A buy that rests: there is something to be read for.
    world.sim.add_fault("never_fill", endpoint="place", count=1)
    world.sim.add_fault("status_503", endpoint="orders", count=10_000)
    await world.start_run(account)
    await until_up(world, {"broker_down"})
    world.sim.faults.clear()
    await until_up(world, set())


async def until_up(world: World, kinds: set[str]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with world.database.transaction() as session:
                found = set(await session.scalars(select(Alert.kind).where(Alert.cleared_at.is_(None))))
            if found == kinds:
                return
            await asyncio.sleep(0.1)


async def test_an_order_that_lands_long_after_its_absence_was_proven_is_taken_back_and_its_fills_are_sold(world: World) -> None:
    account = await world.add_account()
    world.lead = type(world.lead)(base_seconds=1.0, jitter_seconds=0.0, deadline_seconds=3.0)
    world.sim.add_fault("accept_late", endpoint="place", count=1, delay_ms=9000, answer="drop")
    run = await world.start_run(account)
    await world.until(run.id, lambda row, orders: any(order.state == "absent" for order in orders), "absence proven")
    await world.until(
        run.id,
        lambda row, orders: any(
            order.state in ("filled", "cancelled") and order.attempt == 1 for order in orders if order.leg == "entry"
        ),
        "the late order is adopted",
    )
    bought = sum(order.filled_quantity for order in await world.orders(run.id) if order.leg == "entry")
    await world.cross_stop(run, "3490", signal=False)
    await world.until(run.id, lambda row, orders: row.sold == row.bought == bought, "what it filled is sold")
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_refusal_for_the_rate_is_tried_again_within_the_deadline(world: World) -> None:
    account = await world.add_account()
    world.sim.add_fault("status_429", endpoint="place", count=2)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert world.sides().count("BUY") == 3


async def test_an_exit_waits_for_a_new_login_and_goes_on_by_itself(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.expire_token("alice")
    await world.cross_stop(run, "3490")
    await world.until(run.id, lambda row, orders: any(order.refusal == "session" for order in orders), "the exit is refused")
    assert world.sim.net_position("alice", "TCS") == 10

    async def alarms() -> list[str]:
        async with world.database.transaction() as session:
            return list(await session.scalars(select(Alert.message).where(Alert.kind == "token_expired")))

    # Raised after the refusal is stored, in a transaction of its own.
    told = await eventually_asked(alarms, bool, "an alarm")
    assert [f"/broker/{account.id}/login-url" in message for message in told] == [True], "the alarm says where to log in"
    await world.log_in_again(account)
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_exit_sent_with_a_login_that_was_renewed_a_moment_before_does_not_wait_for_another_one(world: World) -> None:
    """The new login is in the rows, the desk still has the old one: the refusal is later than the login it knows nothing of."""
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.expire_token("alice")
    await world.log_in_again(account)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert [order.refusal for order in await world.orders(run.id) if order.leg == "exit"] == ["session", None]
    assert world.sim.net_position("alice", "TCS") == 0
