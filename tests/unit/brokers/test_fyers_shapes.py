"""Fyers' JSON as its documentation and public samples show it, and every way it can be less than that."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.exact_json import encode_json, parse_json
from brokers.fyers import words
from brokers.fyers.orders import (
    modify_body,
    only_order,
    place_body,
    read_last_prices,
    read_margins,
    read_order,
    read_orders,
    read_positions,
    read_price_limits,
    read_profile,
    read_socket_order,
    read_tag,
    read_trades,
    tag_key,
)
from trading.instruments import InstrumentId, PriceLimits, Product
from trading.orders import BrokerOrderStatus, ModifyRequest, OrderRequest, Side
from trading.ports.broker import UnreadableAnswer

SBIN, IDEA = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "IDEA")


def order_row(**changes: object) -> dict[str, object]:
    """A row with the names and values of the documentation's sample."""
    return {
        "clientId": "X******",
        "id": "23030900015105",
        "id_fyers": "c6697c04-d9ab-4a7c-a6f4-b0cc4ca698f6",
        "exchOrdId": "1100000001089341",
        "qty": 1,
        "remainingQuantity": 0,
        "filledQty": 1,
        "limitPrice": Decimal("6.95"),
        "stopPrice": 0,
        "tradedPrice": Decimal("6.95"),
        "type": 1,
        "fyToken": "101000000014366",
        "exchange": 10,
        "segment": 10,
        "symbol": "NSE:IDEA-EQ",
        "message": "",
        "orderDateTime": "09-Mar-2023 09:34:38",
        "orderValidity": "DAY",
        "productType": "CNC",
        "side": -1,
        "status": 2,
        "source": "ITS",
        "orderTag": "1:Ordertag",
    } | changes


def socket_row(**changes: object) -> dict[str, object]:
    """A first frame: what has no value yet is not there."""
    return {
        "fy_token": "10100000003045",
        "id": "23121800292158",
        "ord_status": 20,
        "org_ord_status": 4,
        "ord_type": 1,
        "ordertag": "1:st1a2b3c4d",
        "price_limit": Decimal("801.5"),
        "qty": 5,
        "qty_remaining": 5,
        "product_type": "INTRADAY",
        "status_msg": "New Ack",
        "symbol": "NSE:SBIN-EQ",
        "time_oms": "18-Dec-2023 13:51:30",
        "time_exch": "NA",
        "tran_side": 1,
    } | changes


def position_row(**changes: object) -> dict[str, object]:
    return {
        "id": "NSE:SBIN-EQ-INTRADAY",
        "symbol": "NSE:SBIN-EQ",
        "fyToken": "10100000003045",
        "netQty": 3,
        "qty": 3,
        "netAvg": Decimal("801.5"),
        "side": 1,
        "productType": "INTRADAY",
        "ltp": Decimal("802.05"),
    } | changes


def test_an_order_goes_out_as_a_day_limit_with_exact_numbers() -> None:
    order = OrderRequest("t1b01x", SBIN, Product.MIS, Side.BUY, 5, Decimal("801.50"))
    assert encode_json(place_body(order, "NSE:SBIN-EQ")).decode() == (
        '{"symbol":"NSE:SBIN-EQ","qty":5,"type":1,"side":1,"productType":"INTRADAY","limitPrice":801.50,"stopPrice":0,'
        '"validity":"DAY","disclosedQty":0,"offlineOrder":false,"stopLoss":0,"takeProfit":0,"orderTag":"t1b01x"}'
    )


@pytest.mark.parametrize(("product", "word"), [(Product.MIS, "INTRADAY"), (Product.CNC, "CNC"), (Product.NRML, "MARGIN")])
@pytest.mark.parametrize(("side", "number"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_product_and_side_go_out_in_the_brokers_words(product: Product, word: str, side: Side, number: int) -> None:
    body = place_body(OrderRequest("t1", SBIN, product, side, 1, Decimal(1)), "NSE:SBIN-EQ")
    assert (body["productType"], body["side"]) == (word, number)


def test_a_change_names_everything_that_is_to_hold() -> None:
    assert modify_body(ModifyRequest("808", 9, Decimal("801.25"))) == {
        "id": "808",
        "type": 1,
        "qty": 9,
        "limitPrice": Decimal("801.25"),
        "stopPrice": 0,
        "disclosedQty": 0,
    }


def test_a_stop_goes_out_with_its_trigger_and_is_moved_with_it() -> None:
    order = OrderRequest("t1", SBIN, Product.MIS, Side.SELL, 5, Decimal("790"), Decimal("800.50"))
    placed = place_body(order, "NSE:SBIN-EQ")
    moved = modify_body(ModifyRequest("808", 5, Decimal("780"), Decimal("790.05")))
    assert (placed["type"], placed["limitPrice"], placed["stopPrice"]) == (4, 790, Decimal("800.50"))
    assert (moved["type"], moved["limitPrice"], moved["stopPrice"]) == (4, 780, Decimal("790.05"))


@pytest.mark.parametrize(
    ("change", "waits_for"),
    [
        ({}, Decimal("800.5")),
        ({"type": 3}, Decimal("800.5")),
        ({"status": 4}, Decimal("800.5")),
        ({"filledQty": 1}, None),
        ({"status": 1}, None),
        ({"type": 1}, None),
        ({"stopPrice": 0}, None),
        ({"type": None}, None),
    ],
    ids=str,
)
def test_a_stop_waits_until_it_has_filled_or_ended(change: dict[str, object], waits_for: Decimal | None) -> None:
    stop = order_row(type=4, status=6, filledQty=0, qty=5, stopPrice=Decimal("800.5"))
    assert read_order(stop | change).trigger_price == waits_for


def test_a_stop_on_the_socket_waits_for_its_trigger() -> None:
    seen = read_socket_order(socket_row(ord_type=4, price_stop=Decimal("800.5"), org_ord_status=6))
    assert seen is not None
    assert seen.trigger_price == Decimal("800.5")


def test_a_row_of_the_book_is_read_whole() -> None:
    order = read_order(order_row())
    assert (order.broker_order_id, order.exchange_order_id, order.tag) == ("23030900015105", "1100000001089341", "Ordertag")
    assert (order.instrument, order.product, order.side) == (IDEA, Product.CNC, Side.SELL)
    assert (order.quantity, order.filled_quantity, order.status) == (1, 1, BrokerOrderStatus.COMPLETE)
    assert (str(order.price), str(order.average_price)) == ("6.95", "6.95")
    assert order.updated_at == datetime(2023, 3, 9, 4, 4, 38, tzinfo=UTC)


def test_a_date_in_digits_is_read_as_well() -> None:
    assert read_order(order_row(orderDateTime="2023-03-09 09:34:38")).updated_at == datetime(2023, 3, 9, 4, 4, 38, tzinfo=UTC)


def test_numbers_as_text_and_what_is_left_out_are_read() -> None:
    changed = order_row(
        id=23030900015105, qty="4", filledQty="4.0", side="-1", status="2", limitPrice="6.95", fyToken=101000000014366
    )
    for name in ("tradedPrice", "message", "orderTag", "exchOrdId", "orderDateTime", "clientId"):
        changed[name] = None
    order = read_order(changed)
    assert (order.broker_order_id, order.quantity, order.filled_quantity) == ("23030900015105", 4, 4)
    assert (order.average_price, order.message, order.tag, order.exchange_order_id, order.updated_at) == (0, "", None, None, None)
    without = order_row()
    for name in ("tradedPrice", "message", "orderTag", "exchOrdId", "orderDateTime", "fyToken", "remainingQuantity"):
        del without[name]
    assert read_order(without).instrument == IDEA


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (1, BrokerOrderStatus.CANCELLED),
        (2, BrokerOrderStatus.COMPLETE),
        (4, BrokerOrderStatus.PENDING),
        (5, BrokerOrderStatus.REJECTED),
        (6, BrokerOrderStatus.OPEN),
        (7, BrokerOrderStatus.CANCELLED),
    ],
)
def test_every_state_has_its_meaning(number: int, status: BrokerOrderStatus) -> None:
    assert read_order(order_row(status=number)).status is status


@pytest.mark.parametrize(
    "change",
    [
        {"status": 3},
        {"status": 20},
        {"status": None},
        {"status": "pending"},
        {"side": 0},
        {"side": None},
        {"productType": "SOMETHING"},
        {"qty": None},
        {"qty": "five"},
        {"qty": Decimal("1.5")},
        {"qty": True},
        {"filledQty": None},
        {"filledQty": ""},
        {"limitPrice": "cheap"},
        {"limitPrice": Decimal("NaN")},
        {"id": ""},
        {"id": None},
        {"symbol": "SBIN"},
        {"symbol": "XXX:SBIN-EQ"},
        {"fyToken": "99990000003045"},
        {"orderTag": 5},
        {"orderDateTime": "yesterday"},
    ],
    ids=str,
)
def test_what_nobody_understands_is_never_guessed(change: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        read_order(order_row(**change))


def test_a_rejected_order_with_nothing_remaining_has_filled_nothing() -> None:
    order = read_order(order_row(status=5, filledQty=0, remainingQuantity=0, qty=5, tradedPrice=0))
    assert (order.status, order.filled_quantity) == (BrokerOrderStatus.REJECTED, 0)


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("1:st1a2b3c4d", "st1a2b3c4d"),
        ("st1a2b3c4d", "st1a2b3c4d"),
        ("2:Untagged", None),
        ("1:Untagged", None),
        ("2:GTTUntagged", None),
        ("1:", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_users_own_tag_is_a_tag(written: object, tag: str | None) -> None:
    assert read_tag(written) == tag


def test_a_tag_is_searched_as_the_book_keeps_it() -> None:
    assert read_tag(tag_key("st1a2b3c4d")) == "st1a2b3c4d"
    assert tag_key("st1a2b3c4d") == "1:st1a2b3c4d"


def test_an_order_on_the_socket_is_read_by_its_own_names() -> None:
    first = read_socket_order(socket_row())
    assert first is not None
    assert (first.broker_order_id, first.tag, first.instrument) == ("23121800292158", "st1a2b3c4d", SBIN)
    assert (first.status, first.filled_quantity, first.quantity) == (BrokerOrderStatus.PENDING, 0, 5)
    assert str(first.price) == "801.5"
    done = read_socket_order(
        socket_row(
            ord_status=90, org_ord_status=2, qty_filled=5, qty_remaining=0, price_traded=Decimal("801.35"), id_exchange="11"
        )
    )
    assert done is not None
    assert (done.status, done.filled_quantity, str(done.average_price)) == (BrokerOrderStatus.COMPLETE, 5, "801.35")
    assert done.exchange_order_id == "11"


def test_the_sockets_inner_state_is_no_state() -> None:
    with pytest.raises(UnreadableAnswer):
        read_socket_order(socket_row(org_ord_status=90))


def test_a_trade_that_does_not_say_how_much_leaves_it_to_the_book() -> None:
    assert read_socket_order(socket_row(org_ord_status=2)) is None


def test_a_socket_that_writes_the_books_names_is_understood() -> None:
    order = read_socket_order(order_row())
    assert order is not None
    assert order.broker_order_id == "23030900015105"


def test_an_empty_book_is_empty_and_a_missing_one_is_not() -> None:
    assert read_orders({"orderBook": []}) == read_orders({"orderBook": None}) == ()
    for body in ({}, {"orderBook": "none"}, {"orderBook": [5]}):
        with pytest.raises(UnreadableAnswer):
            read_orders(body)


def test_the_order_asked_for_has_to_be_the_one_that_comes() -> None:
    assert only_order({"orderBook": []}, broker_order_id="1") is None
    with pytest.raises(UnreadableAnswer):
        only_order({"orderBook": [order_row()]}, broker_order_id="1")
    found = only_order({"orderBook": [order_row(), order_row(id="2")]}, broker_order_id="2")
    assert found is not None
    assert found.broker_order_id == "2"


def test_trades_are_read() -> None:
    body = {
        "tradeBook": [
            {
                "clientId": "X",
                "orderDateTime": "07-Aug-2020 13:51:12",
                "orderNumber": "120080789075",
                "exchangeOrderNo": "1200000009204725",
                "side": 1,
                "productType": "CNC",
                "tradedQty": 10,
                "tradePrice": Decimal("32.7"),
                "tradeNumber": "52605023",
                "symbol": "NSE:IDEA-EQ",
                "fyToken": "101000000014366",
            }
        ]
    }
    (trade,) = read_trades(body)
    assert (trade.trade_id, trade.broker_order_id, trade.quantity, str(trade.price)) == ("52605023", "120080789075", 10, "32.7")
    assert trade.filled_at == datetime(2020, 8, 7, 8, 21, 12, tzinfo=UTC)
    with pytest.raises(UnreadableAnswer):
        read_trades({"tradeBook": [body["tradeBook"][0] | {"tradePrice": None}]})


@pytest.mark.parametrize(
    ("change", "net"),
    [
        ({}, 3),
        ({"netQty": -3, "side": -1}, -3),
        ({"netQty": 3, "side": -1}, -3),
        ({"netQty": "3"}, 3),
        ({"netQty": 0, "side": 0}, 0),
        ({"netQty": 0, "side": 1}, 0),
        ({"netQty": -2, "side": None}, -2),
    ],
    ids=str,
)
def test_a_position_is_signed(change: dict[str, object], net: int) -> None:
    (position,) = read_positions({"netPositions": [position_row(**change)]})
    assert position.net_quantity == net
    assert (position.instrument, position.product) == (SBIN, Product.MIS)
    assert (str(position.average_price), str(position.last_price)) == ("801.5", "802.05")


@pytest.mark.parametrize("change", [{"netQty": -3}, {"side": 0}, {"side": 2}, {"netQty": None}], ids=str)
def test_a_position_that_contradicts_itself_is_unreadable(change: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        read_positions({"netPositions": [position_row(**change)]})


def test_margins_are_the_rows_with_their_numbers() -> None:
    rows = [
        {"id": 1, "title": "Total Balance", "equityAmount": Decimal("58.15"), "commodityAmount": 0},
        {"id": 2, "title": "Utilized Amount", "equityAmount": Decimal("8.15"), "commodityAmount": 0},
        {"id": "10", "title": "Available Balance", "equityAmount": Decimal("50"), "commodityAmount": 0},
    ]
    margins = read_margins({"fund_limit": rows})
    assert (margins.available, str(margins.used)) == (50, "8.15")
    with pytest.raises(UnreadableAnswer):
        read_margins({"fund_limit": rows[:2]})


def test_a_profile_needs_its_user() -> None:
    assert read_profile({"data": {"fy_id": "XA00001", "name": "A B"}}).broker_user_id == "XA00001"
    with pytest.raises(UnreadableAnswer):
        read_profile({"data": {"name": "A B"}})


def test_prices_leave_out_what_has_none() -> None:
    wanted = {"NSE:SBIN-EQ": SBIN, "NSE:IDEA-EQ": IDEA, "NSE:X-EQ": InstrumentId("NSE", "X")}
    body = parse_json(
        '{"s":"ok","d":[{"n":"NSE:SBIN-EQ","s":"ok","v":{"lp":675.4}},{"n":"NSE:IDEA-EQ","s":"ok","v":{"lp":0}},'
        '{"n":"NSE:X-EQ","s":"error","v":{"errmsg":"Invalid symbol"}},{"n":"NSE:TCS-EQ","s":"ok","v":{"lp":5}}]}'
    )
    assert isinstance(body, dict)
    assert {instrument: str(price) for instrument, price in read_last_prices(body, wanted).items()} == {SBIN: "675.4"}
    with pytest.raises(UnreadableAnswer):
        read_last_prices({"d": [{"n": "NSE:SBIN-EQ", "s": "ok", "v": {}}]}, wanted)


def test_circuit_limits_come_from_the_depth() -> None:
    body = {"d": {"NSE:SBIN-EQ": {"lower_ckt": Decimal("382.7"), "upper_ckt": Decimal("467.7"), "ltp": Decimal("427.25")}}}
    assert read_price_limits(body, "NSE:SBIN-EQ") == PriceLimits(Decimal("382.7"), Decimal("467.7"))
    assert read_price_limits(body, "NSE:X-EQ") is None
    assert read_price_limits({"d": {"NSE:SBIN-EQ": {"lower_ckt": 0}}}, "NSE:SBIN-EQ") == PriceLimits(None, None)


def test_every_product_of_ours_has_a_word() -> None:
    assert set(words.PRODUCT_WORDS) == set(Product)
