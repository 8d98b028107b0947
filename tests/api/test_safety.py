"""Kill switches, risk limits, analytics."""

from decimal import Decimal

import pytest
from sqlalchemy import select, update
from temporalio.client import Client as TemporalClient

from storage.models import KillSwitch, Order, RiskLimit, Role, Run, User
from tests.api.conftest import Client, Platform
from tests.api.fakes import TCS
from tests.api.rows import add_fill, add_run, ended_run, order_of
from tests.api.test_running import arm
from trading.instruments import Product
from trading.orders import BrokerPosition, Leg, OrderState, SupersededFor
from trading.runs import EndReason, ExitReason


async def run_of(platform: Platform, run_id: str) -> Run:
    async with platform.services.database.transaction() as session:
        return await session.get_one(Run, run_id)


async def make_admin(platform: Platform, user: Client) -> None:
    async with platform.services.database.transaction() as session:
        await session.execute(update(User).where(User.id == user.user_id).values(role=Role.ADMIN))


async def test_the_kill_switch_stops_entries_and_asks_every_position_of_the_user_to_leave(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    mine = [await add_run(platform, user, await platform.connect(user, name)) for name in ("one", "two")]
    theirs = await add_run(platform, other, await platform.connect(other, "three"))
    await arm(platform, mine[0], Leg.ENTRY)
    answer = await user.post("/kill-switch", {"reason": "enough"})
    assert (answer["scope"], answer["status"], answer["runs_affected"]) == ("user", "engaged", 2)
    assert [(await run_of(platform, run.id)).exit_reason for run in mine] == [ExitReason.KILL_SWITCH] * 2
    assert (await run_of(platform, theirs.id)).exit_reason is None
    async with platform.services.database.transaction() as session:
        armed = (await session.scalars(select(Order))).one()
    assert (armed.state, armed.superseded_for) == (OrderState.SUPERSEDED, SupersededFor.KILL_SWITCH)


async def test_pressing_it_twice_is_the_same_switch_and_does_not_move_the_exit(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    first = await user.post("/kill-switch")
    wanted = (await run_of(platform, run.id)).exit_wanted_at
    platform.clock.advance(seconds=3)
    second = await user.post("/kill-switch")
    assert second["kill_switch_id"] == first["kill_switch_id"]
    assert (await run_of(platform, run.id)).exit_wanted_at == wanted


async def test_without_square_off_positions_keep_their_stops(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.post("/kill-switch", {"square_off": False})
    assert (await run_of(platform, run.id)).exit_wanted_at is None
    stricter = await user.post("/kill-switch", {"square_off": True})
    assert stricter["square_off"] is True
    assert (await user.post("/kill-switch", {"square_off": False}))["square_off"] is True


async def test_a_switch_over_one_account_leaves_the_other_alone(platform: Platform) -> None:
    user = await platform.user()
    one, two = await platform.connect(user, "one"), await platform.connect(user, "two")
    first, second = await add_run(platform, user, one), await add_run(platform, user, two)
    await user.post("/kill-switch", {"scope": "account", "scope_id": one})
    assert (await run_of(platform, first.id)).exit_reason is ExitReason.KILL_SWITCH
    assert (await run_of(platform, second.id)).exit_reason is None


async def test_it_works_while_a_workflow_waits_and_tells_it(trading: Platform, temporal_client: TemporalClient) -> None:
    user = await trading.user()
    await trading.connect(user)
    strategy_id = await user.create()
    await user.post(f"/strategy/start/{strategy_id}")
    await user.post("/kill-switch")
    history = await temporal_client.get_workflow_handle(f"strategy-{strategy_id}-2026-11-20").fetch_history()
    assert "stop_requested" in [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]


async def test_only_a_person_releases_it_and_only_once(platform: Platform) -> None:
    user = await platform.user()
    await user.post("/kill-switch")
    released = (await user.call("DELETE", "/kill-switch?reason=over", expect=200)).json()
    assert released["status"] == "released"
    assert (await user.get("/kill-switch"))["items"] == []
    await user.refused("DELETE", "/kill-switch?reason=over", 409, "KILL_SWITCH_NOT_ENGAGED")
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(KillSwitch.released_by))).one() == user.user_id


async def test_the_platforms_switch_is_for_admins_and_shown_to_everybody(platform: Platform) -> None:
    admin, user = await platform.user(), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await user.refused("POST", "/kill-switch", 403, "FORBIDDEN", json={"scope": "platform"})
    await make_admin(platform, admin)
    assert (await admin.post("/kill-switch", {"scope": "platform"}))["runs_affected"] == 1
    assert (await run_of(platform, run.id)).exit_reason is ExitReason.KILL_SWITCH
    assert [switch["scope"] for switch in (await user.get("/kill-switch"))["items"]] == ["platform"]
    await user.refused("DELETE", "/kill-switch?reason=over&scope=platform", 403, "FORBIDDEN")


async def test_a_misspelt_field_of_the_kill_switch_is_refused(platform: Platform) -> None:
    user = await platform.user()
    await user.refused("POST", "/kill-switch", 422, "INVALID_INPUT", json={"squareoff": False})
    assert (await user.get("/kill-switch"))["items"] == []


async def test_risk_limits_are_replaced_as_a_whole(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    assert (await user.get("/risk-limits"))["items"][0]["max_daily_loss"] is None
    body = {"max_daily_loss": "5000.50", "max_orders_per_day": 20}
    await user.call("PUT", "/risk-limits", json=body, expect=200)
    assert (await user.get("/risk-limits"))["items"] == [
        {
            "broker_id": broker_id,
            "max_order_value": None,
            "max_open_value": None,
            "max_orders_per_day": 20,
            "max_daily_loss": 5000.5,
            "square_off_on_loss": False,
        }
    ]
    await user.call("PUT", "/risk-limits", json={"broker_id": broker_id, "max_order_value": 100000}, expect=200)
    async with platform.services.database.transaction() as session:
        limits = (await session.scalars(select(RiskLimit))).one()
    assert (limits.max_order_value, limits.max_daily_loss, limits.max_orders_per_day) == (Decimal(100_000), None, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"max_daily_loss": 0}, 400),
        ({"max_daily_loss": -5}, 400),
        ({"max_daily_loss": 10**30}, 400),
        ({"max_daily_loss": "NaN"}, 400),
        ({"max_orders_per_day": 0}, 400),
        ({"max_orders_per_day": 1.5}, 422),
        ({"max_loss": 5}, 422),
    ],
)
async def test_limits_that_make_no_sense_are_refused(platform: Platform, body: object, status: int) -> None:
    user = await platform.user()
    await platform.connect(user)
    await user.call("PUT", "/risk-limits", json=body, expect=status)
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(RiskLimit))).all() == []


async def test_limits_need_an_account_and_a_choice_among_several(platform: Platform) -> None:
    user = await platform.user()
    await user.refused("PUT", "/risk-limits", 409, "BROKER_NOT_CONNECTED", json={})
    await platform.connect(user, "one")
    await platform.connect(user, "two")
    await user.refused("PUT", "/risk-limits", 409, "BROKER_CHOICE_NEEDED", json={})


async def test_orders_are_listed_newest_first_and_one_is_shown_with_its_fills(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    entry = order_of(run, "t1", now=platform.clock.now())
    later = order_of(run, "t2", now=None, leg=Leg.EXIT, state=OrderState.ARMED, filled_quantity=0)
    async with platform.services.database.transaction() as session:
        session.add(entry)
    async with platform.services.database.transaction() as session:
        session.add(later)
    await add_fill(platform, entry, price="3512.456", quantity=4, trade_id="T1")
    await add_fill(platform, entry, price="3512.53", quantity=6, trade_id="T2")
    page = await user.get("/orders?limit=1")
    following = await user.get("/orders", params={"cursor": page["next_cursor"]})
    assert [item["order_id"] for item in [*page["items"], *following["items"]]] == [later.id, entry.id]
    shown = await user.get(f"/orders/{entry.id}")
    assert [(fill["quantity"], fill["price"]) for fill in shown["fills"]] == [(4, 3512.46), (6, 3512.53)]
    assert (shown["price"], shown["average_price"], shown["tag"]) == (3515.12, 3512.5, "t1")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from_day=2026-11-21&to_day=2026-11-20", 400),
        ("from_day=2024-01-01&to_day=2026-01-01", 400),
        ("from_day=yesterday", 422),
        ("to_day=0", 422),
        ("to_day=1700000000", 422),
        ("to_day=2026-02-30", 422),
        ("from_day=0001-01-01&to_day=0001-01-02", 200),
        ("to_day=0001-01-02", 200),
        ("to_day=9999-12-31", 200),
    ],
)
async def test_periods_out_of_bounds_are_refused(platform: Platform, query: str, status: int) -> None:
    user = await platform.user()
    await user.call("GET", f"/analytics/pnl?{query}", expect=status)


async def test_the_report_calls_a_run_flat_only_when_the_brokers_position_agrees(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await platform.connect(user)
    await user.post("/kill-switch", {"reason": "enough"})
    run = await ended_run(platform, user, broker_id, pnl="5", end_reason=EndReason.KILL_SWITCH)

    async def standings() -> dict[str, str]:
        (switch,) = (await user.get("/kill-switch"))["items"]
        return {line["run_id"]: line["standing"] for line in switch["runs"]}

    assert await standings() == {run.id: "flat_verified"}
    platform.broker.held = [BrokerPosition(TCS, Product.MIS, 10, Decimal(3500), Decimal(3500))]
    assert await standings() == {run.id: "differs"}
    other = await add_run(platform, user, broker_id)
    assert await standings() == {run.id: "flat_verified", other.id: "held"}, "the shares are another run's"
    platform.broker.is_down = True
    assert (await standings())[run.id] == "flat", "a position that cannot be read proves nothing"


async def test_the_report_shows_a_user_their_own_runs_and_an_admin_everybodys(platform: Platform) -> None:
    admin, user, other = await platform.user(), await platform.user(), await platform.user()
    mine = await add_run(platform, user, await platform.connect(user, "mine"))
    theirs = await add_run(platform, other, await platform.connect(other, "theirs"))
    await make_admin(platform, admin)
    await admin.post("/kill-switch", {"scope": "platform", "reason": "exercise"})

    async def shown(to: Client) -> list[str]:
        return [line["run_id"] for switch in (await to.get("/kill-switch"))["items"] for line in switch["runs"]]

    assert await shown(user) == [mine.id]
    assert sorted(await shown(admin)) == sorted([mine.id, theirs.id])


async def test_what_an_admin_engaged_about_a_user_only_an_admin_releases(platform: Platform) -> None:
    admin, user = await platform.user(), await platform.user()
    await make_admin(platform, admin)
    await user.post("/kill-switch", {"reason": "mine"})
    await admin.post("/kill-switch", {"scope_id": user.user_id, "reason": "suspicion"})
    await admin.refused("POST", "/kill-switch", 404, "USER_NOT_FOUND", json={"scope_id": "usr_nobody"})
    await user.refused("DELETE", "/kill-switch?reason=please", 403, "FORBIDDEN")
    assert (await admin.call("DELETE", f"/kill-switch?reason=cleared&scope_id={user.user_id}", expect=200)).json()["status"] == (
        "released"
    )


async def test_releasing_needs_a_reason(platform: Platform) -> None:
    user = await platform.user()
    await user.post("/kill-switch")
    await user.refused("DELETE", "/kill-switch", 422, "INVALID_INPUT")
    async with platform.services.database.transaction() as session:
        assert (await session.scalars(select(KillSwitch.released_at))).one() is None
