"""Paper accounts by way of the API: opened without a broker, looked into, begun again."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from cache.prices import HotPrice, PriceCache
from storage.models import AuditEntry, PaperAccount, PaperHolding
from tests.api.conftest import Client, Platform
from tests.api.fakes import TCS
from tests.api.rows import add_run
from trading.instruments import Product
from trading.runs import RunState
from trading.sessions import trading_date


async def open_paper(user: Client, **more: object) -> str:
    answer = await user.post("/broker/connect", {"broker": "paper", **more}, expect=201)
    assert (answer["status"], answer["broker_valid"], answer["environment"]) == ("connected", True, "simulated")
    return str(answer["broker_id"])


async def hold(platform: Platform, broker_id: str) -> None:
    """Bought 10 TCS at 3,500 and sold 4 of them with 40 rupees of profit, as the exchange would have written it."""
    async with platform.services.database.transaction() as session:
        account = (await session.scalars(select(PaperAccount).where(PaperAccount.account_id == broker_id))).one()
        account.cash -= Decimal(20_960)
        session.add(
            PaperHolding(
                account_id=broker_id,
                exchange="NSE",
                symbol="TCS",
                product=Product.MIS,
                quantity=6,
                cost=Decimal(21_000),
                realised=Decimal(40),
                traded_on=trading_date(platform.clock.now()),
            )
        )


async def test_it_is_opened_without_keys_and_is_logged_in_for_ever(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await open_paper(user, label="Try", cash=500_000, slippage_percent="0.05", largest_fill=100)
    (account,) = (await user.get("/broker/list"))["items"]
    assert (account["broker"], account["label"], account["status"]) == ("paper", "Try", "connected")
    assert account["token_expires_at"] is None
    books = await user.get(f"/broker/{broker_id}/paper")
    assert (books["cash"], books["starting_cash"], books["value"]) == (500_000, 500_000, 500_000)
    assert (books["slippage_percent"], books["largest_fill"], books["holdings"]) == (0.05, 100, [])
    assert (await user.get(f"/broker/{broker_id}/margins"))["available"] == 500_000
    assert (await user.get(f"/broker/{broker_id}/positions"))["items"] == []
    async with platform.services.database.transaction() as session:
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.subject_id == broker_id))).all()
    assert [entry.action for entry in entries] == ["broker.connect"]


async def test_what_is_held_is_shown_at_the_last_price_and_unknown_is_not_zero(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await open_paper(user)
    await hold(platform, broker_id)
    books = await user.get(f"/broker/{broker_id}/paper")
    assert (books["realised_pnl"], books["open_pnl"], books["value"]) == (40, None, None)
    await PriceCache(platform.services.redis).write({TCS: HotPrice(Decimal("3510.50"), platform.clock.now())})
    books = await user.get(f"/broker/{broker_id}/paper")
    (held,) = books["holdings"]
    assert (held["quantity"], held["average_price"], held["last_price"], held["open_pnl"]) == (6, 3500, 3510.5, 63)
    assert books["value"] - books["starting_cash"] == books["realised_pnl"] + books["open_pnl"] == 103


async def test_it_begins_again_with_new_cash_and_rules(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await open_paper(user, largest_fill=5)
    await hold(platform, broker_id)
    books = await user.post(f"/broker/{broker_id}/paper/reset", {"cash": "250000.50"})
    assert (books["cash"], books["value"], books["realised_pnl"]) == (250_000.5, 250_000.5, 0)
    assert (books["largest_fill"], books["slippage_percent"], books["holdings"]) == (None, 0.02, [])


async def test_it_does_not_begin_again_under_a_run(platform: Platform) -> None:
    user = await platform.user()
    broker_id = await open_paper(user)
    run = await add_run(platform, user, broker_id)
    await user.refused("POST", f"/broker/{broker_id}/paper/reset", 409, "BROKER_IN_USE", json={})
    async with platform.services.database.transaction() as session:
        (await session.merge(run)).state = RunState.ENDED
    await user.post(f"/broker/{broker_id}/paper/reset", {})


async def test_an_account_at_a_broker_has_no_paper_books_and_a_paper_account_no_login(platform: Platform) -> None:
    user = await platform.user()
    at_a_broker, on_paper = await platform.connect(user), await open_paper(user)
    await user.refused("GET", f"/broker/{at_a_broker}/paper", 400, "BROKER_NOT_SUPPORTED")
    await user.refused("POST", f"/broker/{at_a_broker}/paper/reset", 400, "BROKER_NOT_SUPPORTED", json={})
    await user.refused("GET", f"/broker/{on_paper}/login-url", 400, "BROKER_NOT_SUPPORTED")
    body = {"access_token": "x"}
    await user.refused("POST", f"/broker/{on_paper}/session", 400, "BROKER_NOT_SUPPORTED", json=body)
    await user.refused("GET", "/broker/paper/callback?state=x&request_token=y", 400, "BROKER_NOT_SUPPORTED")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"cash": 0}, 400),
        ({"cash": -1}, 400),
        ({"cash": 10**30}, 400),
        ({"cash": "NaN"}, 400),
        ({"cash": True}, 422),
        ({"slippage_percent": 11}, 400),
        ({"slippage_percent": -0.1}, 400),
        ({"slippage_percent": "lots"}, 422),
        ({"largest_fill": 0}, 400),
        ({"largest_fill": 1.5}, 422),
        ({"cahs": 5}, 422),
    ],
)
async def test_terms_that_make_no_sense_are_refused(platform: Platform, more: dict[str, object], status: int) -> None:
    user = await platform.user()
    await user.call("POST", "/broker/connect", json={"broker": "paper", **more}, expect=status)
    assert (await user.get("/broker/list"))["items"] == []


async def test_a_user_has_many_and_not_any_number(platform: Platform) -> None:
    user = await platform.user()
    opened = [await open_paper(user) for _ in range(20)]
    assert len(set(opened)) == 20
    await user.refused("POST", "/broker/connect", 400, "INVALID_VALUE", json={"broker": "paper"})
    await user.call("DELETE", f"/broker/{opened[0]}", expect=200)
    await open_paper(user)


async def test_somebody_elses_paper_account_is_not_there(platform: Platform) -> None:
    owner, stranger = await platform.user(), await platform.user()
    broker_id = await open_paper(owner, cash=1000)
    await open_paper(stranger)
    await stranger.refused("GET", f"/broker/{broker_id}/paper", 404, "BROKER_NOT_FOUND")
    await stranger.refused("POST", f"/broker/{broker_id}/paper/reset", 404, "BROKER_NOT_FOUND", json={})
    await stranger.refused("GET", "/broker/brk_00000000000000000000000000/paper", 404, "BROKER_NOT_FOUND")
    assert (await owner.get(f"/broker/{broker_id}/paper"))["cash"] == 1000
