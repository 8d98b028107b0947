"""Alerts: whose they are, who may end them, and the list of them."""

from sqlalchemy import update

from storage.models import Alert, Role, User
from tests.api.conftest import Client, Platform
from tests.api.rows import add_alert


async def make_admin(platform: Platform, user: Client) -> None:
    async with platform.services.database.transaction() as session:
        await session.execute(update(User).where(User.id == user.user_id).values(role=Role.ADMIN))


async def kinds(client: Client, query: str = "") -> list[str]:
    return [item["kind"] for item in (await client.get(f"/alerts{query}"))["items"]]


async def test_an_alert_stays_until_its_cause_is_gone_and_is_silent_once_acknowledged(platform: Platform) -> None:
    user = await platform.user()
    first = await add_alert(platform, user.user_id, key="one")
    await add_alert(platform, user.user_id, key="two")
    answer = await user.post(f"/alerts/{first.id}/acknowledge")
    assert (answer["acknowledged_at"], answer["cleared_at"]) == ("2026-11-20T03:50:00Z", None)
    platform.clock.advance(seconds=5)
    assert (await user.post(f"/alerts/{first.id}/acknowledge"))["acknowledged_at"] == answer["acknowledged_at"]
    assert len(await kinds(user)) == 1


async def test_what_only_a_person_can_end_is_over_once_acknowledged(platform: Platform) -> None:
    user = await platform.user()
    alert = await add_alert(platform, user.user_id, key="one", kind="order_doubled")
    answer = await user.post(f"/alerts/{alert.id}/acknowledge")
    assert answer["cleared_at"] == answer["acknowledged_at"] == "2026-11-20T03:50:00Z"
    assert answer["ends_when"] == "a person acknowledges it"
    platform.clock.advance(seconds=5)
    assert (await user.post(f"/alerts/{alert.id}/acknowledge"))["cleared_at"] == answer["cleared_at"]


async def test_the_platforms_alerts_are_shown_to_everybody_and_acknowledged_by_an_admin(platform: Platform) -> None:
    user, admin = await platform.user(), await platform.user()
    await make_admin(platform, admin)
    alert = await add_alert(platform, None, key="feed:zerodha")
    assert await kinds(user) == await kinds(admin) == ["feed_silent"]
    await user.refused("POST", f"/alerts/{alert.id}/acknowledge", 403, "FORBIDDEN")
    await admin.post(f"/alerts/{alert.id}/acknowledge")
    assert await kinds(user) == []
    assert await kinds(user, "?only_open=false") == ["feed_silent"]


async def test_an_alert_without_owner_whose_kind_is_somebodys_is_shown_to_admins_only(platform: Platform) -> None:
    user, admin = await platform.user(), await platform.user()
    await make_admin(platform, admin)
    await add_alert(platform, None, key="k", kind="order_oddity")
    assert (await kinds(user), await kinds(admin), await kinds(admin, "?everyone=true")) == ([], [], ["order_oddity"])


async def test_an_admin_sees_and_ends_everybodys_and_nobody_else_does(platform: Platform) -> None:
    user, other, admin = await platform.user(), await platform.user(), await platform.user()
    await make_admin(platform, admin)
    alert = await add_alert(platform, user.user_id, key="one", kind="order_oddity")
    assert await kinds(admin) == []
    assert await kinds(admin, "?everyone=true") == ["order_oddity"]
    await other.refused("GET", "/alerts?everyone=true", 403, "FORBIDDEN")
    await other.refused("POST", f"/alerts/{alert.id}/acknowledge", 404, "ALERT_NOT_FOUND")
    await admin.post(f"/alerts/{alert.id}/acknowledge")
    assert await kinds(user) == []


async def test_alerts_are_filtered_by_kind_and_severity(platform: Platform) -> None:
    user = await platform.user()
    for kind in ("order_oddity", "workflow_lost", "token_expired"):
        await add_alert(platform, user.user_id, key=kind, kind=kind)
    assert await kinds(user, "?kind=order_oddity") == ["order_oddity"]
    assert await kinds(user, "?severity=warning") == ["workflow_lost"]
    assert await kinds(user, "?severity=critical&kind=workflow_lost") == []
    await user.refused("GET", "/alerts?severity=mild", 400, "INVALID_VALUE")


async def test_pages_hold_every_alert_once_while_new_ones_are_raised(platform: Platform) -> None:
    user = await platform.user()
    ids = [(await add_alert(platform, user.user_id, key=f"k{number}")).id for number in range(5)]
    seen: list[str] = []
    page = await user.get("/alerts?limit=2")
    while True:
        seen += [item["alert_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        await add_alert(platform, user.user_id, key=f"new{len(seen)}")
        page = await user.get("/alerts", params={"limit": 2, "cursor": page["next_cursor"]})
    assert seen == sorted(ids, reverse=True)
    async with platform.services.database.transaction() as session:
        assert await session.get(Alert, ids[0]) is not None
