"""`make run` as a newcomer sees it, and the exchange's word on what it did."""

from tests.e2e.conftest import Platform
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
