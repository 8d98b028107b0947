"""`make run` as a newcomer sees it, then a user's whole day on it, and the exchange's word on what they did."""

import httpx

from tests.e2e.conftest import Platform
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


async def test_a_users_day_from_registration_to_logout(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=f"{platform.api_url}/api/v1", timeout=LIMIT_SECONDS) as http:
        web, mobile = App(http), App(http)
        await comes_in(web, mobile)
        broker_id = await connects(web, platform)
        await is_ready(mobile, broker_id)
        async with mobile.listening("/stream"):
            strategy_id = await trades(web, mobile)
        await looks_back(web, strategy_id, broker_id)
        await looks_after_itself(web, mobile, broker_id)
        await goes(web, mobile)
    assert [row["parameters"]["transaction_type"] for row in platform.placed("walker")] == ["BUY", "SELL"]
    assert platform.net_position("walker", SYMBOL) == 0
