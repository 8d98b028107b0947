"""Processes killed with -9 in the middle of a trade, in the whole platform; the supervisor starts them again."""

from tests.e2e.conftest import Platform
from tests.waiting import eventually_blocking
from trading.accounts import BrokerName


def _sides(platform: Platform, name: str) -> list[str]:
    return [row["parameters"]["transaction_type"] for row in platform.placed(name)]


def _is_covered(status: dict[str, object]) -> bool:
    orders = status["orders"]
    assert isinstance(orders, list)
    return any(order["leg"] == "exit" and order["state"] == "armed" for order in orders)


def test_a_worker_killed_while_holding_still_sells_at_the_stop(platform: Platform) -> None:
    platform.sign_up("asha")
    platform.control("POST", "/prices", {"INFY": 1500})
    strategy = platform.start_now(symbol="INFY", stop_loss=1450)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.kill("worker-1")
    platform.control("POST", "/prices", {"INFY": 1440})
    platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    assert _sides(platform, "asha") == ["BUY", "SELL"]
    assert platform.net_position("asha", "INFY") == 0


def test_a_worker_killed_with_its_exit_on_the_wire_finds_it_and_does_not_sell_again(platform: Platform) -> None:
    platform.sign_up("ravi")
    platform.control("POST", "/prices", {"SBIN": 800})
    strategy = platform.start_now(symbol="SBIN", stop_loss=780)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.control(
        "POST", "/faults", {"kind": "slow", "endpoint": "place", "account": "sim-ravi", "count": 1, "delay_ms": 3000}
    )
    platform.control("POST", "/prices", {"SBIN": 775})
    eventually_blocking(lambda: _sides(platform, "ravi") == ["BUY", "SELL"], "the exit is at the exchange")
    platform.kill("worker-1")
    platform.until(strategy, lambda status: status["status"] == "completed", "found and ended")
    assert _sides(platform, "ravi") == ["BUY", "SELL"]
    assert platform.net_position("ravi", "SBIN") == 0


def test_a_listener_killed_before_the_crossing_compares_the_first_price_with_the_stops(platform: Platform) -> None:
    platform.sign_up("meena")
    platform.control("POST", "/prices", {"RELIANCE": 1400})
    strategy = platform.start_now(symbol="RELIANCE", stop_loss=1350)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.kill("listener")
    platform.control("POST", "/prices", {"RELIANCE": 1340})
    platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    assert _sides(platform, "meena") == ["BUY", "SELL"]
    assert platform.net_position("meena", "RELIANCE") == 0


def test_redis_killed_while_holding_loses_nothing(platform: Platform) -> None:
    platform.sign_up("kiran")
    platform.control("POST", "/prices", {"HDFCBANK": 1000})
    strategy = platform.start_now(symbol="HDFCBANK", stop_loss=950)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.kill("redis")
    platform.control("POST", "/prices", {"HDFCBANK": 940})
    platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    assert _sides(platform, "kiran") == ["BUY", "SELL"]
    assert platform.net_position("kiran", "HDFCBANK") == 0


def test_postgres_killed_while_holding_comes_back_and_the_stop_still_sells(platform: Platform) -> None:
    platform.sign_up("divya")
    platform.control("POST", "/prices", {"ITC": 400})
    strategy = platform.start_now(symbol="ITC", stop_loss=390)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.kill("postgres")
    platform.control("POST", "/prices", {"ITC": 385})

    def completed() -> bool:
        try:
            return bool(platform.status(strategy)["status"] == "completed")
        except OSError:
            return False

    eventually_blocking(completed, "stopped out", deadline_seconds=60)
    assert _sides(platform, "divya") == ["BUY", "SELL"]
    assert platform.net_position("divya", "ITC") == 0


def test_the_only_worker_killed_in_the_middle_of_many_exits_leaves_every_run_flat_and_sold_once(platform: Platform) -> None:
    names = [f"herd{number}" for number in range(20)]
    platform.control("POST", "/prices", {"LT": 3500})
    strategies: dict[str, tuple[str, str]] = {}
    for name in names:
        platform.sign_up(name)
        strategies[name] = (platform.start_now(symbol="LT", stop_loss=3400), platform.token)
    for strategy, token in strategies.values():
        platform.token = token
        platform.until(strategy, _is_covered, "bought and covered")
    # Slow answers keep exits on the wire while the worker dies.
    platform.control("POST", "/faults", {"kind": "slow", "endpoint": "place", "count": 20, "delay_ms": 400, "when": "before"})
    platform.control("POST", "/prices", {"LT": 3390})
    eventually_blocking(
        lambda: any("SELL" in _sides(platform, name) for name in names),
        "the first exits are at the exchange",
        deadline_seconds=30,
    )
    platform.kill("worker-1")
    for strategy, token in strategies.values():
        platform.token = token
        platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    for name in names:
        tags = [row["tag"] for row in platform.placed(name)]
        assert len(tags) == len(set(tags)), f"{name}: an attempt was sent twice"
        sold = sum(row["quantity"] for row in _fills(platform, name) if row["side"] == "SELL")
        assert sold == 10, f"{name} sold {sold}"
        assert platform.net_position(name, "LT") == 0, name


def _fills(platform: Platform, name: str) -> list[dict[str, object]]:
    return list(platform.control("GET", f"/log?action=fill&account=sim-{name}&limit=1000")["entries"])


def test_a_paper_trade_outlives_its_worker_and_its_listener_and_sends_nothing_to_anybody(platform: Platform) -> None:
    answer = platform.api(
        "POST", "/auth/register", {"email": "paula@example.com", "password": "a long password", "name": "paula"}
    )
    platform.token = answer["token"]
    broker_id = platform.api("POST", "/broker/connect", {"broker": "paper", "cash": 100_000})["broker_id"]
    platform.control("POST", "/prices", {"ITC": 400})
    sent_before = len(platform.control("GET", "/log?action=place&limit=1000")["entries"])
    strategy = platform.start_now(symbol="ITC", stop_loss=380)
    platform.until(strategy, _is_covered, "bought and covered")
    platform.kill("worker-1")
    platform.kill("listener")
    platform.control("POST", "/prices", {"ITC": 370})
    platform.until(strategy, lambda status: status["status"] == "completed", "stopped out")
    books = platform.api("GET", f"/broker/{broker_id}/paper")
    assert [holding["quantity"] for holding in books["holdings"]] == [0]
    assert books["value"] == books["cash"] < 100_000 - 10 * 30
    placed = platform.api("GET", f"/broker/{broker_id}/orders")["items"]
    assert [(order["side"], order["status"], order["ours"]) for order in placed] == [
        ("BUY", "complete", True),
        ("SELL", "complete", True),
    ]
    assert len(platform.control("GET", "/log?action=place&limit=1000")["entries"]) == sent_before


def test_the_same_strategy_at_every_broker_and_on_paper_outlives_its_worker_and_ends_flat(platform: Platform) -> None:
    platform.control("POST", "/prices", {"AXISBANK": 1100})
    trades: dict[BrokerName, tuple[str, str, str]] = {}
    for broker in BrokerName:
        account = platform.sign_up(_at(broker), broker=broker)
        trades[broker] = (platform.start_now(symbol="AXISBANK", stop_loss=1050), platform.token, account)
    for broker, (strategy, token, _) in trades.items():
        platform.token = token
        platform.until(strategy, _is_covered, f"bought and covered at {broker.value}")
    # Answers that are slow keep exits on the wire while the worker dies.
    platform.control("POST", "/faults", {"kind": "slow", "endpoint": "place", "count": 4, "delay_ms": 1500, "side": "SELL"})
    platform.control("POST", "/prices", {"AXISBANK": 1040})
    eventually_blocking(
        lambda: any("SELL" in _sides(platform, _at(broker)) for broker in BrokerName),
        "the first exits are at the exchange",
        deadline_seconds=30,
    )
    platform.kill("worker-1")
    for broker, (strategy, token, account) in trades.items():
        platform.token = token
        platform.until(strategy, lambda status: status["status"] == "completed", f"stopped out at {broker.value}")
        listed = platform.api("GET", f"/broker/{account}/orders")["items"]
        assert [(order["side"], order["status"]) for order in listed] == [("BUY", "complete"), ("SELL", "complete")], broker
        assert _sides(platform, _at(broker)) == ([] if broker is BrokerName.PAPER else ["BUY", "SELL"])
        assert platform.net_position(_at(broker), "AXISBANK") == 0, broker


def _at(broker: BrokerName) -> str:
    """Who trades there."""
    return f"flat-{broker.value.replace('_', '-')}"
