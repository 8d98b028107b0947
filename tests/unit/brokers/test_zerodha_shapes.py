"""Kite's JSON and forms, from documented examples, and what happens to rows that do not read."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.zerodha import orders as shapes
from brokers.zerodha.words import PRODUCTS, SIDES, STATUSES
from trading.instruments import InstrumentId, PriceLimits, Product
from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest, Side
from trading.ports.broker import UnreadableAnswer

TATASTEEL = InstrumentId("NSE", "TATASTEEL")


def row(**changes: object) -> dict[str, object]:
    """A complete order as the book shows it."""
    documented: dict[str, object] = {
        "order_id": "1953341975595868160",
        "exchange_order_id": "1300000038792287",
        "status": "COMPLETE",
        "status_message": None,
        "status_message_raw": None,
        "order_timestamp": "2025-08-07 11:56:33",
        "exchange_update_timestamp": "2025-08-07 11:56:34",
        "exchange": "NSE",
        "tradingsymbol": "TATASTEEL",
        "order_type": "LIMIT",
        "transaction_type": "BUY",
        "product": "CNC",
        "quantity": 3,
        "price": Decimal("159.82"),
        "average_price": Decimal("156.7"),
        "filled_quantity": 3,
        "tag": None,
        "tags": ["mktp", "mktp:2.00"],
    }
    return documented | changes


def test_an_order_of_the_book_is_read_whole() -> None:
    assert shapes.read_orders([row(tag="t1")]) == (
        BrokerOrder(
            broker_order_id="1953341975595868160",
            tag="t1",
            instrument=TATASTEEL,
            product=Product.CNC,
            side=Side.BUY,
            quantity=3,
            filled_quantity=3,
            price=Decimal("159.82"),
            average_price=Decimal("156.7"),
            status=BrokerOrderStatus.COMPLETE,
            message="",
            updated_at=datetime(2025, 8, 7, 6, 26, 34, tzinfo=UTC),
            exchange_order_id="1300000038792287",
        ),
    )


@pytest.mark.parametrize(
    ("fields", "tag"),
    [
        ({"tag": "t1", "tags": ["t1", "mktp"]}, "t1"),
        ({"tag": None, "tags": ["mktp", "mktp:2.00", "t1"]}, "t1"),
        ({"tag": "", "tags": ["t1"]}, "t1"),
        ({"tag": None, "tags": ["autoslice", "autoslice:17"]}, None),
        ({"tag": None, "tags": None}, None),
        ({"tag": None, "tags": []}, None),
    ],
)
def test_our_tag_is_found_in_either_field_and_system_tags_are_not_ours(fields: dict[str, object], tag: str | None) -> None:
    assert shapes.read_order(row(**fields)).tag == tag


def test_an_order_without_tags_has_none() -> None:
    bare = row()
    del bare["tags"], bare["tag"]
    assert shapes.read_order(bare).tag is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status_message": "Insufficient funds.", "status_message_raw": "RMS:Margin Exceeds"}, "Insufficient funds."),
        ({"status_message": "", "status_message_raw": "16346 : Order cannot be modified"}, "16346 : Order cannot be modified"),
        ({"status_message": None, "status_message_raw": None}, ""),
    ],
)
def test_the_friendlier_reason_is_shown_first(fields: dict[str, object], message: str) -> None:
    assert shapes.read_order(row(**fields)).message == message


def test_the_time_of_an_order_is_the_exchanges_then_the_brokers_then_unknown() -> None:
    assert shapes.read_order(row(exchange_update_timestamp=None)).updated_at == datetime(2025, 8, 7, 6, 26, 33, tzinfo=UTC)
    assert shapes.read_order(row(exchange_update_timestamp=None, order_timestamp=None)).updated_at is None


REQUIRED = ["order_id", "status", "exchange", "tradingsymbol", "transaction_type", "product"]
NUMBERS = ["quantity", "filled_quantity", "price", "average_price"]


@pytest.mark.parametrize("key", REQUIRED + NUMBERS)
@pytest.mark.parametrize("value", [None, "", True, [], {}])
def test_a_missing_or_mistyped_field_is_unreadable_and_never_zero(key: str, value: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_order(row(**{key: value}))


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "SOMETHING NEW"},
        {"status": "complete"},
        {"product": "NEW"},
        {"transaction_type": "SHORT"},
        {"quantity": Decimal("1.5")},
        {"quantity": "3"},
        {"price": "159.82"},
        {"order_timestamp": "yesterday", "exchange_update_timestamp": None},
        {"tags": "t1"},
        {"tags": [1], "tag": None},
        {"tag": 7},
    ],
)
def test_an_unknown_word_or_shape_is_unreadable(fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_orders([row(), row(**fields)])


@pytest.mark.parametrize("data", [None, {}, "", [None], [[]]])
def test_a_book_that_is_not_a_list_of_orders_is_unreadable_and_not_empty(data: object) -> None:
    for read in (shapes.read_orders, shapes.read_trades):
        with pytest.raises(UnreadableAnswer):
            read(data)


def test_an_empty_book_is_empty() -> None:
    assert shapes.read_orders([]) == ()


PENDING, OPEN, CANCELLED = BrokerOrderStatus.PENDING, BrokerOrderStatus.OPEN, BrokerOrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PUT ORDER REQ RECEIVED", PENDING),
        ("VALIDATION PENDING", PENDING),
        ("OPEN PENDING", PENDING),
        ("AMO REQ RECEIVED", PENDING),
        ("TRIGGER PENDING", OPEN),
        ("OPEN", OPEN),
        ("MODIFY VALIDATION PENDING", OPEN),
        ("MODIFY PENDING", OPEN),
        ("MODIFIED", OPEN),
        ("NOT MODIFIED", OPEN),
        ("CANCEL PENDING", OPEN),
        ("NOT CANCELLED", OPEN),
        ("UPDATE", OPEN),
        ("COMPLETE", BrokerOrderStatus.COMPLETE),
        ("CANCELLED", CANCELLED),
        ("CANCELLED AMO", CANCELLED),
        ("REJECTED", BrokerOrderStatus.REJECTED),
    ],
)
def test_every_documented_status_is_translated(word: str, status: BrokerOrderStatus) -> None:
    assert shapes.read_order(row(status=word)).status is status
    assert len(STATUSES) == 17


def test_products_and_sides_we_trade_keep_their_names_and_foreign_products_are_none() -> None:
    assert {word: product for word, product in PRODUCTS.items() if product} == {p.value: p for p in Product}
    assert {word for word, product in PRODUCTS.items() if product is None} == {"MTF", "CO", "BO"}
    assert {side.value: side for side in Side} == SIDES


def test_a_history_gives_its_newest_state_from_rows_with_fewer_keys() -> None:
    short = {key: value for key, value in row().items() if key not in ("exchange_update_timestamp", "tags", "status_message_raw")}
    history = [short | {"status": "OPEN", "filled_quantity": 1}, short]
    newest = shapes.read_history(history, broker_order_id="1953341975595868160")
    assert (newest.status, newest.filled_quantity) == (BrokerOrderStatus.COMPLETE, 3)


def test_a_history_that_is_empty_or_of_another_order_is_unreadable() -> None:
    for history in ([], [row(order_id="7")]):
        with pytest.raises(UnreadableAnswer):
            shapes.read_history(history, broker_order_id="1953341975595868160")


def test_a_trade_is_read_whole() -> None:
    trade = {
        "trade_id": "10000000",
        "order_id": "195",
        "exchange": "NSE",
        "tradingsymbol": "TATASTEEL",
        "product": "MIS",
        "transaction_type": "SELL",
        "quantity": 2,
        "average_price": Decimal("313.8"),
        "fill_timestamp": "2021-05-31 09:16:39",
        "order_timestamp": "09:16:39",
        "exchange_timestamp": "2021-05-31 09:16:40",
    }
    expected = BrokerTrade(
        "10000000", "195", TATASTEEL, Product.MIS, Side.SELL, 2, Decimal("313.8"), datetime(2021, 5, 31, 3, 46, 39, tzinfo=UTC)
    )
    assert shapes.read_trades([trade]) == (expected,)
    later = shapes.read_trades([trade | {"fill_timestamp": None}])
    assert later[0].filled_at == datetime(2021, 5, 31, 3, 46, 40, tzinfo=UTC)
    with pytest.raises(UnreadableAnswer):
        shapes.read_trades([trade | {"fill_timestamp": None, "exchange_timestamp": None}])


def test_positions_are_the_net_ones() -> None:
    position = {
        "exchange": "NSE",
        "tradingsymbol": "TATASTEEL",
        "product": "MIS",
        "quantity": -4,
        "average_price": 0,
        "last_price": Decimal("159.82"),
    }
    expected = BrokerPosition(TATASTEEL, Product.MIS, -4, Decimal(0), Decimal("159.82"))
    assert shapes.read_positions({"net": [position], "day": [position, position]}) == (expected,)
    with pytest.raises(UnreadableAnswer):
        shapes.read_positions({"day": [position]})


def test_margins_are_what_the_equity_segment_can_still_use_and_has_used() -> None:
    margins = shapes.read_margins({"enabled": True, "net": Decimal("99725.05"), "utilised": {"debits": Decimal("145706.55")}})
    assert (margins.available, margins.used) == (Decimal("99725.05"), Decimal("145706.55"))
    with pytest.raises(UnreadableAnswer):
        shapes.read_margins({"net": 1})


def test_last_prices_leave_out_what_never_traded() -> None:
    data = {"NSE:INFY": {"instrument_token": 408065, "last_price": Decimal("1074.35")}, "NSE:NEW": {"last_price": 0}}
    assert shapes.read_last_prices(data) == {InstrumentId("NSE", "INFY"): Decimal("1074.35")}


@pytest.mark.parametrize("data", [None, [], {"NSE:INFY": None}, {"NSE:INFY": {}}, {"INFY": {"last_price": 1}}])
def test_unreadable_last_prices_raise(data: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_last_prices(data)


def test_circuit_limits_that_are_missing_or_zero_are_none() -> None:
    data = {
        "NSE:INFY": {"lower_circuit_limit": Decimal("967.05"), "upper_circuit_limit": 1182},
        "NSE:NIFTY 50": {"last_price": 25000},
        "NFO:NEW": {"lower_circuit_limit": 0, "upper_circuit_limit": Decimal("19.5")},
    }
    assert shapes.read_price_limits(data) == {
        InstrumentId("NSE", "INFY"): PriceLimits(Decimal("967.05"), Decimal(1182)),
        InstrumentId("NSE", "NIFTY 50"): PriceLimits(),
        InstrumentId("NFO", "NEW"): PriceLimits(None, Decimal("19.5")),
    }


@pytest.mark.parametrize("data", [None, {"NSE:INFY": None}, {"NSE:INFY": {"lower_circuit_limit": "967"}}, {"INFY": {}}])
def test_unreadable_circuit_limits_raise(data: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_price_limits(data)


@pytest.mark.parametrize(("price", "text"), [("159.80", "159.80"), ("1E+2", "100"), ("0.05", "0.05"), ("1E-2", "0.01")])
def test_an_order_goes_out_as_a_day_limit_with_a_plain_price(price: str, text: str) -> None:
    request = OrderRequest("t1", TATASTEEL, Product.MIS, Side.SELL, 5, Decimal(price))
    assert dict(shapes.place_form(request)) == {
        "exchange": "NSE",
        "tradingsymbol": "TATASTEEL",
        "transaction_type": "SELL",
        "order_type": "LIMIT",
        "quantity": "5",
        "product": "MIS",
        "price": text,
        "validity": "DAY",
        "tag": "t1",
    }


def test_a_modification_carries_the_new_total_and_price_and_no_tag() -> None:
    change = ModifyRequest(broker_order_id="195", quantity=7, price=Decimal("10.05"))
    assert dict(shapes.modify_form(change)) == {"order_type": "LIMIT", "quantity": "7", "price": "10.05", "validity": "DAY"}


def test_an_order_with_a_trigger_is_a_stop_limit_order_and_one_without_is_plain_again() -> None:
    request = OrderRequest("t1", TATASTEEL, Product.MIS, Side.SELL, 5, Decimal("3395.70"), Decimal(3465))
    form = dict(shapes.place_form(request))
    assert (form["order_type"], form["price"], form["trigger_price"], form["validity"]) == ("SL", "3395.70", "3465", "DAY")
    moved = dict(shapes.modify_form(ModifyRequest("195", 5, Decimal("3300.05"), Decimal("3366.00"))))
    assert (moved["order_type"], moved["price"], moved["trigger_price"]) == ("SL", "3300.05", "3366.00")
    plain = dict(shapes.modify_form(ModifyRequest("195", 5, Decimal("3480.00"))))
    assert plain["order_type"] == "LIMIT"
    assert "trigger_price" not in plain


@pytest.mark.parametrize(
    ("order_type", "status", "waits_for"),
    [
        ("SL", "TRIGGER PENDING", Decimal(3465)),
        ("SL", "MODIFY PENDING", Decimal(3465)),
        ("SL", "OPEN", None),
        ("SL", "COMPLETE", None),
        ("SL", "CANCELLED", None),
        ("LIMIT", "OPEN", None),
        ("LIMIT", "MODIFIED", None),
    ],
)
def test_a_stop_order_waits_until_its_status_says_that_it_does_not(
    order_type: str, status: str, waits_for: Decimal | None
) -> None:
    listed = row(order_type=order_type, status=status, trigger_price=Decimal(3465), filled_quantity=0)
    assert shapes.read_order(listed).trigger_price == waits_for
    assert shapes.read_order(listed | {"filled_quantity": 1}).trigger_price is None
