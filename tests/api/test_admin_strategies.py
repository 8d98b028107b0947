"""Everybody's strategies, and the stop by force."""

from sqlalchemy import event, select

from storage.models import AuditEntry, Order, Run, Strategy
from tests.api.conftest import Client, Platform
from tests.api.rows import add_run, ended_run, order_of
from tests.api.test_admin import as_admin
from trading.orders import Leg, OrderState
from trading.plan import Repeat
from trading.runs import RunState, StrategyState

REASON = "The exchange asked us to end it"


async def force(admin: Client, strategy_id: str, **body: object) -> dict[str, object]:
    answer: dict[str, object] = await admin.post(f"/admin/strategies/{strategy_id}/force-stop", {"reason": REASON, **body})
    return answer


async def test_all_strategies_are_listed_with_owner_and_newest_run(platform: Platform) -> None:
    admin, one, two = await as_admin(platform), await platform.user("one@example.com"), await platform.user("two@example.com")
    held = await add_run(platform, one, await platform.connect(one))
    idle = await two.create(symbol="INFY", stop_loss=1000)
    listed = (await admin.get("/admin/strategies"))["items"]
    assert [(item["strategy"]["strategy_id"], item["owner_email"]) for item in listed] == [
        (idle, "two@example.com"),
        (held.strategy_id, "one@example.com"),
    ]
    assert [item["newest_run"] and item["newest_run"]["run_id"] for item in listed] == [None, held.id]


async def test_the_list_is_filtered_and_paged(platform: Platform) -> None:
    admin, one, two = await as_admin(platform), await platform.user("one@example.com"), await platform.user("two@example.com")
    broker_id = await platform.connect(one)
    held = await add_run(platform, one, broker_id, strategy_id=await one.create(broker_id=broker_id))
    idle = await two.create(symbol="INFY", stop_loss=1000, name="Evening")
    for filters, expected in (
        ({"user_id": one.user_id}, [held.strategy_id]),
        ({"status": "running"}, [held.strategy_id]),
        ({"symbol": "infy"}, [idle]),
        ({"broker": "zerodha"}, [held.strategy_id]),
        ({"broker": "dhan"}, []),
        ({"environment": "simulated"}, [held.strategy_id]),
        ({"has_open_run": True}, [held.strategy_id]),
        ({"has_open_run": False}, [idle]),
        ({"query": "TWO@"}, [idle]),
        ({"query": "even"}, [idle]),
        ({"query": "_"}, []),
    ):
        listed = (await admin.get("/admin/strategies", params=filters))["items"]
        assert [item["strategy"]["strategy_id"] for item in listed] == expected, filters
    first = await admin.get("/admin/strategies?limit=1")
    rest = await admin.get("/admin/strategies", params={"limit": 1, "cursor": first["next_cursor"]})
    ids = [item["strategy"]["strategy_id"] for page in (first, rest) for item in page["items"]]
    assert (ids, rest["next_cursor"]) == ([idle, held.strategy_id], None)


async def test_the_list_takes_as_many_statements_for_many_strategies_as_for_one(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    counts = []
    statements: list[str] = []
    event.listen(
        platform.services.database.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    )
    for _ in range(2):
        for _ in range(3):
            await ended_run(platform, user, broker_id, pnl="1")
        statements.clear()
        await admin.get("/admin/strategies")
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_a_forced_stop_sells_and_its_reason_is_told_to_the_owner_and_in_the_audit_log(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    answer = await force(admin, run.strategy_id)
    assert answer["stopped"]["message"].startswith("Selling 10 TCS")  # type: ignore[index]
    async with platform.services.database.transaction() as session:
        stored = await session.get_one(Run, run.id)
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "strategy.force_stop"))).one()
    assert stored.exit_reason is not None
    assert stored.exit_reason.value == "user_stop"
    assert (entry.actor_id, entry.data["reason"], entry.data["owner_id"]) == (admin.user_id, REASON, user.user_id)
    lines = (await user.get(f"/strategy/{run.strategy_id}/timeline"))["items"]
    assert lines[-1]["message"] == f"An administrator stopped this run, to sell: {REASON}"


async def test_an_entry_that_has_not_left_never_leaves_after_a_forced_stop(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    run = await add_run(platform, user, await platform.connect(user), state=RunState.ENTERING, bought=0)
    async with platform.services.database.transaction() as session:
        session.add(order_of(run, "t1", now=None, state=OrderState.ARMED, filled_quantity=0, leg=Leg.ENTRY))
    answer = await force(admin, run.strategy_id, square_off=False)
    assert answer["stopped"]["entry_stopped"] is True  # type: ignore[index]
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(Order.state).where(Order.run_id == run.id))).one() is OrderState.SUPERSEDED


async def test_a_forced_stop_after_the_owners_own_changes_nothing_and_is_told_all_the_same(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.post(f"/strategy/stop/{run.strategy_id}", {"square_off": False})
    await force(admin, run.strategy_id)
    async with platform.services.database.transaction() as session:
        stored = await session.get_one(Run, run.id)
    assert (stored.leave_open, stored.exit_reason) == (True, None)
    lines = [line["message"] for line in (await user.get(f"/strategy/{run.strategy_id}/timeline"))["items"]]
    assert lines[-2:] == [
        "You asked to stop and keep the position",
        f"An administrator asked to stop as well: {REASON}",
    ]


async def test_a_repeating_strategy_between_two_days_is_kept_from_starting_again(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    broker_id = await platform.connect(user)
    strategy_id = await user.create(repeat=Repeat.DAILY.value, broker_id=broker_id)
    await ended_run(platform, user, broker_id, pnl="1", strategy_id=strategy_id)
    assert (await force(admin, strategy_id))["stopped"] is None
    async with platform.services.database.transaction() as session:
        assert (await session.get_one(Strategy, strategy_id)).state is StrategyState.STOPPED
    await admin.refused("POST", f"/admin/strategies/{strategy_id}/force-stop", 409, "NOT_RUNNING", json={"reason": REASON})


async def test_a_forced_stop_needs_a_reason_and_something_to_stop(platform: Platform) -> None:
    admin, user = await as_admin(platform), await platform.user()
    path = f"/admin/strategies/{await user.create()}/force-stop"
    await admin.refused("POST", path, 422, "INVALID_INPUT", json={})
    await admin.refused("POST", path, 400, "INVALID_VALUE", json={"reason": "  "})
    await admin.refused("POST", path, 409, "NOT_RUNNING", json={"reason": REASON})
    nowhere = f"/admin/strategies/str_{'0' * 26}/force-stop"
    await admin.refused("POST", nowhere, 404, "STRATEGY_NOT_FOUND", json={"reason": REASON})
    assert (await admin.get("/admin/audit", params={"action": "strategy.force_stop"}))["items"] == []
