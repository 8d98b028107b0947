"""Each fault: what the client sees, and what is true at the exchange."""

import asyncio
from typing import Any

import aiohttp
import pytest

from simulator.faults import FaultBook, UnknownFault
from simulator.testing import RunningSimulator
from tests.simulator.kite_client import KiteClient, Ticker, open_ticker


async def test_drop_before_closes_the_connection_and_accepts_nothing(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("drop_before", endpoint="place")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await kite.place(tag="t1")
    assert await kite.book() == []
    assert [(entry["outcome"], entry["fault"]) for entry in sim.log.since(0, action="place")] == [("not accepted", "drop_before")]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_accept_then_drop_places_the_order_without_an_answer(kite: KiteClient, sim: RunningSimulator, how: str) -> None:
    sim.add_fault("accept_then_drop", how=how)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await kite.place(tag="t1")
    assert [(row["tag"], row["status"]) for row in await kite.book()] == [("t1", "COMPLETE")]
    (entry,) = sim.log.since(0, action="place")
    assert (entry["outcome"], entry["fault"], entry["tag"]) == ("accepted", "accept_then_drop", "t1")


@pytest.mark.parametrize("answer", ["drop", "hang"])
async def test_accept_late_enters_the_book_after_its_delay(kite: KiteClient, sim: RunningSimulator, answer: str) -> None:
    sim.add_fault("accept_late", delay_ms=150, answer=answer)
    with pytest.raises((aiohttp.ServerDisconnectedError, TimeoutError)):
        await kite.request(
            "POST", "/orders/regular", data={"tradingsymbol": "TCS", "exchange": "NSE", "transaction_type": "BUY",
            "quantity": "1", "product": "MIS", "order_type": "LIMIT", "price": "3610", "tag": "late"},
            timeout=aiohttp.ClientTimeout(total=0.05 if answer == "hang" else 10),
        )  # fmt: skip
    assert sim.orders("alice") == []
    await sim.wait_for(lambda: sim.order_by_tag("alice", "late") is not None)


WRONG: list[tuple[str, int, str | None]] = [
    ("status_500", 500, "GeneralException"),
    ("status_503", 503, "NetworkException"),
    ("status_429", 429, "NetworkException"),
    ("token_expired", 403, "TokenException"),
    ("ip_refused", 403, "PermissionException"),
    ("reject_sync", 400, "OrderException"),
    ("ok_with_error_inside", 200, "GeneralException"),
]


@pytest.mark.parametrize(("kind", "status", "error_type"), WRONG)
async def test_error_answers_accept_nothing(
    kite: KiteClient, sim: RunningSimulator, kind: str, status: int, error_type: str
) -> None:
    sim.add_fault(kind, endpoint="place")
    assert (await kite.place()).error == (status, error_type)
    assert await kite.book() == []
    assert (await kite.place()).status == 200, "a fault with a count of one strikes once"


@pytest.mark.parametrize("kind", ["status_500", "status_502_html", "status_503", "ok_with_error_inside"])
async def test_error_answers_can_hide_an_accepted_order(kite: KiteClient, sim: RunningSimulator, kind: str) -> None:
    sim.add_fault(kind, endpoint="place", accepted=True)
    assert (await kite.place(tag="t1")).status in (200, 500, 502, 503)
    assert [row["tag"] for row in await kite.book()] == ["t1"]


async def test_a_bad_gateway_speaks_html(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("status_502_html", endpoint="place")
    answer = await kite.place()
    assert (answer.status, answer.content_type, answer.body[:6]) == (502, "text/html", "<html>")


async def test_a_redirect_is_answered_and_nothing_accepted(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("redirect", endpoint="place")
    assert (await kite.place()).status == 302
    assert await kite.book() == []


async def test_half_json_is_cut_in_the_middle_and_the_order_stands(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("half_json", endpoint="place")
    headers = {"Authorization": kite.account.authorization}
    form = {"exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": "BUY", "quantity": "1", "product": "MIS",
            "order_type": "LIMIT", "price": "3610"}  # fmt: skip
    async with kite.session.post(kite.url + "/orders/regular", data=form, headers=headers) as answer:
        text = await answer.text()
    assert text.startswith('{"status":"success"')
    assert not text.endswith("}")
    assert len(await kite.book()) == 1


async def test_the_400_that_speaks_of_a_timeout_hides_a_placed_order(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("timeout_400")
    answer = await kite.place(tag="t1")
    assert answer.status == 400
    assert answer.body["message"] == "Order request timed out. Please check the order book and confirm before placing again."
    assert [row["tag"] for row in await kite.book()] == ["t1"]


@pytest.mark.parametrize(("when", "placed_meanwhile"), [("after", True), ("before", False)])
async def test_slow_delays_the_answer_and_if_asked_the_order_too(
    kite: KiteClient, sim: RunningSimulator, when: str, placed_meanwhile: bool
) -> None:
    fault = sim.add_fault("slow", endpoint="place", delay_ms=300, when=when)
    placing = asyncio.create_task(kite.place(tag="t1"))
    await sim.wait_for(lambda: fault.hits == 1)
    assert (not placing.done(), sim.order_by_tag("alice", "t1") is not None) == (True, placed_meanwhile)
    assert (await placing).status == 200
    assert sim.order_by_tag("alice", "t1") is not None


async def test_a_synchronous_rejection_says_what_it_is_told(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("reject_sync", error_type="MarginException", message="No money.")
    answer = await kite.place()
    assert (answer.error, answer.body["message"]) == ((400, "MarginException"), "No money.")


async def test_an_asynchronous_rejection_is_accepted_first(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("reject_async", message="RMS:Blocked")
    row = await kite.order(await kite.placed())
    assert (row["status"], row["status_message"], row["exchange_order_id"]) == ("REJECTED", "RMS:Blocked", None)
    assert (row["pending_quantity"], row["cancelled_quantity"]) == (0, 0)
    assert (await kite.get("/user/margins/equity")).data["net"] == 1_00_00_000 * 10


async def test_partial_fills_only_so_much_and_never_fill_nothing(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("partial", quantity=3, tag="p")
    sim.add_fault("never_fill", tag="n")
    partial, never = await kite.placed(tag="p"), await kite.placed(tag="n")
    sim.set_price("TCS", 3590)
    for order_id, filled in ((partial, 3), (never, 0)):
        row = await kite.order(order_id)
        assert (row["status"], row["filled_quantity"], row["pending_quantity"]) == ("OPEN", filled, 10 - filled)


async def test_the_broker_cancels_by_itself(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("broker_cancel", delay_ms=20, message="Cancelled by RMS")
    order_id = await kite.placed(price="3500")
    assert (await kite.order(order_id))["status"] == "OPEN"
    await sim.wait_for(lambda: sim.orders("alice")[0]["status"] == "CANCELLED")
    assert (await kite.order(order_id))["status_message"] == "Cancelled by RMS"


@pytest.mark.parametrize(("kind", "states"), [
    ("modify_refused", ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "NOT MODIFIED", "OPEN"]),
    ("cancel_refused", ["CANCEL PENDING", "NOT CANCELLED", "OPEN"]),
])  # fmt: skip
async def test_changes_are_refused_at_once_or_afterwards(
    kite: KiteClient, sim: RunningSimulator, kind: str, states: list[str]
) -> None:
    order_id = await kite.placed(price="3500")
    change: Any = (lambda: kite.modify(order_id, price="3610")) if kind == "modify_refused" else (lambda: kite.cancel(order_id))
    sim.add_fault(kind)
    assert (await change()).error == (400, "InputException")
    sim.add_fault(kind, asynchronous=True)
    assert (await change()).status == 200
    history = [row["status"] for row in (await kite.get(f"/orders/{order_id}")).data]
    assert history[4:] == states
    assert (await kite.order(order_id))["price"] == 3500
    assert (await change()).status == 200
    assert (await kite.order(order_id))["status"] in ("COMPLETE", "CANCELLED")


async def test_a_stale_book_shows_orders_as_they_were(kite: KiteClient, sim: RunningSimulator) -> None:
    now = sim.exchange.clock()
    sim.exchange.clock = lambda: now - 10_000_000_000
    old = await kite.placed(price="3500")
    sim.exchange.clock = lambda: now
    await kite.cancel(old)
    await kite.placed()
    sim.add_fault("stale_book", seconds=5)
    assert [(row["order_id"], row["status"]) for row in await kite.book()] == [(old, "OPEN")]
    assert [row["status"] for row in await kite.book()] == ["CANCELLED", "COMPLETE"]


async def test_empty_positions_are_a_lie_that_lasts_as_long_as_asked(kite: KiteClient, sim: RunningSimulator) -> None:
    await kite.placed()
    sim.add_fault("empty_positions", count=2)
    for rows in (0, 0, 1):
        assert len((await kite.get("/portfolio/positions")).data["net"]) == rows


async def ticker(kite: KiteClient, sim: RunningSimulator) -> Ticker:
    return await open_ticker(kite.session, sim.kite_ws_url, kite.account)


async def test_order_updates_can_come_twice_late_backwards_or_not_at_all(kite: KiteClient, sim: RunningSimulator) -> None:
    socket = await ticker(kite, sim)
    for kind, tag in (("duplicate_update", "d"), ("regress_update", "r"), ("no_order_updates", "n"), ("late_update", "l")):
        sim.add_fault(kind, tag=tag, delay_ms=100)
        await kite.placed(tag=tag)
    await kite.placed(tag="end")
    await socket.until(lambda seen: any(order["tag"] == "l" for order in seen.orders))
    assert [(order["tag"], order["status"], order["filled_quantity"]) for order in socket.orders] == [
        ("d", "COMPLETE", 10), ("d", "COMPLETE", 10), ("r", "COMPLETE", 10), ("r", "UPDATE", 0),
        ("end", "COMPLETE", 10), ("l", "COMPLETE", 10),
    ]  # fmt: skip
    await socket.close()


async def test_cut_closes_the_sockets_of_an_account(kite: KiteClient, sim: RunningSimulator) -> None:
    mine, bobs = await ticker(kite, sim), await open_ticker(kite.session, sim.kite_ws_url, sim.account("bob"))
    sim.add_fault("cut", account=kite.account.api_key)
    async with asyncio.timeout(10):
        await mine.closed.wait()
    assert not bobs.closed.is_set()
    assert mine.websocket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    await (await ticker(kite, sim)).close()
    await bobs.close()


@pytest.mark.parametrize("heartbeats", [True, False])
async def test_mute_keeps_sockets_open_and_silent(kite: KiteClient, sim: RunningSimulator, heartbeats: bool) -> None:
    socket, bobs = await ticker(kite, sim), await open_ticker(kite.session, sim.kite_ws_url, sim.account("bob"))
    fault = sim.add_fault("mute", account=kite.account.api_key, heartbeats=heartbeats)
    for one in (socket, bobs):
        await one.say({"a": "mode", "v": ["ltp", [2953217]]})
    await bobs.until(lambda seen: len(seen.frames) == 1)
    sim.set_price("TCS", 3590)
    await kite.placed()
    await bobs.until(lambda seen: len(seen.frames) == 2 and seen.binaries.count(b"\x00") >= 2)
    assert (socket.frames, socket.orders, b"\x00" in socket.binaries) == ([], [], heartbeats)
    sim.faults.remove(fault.fault_id)
    sim.set_price("TCS", 3580)
    await socket.until(lambda seen: len(seen.frames) == 1)
    for one in (socket, bobs):
        await one.close()


async def test_a_transport_and_a_behaviour_fault_strike_together(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("accept_then_drop")
    sim.add_fault("partial", quantity=4)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await kite.place()
    assert (await kite.book())[0]["filled_quantity"] == 4
    assert sim.log.since(0, action="place")[0]["fault"] == "accept_then_drop+partial"


def strikes(book: FaultBook, number: int, *, account: str = "a", endpoint: str = "place", **request: str) -> list[bool]:
    return [book.transport(endpoint, account, request) is not None for _ in range(number)]


def test_the_scope_of_a_fault_is_account_endpoint_symbol_side_and_tag() -> None:
    book = FaultBook()
    book.add("status_500", account="a", endpoint="place", symbol="TCS", side="SELL", tag="t", count=None)
    right = {"tradingsymbol": "TCS", "transaction_type": "SELL", "tag": "t"}
    assert strikes(book, 1, **right) == [True]
    assert strikes(book, 1, account="b", **right) == [False]
    assert strikes(book, 1, endpoint="cancel", **right) == [False]
    for name in right:
        assert strikes(book, 1, **(right | {name: "other"})) == [False]


def test_count_and_skip_say_which_requests_are_struck() -> None:
    book = FaultBook()
    book.add("status_500", count=2, skip=1)
    assert strikes(book, 5) == [False, True, True, False, False]


def test_probability_is_seeded() -> None:
    def run(seed: int) -> list[bool]:
        book = FaultBook()
        book.add("status_500", count=None, probability=0.5, seed=seed)
        return strikes(book, 50)

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 10 < sum(run(1)) < 40


def test_spent_faults_are_forgotten_in_time_and_living_ones_never() -> None:
    book = FaultBook()
    lasting = book.add("status_503", endpoint="orders", count=None)
    for _ in range(1_000):
        book.add("status_500", endpoint="place")
        assert strikes(book, 1) == [True]
    assert len(book.faults) <= 200
    assert lasting in book.faults


@pytest.mark.parametrize(
    "fields",
    [{"cuont": 1}, {"count": "1"}, {"count": True}, {"count": -1}, {"account": 5}, {"delay_ms": 10**12}, {"accepted": 1}],
)
def test_fields_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnknownFault):
        FaultBook().add("status_500", **fields)


def test_faults_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownFault):
        FaultBook().add("nonsense")
    with pytest.raises(UnknownFault):
        FaultBook().add("status_500", endpoint="nowhere")
