"""Nonsense on every endpoint: it is refused, never a failure of ours, and nothing that was not asked for happens."""

import random
from typing import Any

import aiohttp

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import BUY_TCS, TCS_TOKEN, KiteClient, open_ticker

NONSENSE = [
    "", " ", "0", "-1", "1", "9" * 30, "9" * 5000, "1.5", "1e9", "-0", "+5", "NaN", "Infinity", "null", "[]", "{}", "٣",
    "ＴＣＳ", "\x00",
    "\r\nX-Header: 1", "%00", "../..",
    "'; DROP TABLE orders; --", "<script>", "TCS", "NSE", "BUY", "LIMIT", "true", "a" * 10_000,
]  # fmt: skip
FIELDS = [*BUY_TCS, "trigger_price", "disclosed_quantity", "market_protection", "tag", "autoslice", "condition", "orders", "type",
          "checksum", "api_key", "request_token", "position_type", "old_product", "new_product"]  # fmt: skip
PATHS = [
    "/orders/regular", "/orders/{}", "/orders/regular/{}", "/orders/{}/trades", "/gtt/triggers", "/gtt/triggers/{}",
    "/session/token", "/session/refresh_token", "/portfolio/positions", "/user/margins/{}", "/quote", "/quote/ltp",
    "/quote/ohlc",
    "/instruments/{}", "/instruments/historical/{}/minute", "/instruments/historical/2953217/{}", "/margins/orders",
    "/margins/basket", "/charges/orders", "/connect/login", "/{}",
]  # fmt: skip
CONTROL: dict[str, dict[str, Any]] = {
    "/control/accounts": {"api_key": "k", "api_secret": "s", "user_id": "U", "funds": 1, "rate_limits": "off"},
    "/control/accounts/sim-x/orders": {"tradingsymbol": "TCS", "transaction_type": "BUY", "quantity": 1, "price": 3600},
    "/control/accounts/sim-x/holdings": {"symbol": "TCS", "quantity": 1, "average_price": 3600},
    "/control/accounts/sim-x/broker-cancel": {"order_id": "1", "message": "m"},
    "/control/accounts/{}/access-token": {},
    "/control/instruments": {"symbol": "NEW", "price": 5, "tick_size": 1, "lot_size": 1, "freeze_quantity": 1,
                             "exchange_token": 1},
    "/control/instruments/circuit": {"symbol": "TCS", "lower": 3000, "upper": 4000},
    "/control/instruments/depth": {"symbol": "TCS", "quantity": 5},
    "/control/prices": {"TCS": 3600},
    "/control/prices/source": {"symbols": ["TCS"], "source": {"kind": "hand"}},
    "/control/ticks": {"symbol": "TCS", "price": 1},
    "/control/faults": {"kind": "partial", "endpoint": "place", "count": 1, "skip": 0, "probability": 1, "seed": 1, "delay_ms": 1,
                        "account": "x", "symbol": "TCS", "side": "BUY", "tag": "t", "quantity": 1},
    "/control/market": {"hours": "always_open"},
    "/control/log": {},
}  # fmt: skip
"""Addresses of the control API with a body that each accepts."""


def quoted(path: str, word: str) -> str:
    return path.replace("{}", word.encode().hex() if "/" in word or "." in word else word[:200] or "x")


async def test_nonsense_is_refused_with_an_envelope(kite: KiteClient, sim: RunningSimulator) -> None:
    rng = random.Random(7)
    for _ in range(1500):
        method, path = rng.choice(["GET", "POST", "PUT", "DELETE"]), quoted(rng.choice(PATHS), rng.choice(NONSENSE))
        form = {name: rng.choice(NONSENSE) for name in rng.sample(FIELDS, rng.randrange(8))}
        if rng.random() < 0.5:
            form = BUY_TCS | {name: rng.choice(NONSENSE) for name in rng.sample(FIELDS, 1)}
        arguments: dict[str, Any] = (
            {"data": form} if method in ("POST", "PUT") else {"params": {k: v[:300] for k, v in form.items()}}
        )
        answer = await kite.request(method, path, **arguments)
        assert answer.status < 500, (method, path, form, answer.body)
        if answer.status >= 400 and "/connect/login" not in path:
            assert answer.body["status"] == "error", (method, path, answer.body)
    assert all(row["filled_quantity"] <= row["quantity"] for row in sim.orders("alice"))


async def test_nonsense_on_the_control_api_is_refused_with_a_sentence(control: aiohttp.ClientSession) -> None:
    rng = random.Random(8)
    values: list[Any] = [*NONSENSE[:20], None, True, [], {}, [1], {"kind": "walk"}, 0, -1, 1.5, 10**15, "all", ["TCS"], {"a": 1}]
    for _ in range(2500):
        path = rng.choice(list(CONTROL))
        body: Any = dict(CONTROL[path])
        if body:
            body[rng.choice(list(body))] = rng.choice(values)
        if rng.random() < 0.05:
            body = rng.choice(values)
        method = rng.choice(["POST", "POST", "POST", "GET", "PATCH", "DELETE"])
        async with control.request(method, quoted(path, rng.choice(NONSENSE)), json=body) as answer:
            text = await answer.text()
            assert answer.status < 500, (method, path, body, text)


async def test_nonsense_on_the_ticker_leaves_the_socket_usable(kite: KiteClient, sim: RunningSimulator) -> None:
    rng = random.Random(9)
    socket = await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    values: list[Any] = [
        *NONSENSE[:20],
        None,
        True,
        -1,
        2**62,
        1.5,
        [],
        {},
        "subscribe",
        "mode",
        "ltp",
        [TCS_TOKEN],
        ["full", [1]],
    ]
    for _ in range(500):
        if rng.random() < 0.2:
            await socket.websocket.send_bytes(rng.randbytes(rng.randrange(30)))
        else:
            await socket.say({rng.choice("avx"): rng.choice(values), rng.choice("avx"): rng.choice(values)})
    await socket.say({"a": "mode", "v": ["ltp", [TCS_TOKEN]]})
    sim.set_price("TCS", 3500)
    await socket.until(lambda seen: any(len(frame) == 12 for frame in seen.frames))
    await socket.close()
