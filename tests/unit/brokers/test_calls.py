"""Whoever measures is told of every call, and can neither learn a secret nor harm the answer."""

import pytest

from brokers.answers import Answered
from brokers.calls import Call, CallOutcome
from brokers.connections import ConnectionPool
from brokers.transport import Transport
from tests.unit.brokers.raw_server import Connection, raw_server, unused_port

HEADERS = {"Authorization": "token key:secret"}


async def refuse_the_second(connection: Connection) -> None:
    for status in (200, 429, 503, 403):
        await connection.request()
        await connection.answer(status=status, body=b"{}")


async def test_every_call_is_told_with_its_outcome_and_without_headers_or_query() -> None:
    told: list[Call] = []
    pool = ConnectionPool(write_connections=1, on_call=told.append)
    async with raw_server(refuse_the_second) as server:
        transport = Transport(base_url=server.url, connections=pool, timeout_seconds=5, headers=HEADERS, account_id="brk_1")
        for _ in range(4):
            await transport.write("PUT", "/orders/regular/2611", form=[("tag", "t1")], query=[("token", "secret")])
    nobody = Transport(base_url=f"http://127.0.0.1:{unused_port()}", connections=pool, timeout_seconds=5, headers=HEADERS)
    await nobody.read("/user/margins")
    await pool.close()
    assert [call.outcome for call in told] == [
        CallOutcome.OK,
        CallOutcome.RATE_LIMITED,
        CallOutcome.BROKER_ERROR,
        CallOutcome.REFUSED,
        CallOutcome.NOT_SENT,
    ]
    assert (told[0].account_id, told[0].kind, told[0].path) == ("brk_1", "PUT /orders", "/orders/regular/2611")
    assert "secret" not in repr(told)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/orders", "GET /orders"),
        ("/orders/regular/2611", "GET /orders"),
        ("/rest/secure/angelbroking/order/v1/getOrderBook", "GET /getOrderBook"),
        ("/rest/secure/angelbroking/order/v1/details/34reqfachdfih", "GET /details"),
        ("/rest/secure/angelbroking/market/v1/quote/", "GET /quote"),
        ("/v2", "GET /v2"),
        ("/", "GET /"),
    ],
)
def test_a_kind_of_call_names_no_id(path: str, kind: str) -> None:
    assert Call("here", "brk_1", "GET", path, CallOutcome.OK, 200, 0.1).kind == kind


async def test_an_observer_that_fails_costs_nobody_the_answer_of_an_order() -> None:
    def fail(_: Call) -> None:
        raise RuntimeError("a measurement broke")

    pool = ConnectionPool(write_connections=1, on_call=fail)
    async with raw_server(refuse_the_second) as server:
        transport = Transport(base_url=server.url, connections=pool, timeout_seconds=5, headers=HEADERS)
        answer = await transport.write("POST", "/orders", form=[("tag", "t1")])
    await pool.close()
    assert isinstance(answer, Answered)
