"""`make run` as a newcomer sees it, then a user's whole day on it, and the exchange's word on what they did."""

import httpx
import pytest

from tests.e2e.conftest import Platform
from tests.e2e.document import Document
from tests.e2e.mailbox import mailbox
from tests.e2e.rest_of_day import (
    is_administered,
    is_told,
    is_woken,
    logs_in_at_the_broker,
    makes_an_admin,
    plays,
    runs_once_more,
    secures,
)
from tests.e2e.walk import (
    LIMIT_SECONDS,
    SYMBOL,
    App,
    comes_in,
    connects,
    goes,
    is_ready,
    looks_after_itself,
    looks_back,
    trades,
)
from tests.waiting import eventually_blocking


def test_the_demo_buys_is_stopped_out_and_is_proven_flat(platform: Platform) -> None:
    eventually_blocking(lambda: "Proven flat" in platform.output.read_text(), "the demo ends", deadline_seconds=90)
    shown = platform.output.read_text()
    for words in ("Bought 10 at", "Stop-loss armed at", "Stop-loss hit at", "Sold 10 at", "Flat."):
        assert words in shown
    requests = platform.placed("demo")
    assert [row["parameters"]["transaction_type"] for row in requests] == ["BUY", "SELL"]
    assert all(row["parameters"]["order_type"] == "LIMIT" for row in requests)
    assert platform.net_position("demo", "TCS") == 0


# Pushes go through a service outside.
NOT_WITHOUT_A_SERVICE = {"testDevice"}


@pytest.mark.timeout(400)
async def test_a_users_day_in_which_each_operation_of_the_document_is_answered_well(
    platform: Platform, temporal_address: str
) -> None:
    async with httpx.AsyncClient(base_url=f"{platform.api_url}/api/v1", timeout=LIMIT_SECONDS) as http:
        document = Document((await http.get("/openapi.json")).json()["paths"])
        web, mobile = App(http, document), App(http, document)
        boss, staff, stranger = web.another(), web.another(), web.another()
        await comes_in(web, mobile)
        broker_id = await connects(web, platform)
        await is_ready(mobile, broker_id)
        async with mobile.listening("/stream"):
            strategy_id = await trades(web, mobile)
        await looks_back(web, strategy_id, broker_id)
        await looks_after_itself(web, mobile, broker_id)
        await logs_in_at_the_broker(web, platform, broker_id)
        result_id = await plays(web, broker_id)
        await runs_once_more(web, stranger, result_id)
        with mailbox() as box:
            await is_told(web, box)
            await is_woken(web, box, platform, temporal_address)
        await makes_an_admin(boss, platform)
        await is_administered(boss, staff, web, broker_id)
        await secures(web, mobile)
        await goes(web, mobile)
    assert document.operations() - document.answered == NOT_WITHOUT_A_SERVICE
    assert [row["parameters"]["transaction_type"] for row in platform.placed("walker")] == ["BUY", "SELL", "BUY", "SELL"]
    assert platform.net_position("walker", SYMBOL) == 0
