"""SmartAPI's JSON, from documented examples, and what happens to rows that do not read."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.angel_one import orders as shapes
from brokers.angel_one.symbols import AngelInstrument
from brokers.angel_one.words import PRODUCTS, SIDES, STATUSES
from brokers.exact_json import encode_json
from tests.unit.brokers.angel_one.rows import order_row, position_row, trade_row
from trading.instruments import InstrumentId, PriceLimits, Product
from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest, Side
from trading.ports.broker import BrokerRefused, UnreadableAnswer

SBIN = InstrumentId("NSE", "SBIN")
LISTED = AngelInstrument("NSE", "3045", "SBIN-EQ")


def test_an_order_of_the_book_is_read_whole() -> None:
    (listed,) = shapes.read_book([order_row()])
    assert listed.order == BrokerOrder(
        broker_order_id="201020000000080",
        tag="st1a2b3c",
        instrument=SBIN,
        product=Product.CNC,
        side=Side.BUY,
        quantity=3,
        filled_quantity=1,
        price=Decimal("194.0"),
        average_price=Decimal("193.95"),
        status=BrokerOrderStatus.OPEN,
        message="",
        updated_at=datetime(2020, 10, 20, 7, 41, tzinfo=UTC),
        exchange_order_id="1100000000000001",
    )
    assert listed.handle == shapes.Handle("NORMAL", "DELIVERY", LISTED, "34reqfachdfih")


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": 3, "filledshares": 1, "price": Decimal("194.00"), "averageprice": Decimal("193.950")},
        {"quantity": "3.0", "price": 194, "averageprice": "193.9500"},
        {"orderid": 201020000000080, "exchangeorderid": 1100000000000001},
        {"status": "OPEN", "orderstatus": "Open"},
        {"orderstatus": None},
        {"orderstatus": ""},
        {"exchorderupdatetime": "2020-10-20 13:11:00"},
        {"exchorderupdatetime": None, "updatetime": "20-Oct-2020 13:11:00"},
        {"exchorderupdatetime": "", "updatetime": "", "exchtime": "20-Oct-2020 13:11:00"},
        {"transactiontype": "buy", "producttype": "delivery"},
        {"text": None, "uniqueorderid": None},
        {"anything": "new"},
    ],
    ids=str,
)
def test_the_same_order_in_other_spellings_reads_the_same(fields: dict[str, object]) -> None:
    assert shapes.read_order(order_row(**fields)) == shapes.read_order(order_row())


REQUIRED = ["orderid", "exchange", "tradingsymbol", "transactiontype", "producttype"]
NUMBERS = ["quantity", "filledshares", "price", "averageprice"]


@pytest.mark.parametrize("key", REQUIRED + NUMBERS)
@pytest.mark.parametrize("value", [None, "", " ", True, [], {}])
def test_a_missing_or_mistyped_field_is_unreadable_and_never_zero(key: str, value: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_order(order_row(**{key: value}))
    bare = order_row()
    del bare[key]
    with pytest.raises(UnreadableAnswer):
        shapes.read_order(bare)


@pytest.mark.parametrize(
    "fields",
    [
        {"orderstatus": "something new", "status": "open"},
        {"orderstatus": "", "status": ""},
        {"producttype": "NEW"},
        {"transactiontype": "SHORT"},
        {"quantity": "1.5"},
        {"filledshares": "NaN"},
        {"price": "Infinity"},
        {"price": "1e"},
        {"exchorderupdatetime": "yesterday"},
        {"tradingsymbol": "-EQ"},
    ],
)
def test_an_unknown_word_or_shape_is_unreadable(fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_book([order_row(), order_row(**fields)])


@pytest.mark.parametrize("key", ["variety", "ordertag", "text", "exchangeorderid", "uniqueorderid", "updatetime", "cancelsize"])
def test_what_nothing_depends_on_may_be_missing(key: str) -> None:
    bare = order_row()
    del bare[key]
    assert shapes.read_listed(bare).order.status is BrokerOrderStatus.OPEN


def test_prices_that_mean_nothing_may_be_missing() -> None:
    order = shapes.read_order(order_row(filledshares="0", averageprice="", ordertype="MARKET", price=None))
    assert (order.price, order.average_price) == (0, 0)


@pytest.mark.parametrize("data", [None, {}, "", [None], [[]]])
def test_a_book_that_is_not_a_list_of_orders_is_unreadable_and_not_empty(data: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_book(data)
    with pytest.raises(UnreadableAnswer):
        shapes.read_trades(data, trading_day=date(2026, 1, 1))
    with pytest.raises(UnreadableAnswer):
        shapes.read_positions(data)


PENDING, OPEN, CANCELLED = BrokerOrderStatus.PENDING, BrokerOrderStatus.OPEN, BrokerOrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("put order req received", PENDING),
        ("validation pending", PENDING),
        ("open pending", PENDING),
        ("after market order req received", PENDING),
        ("modify after market order req received", PENDING),
        ("trigger pending", OPEN),
        ("open", OPEN),
        ("modify validation pending", OPEN),
        ("modify pending", OPEN),
        ("modified", OPEN),
        ("not modified", OPEN),
        ("cancel pending", OPEN),
        ("not cancelled", OPEN),
        ("complete", BrokerOrderStatus.COMPLETE),
        ("cancelled", CANCELLED),
        ("cancelled after market order", CANCELLED),
        ("rejected", BrokerOrderStatus.REJECTED),
    ],
)
def test_every_documented_status_is_translated(word: str, status: BrokerOrderStatus) -> None:
    assert shapes.read_order(order_row(orderstatus=word)).status is status
    assert len(STATUSES) == 17


def test_products_and_sides_we_trade_are_told_from_foreign_ones() -> None:
    ours = {"INTRADAY": Product.MIS, "DELIVERY": Product.CNC, "CARRYFORWARD": Product.NRML}
    assert {word: product for word, product in PRODUCTS.items() if product} == ours
    assert {word for word, product in PRODUCTS.items() if product is None} == {"MARGIN", "BO", "CO"}
    assert {side.value: side for side in Side} == SIDES


def test_details_are_one_order_or_a_list_of_one_and_nothing_means_unknown() -> None:
    for data in (order_row(), [order_row()]):
        assert shapes.read_details(data, broker_order_id="201020000000080").tag == "st1a2b3c"
    for nothing in (None, []):
        with pytest.raises(BrokerRefused):
            shapes.read_details(nothing, broker_order_id="201020000000080")
    for data in (order_row(orderid="7"), [order_row(), order_row()], "text"):
        with pytest.raises(UnreadableAnswer):
            shapes.read_details(data, broker_order_id="201020000000080")


def test_a_trade_is_read_whole_and_its_time_is_of_the_day() -> None:
    expected = BrokerTrade(
        trade_id="50005750",
        broker_order_id="201020000000080",
        instrument=SBIN,
        product=Product.CNC,
        side=Side.BUY,
        quantity=1,
        price=Decimal("194.05"),
        filled_at=datetime(2026, 11, 23, 7, 57, 53, tzinfo=UTC),
    )
    rows = [trade_row(), trade_row(fillid=50005750, fillprice=Decimal("194.05")), trade_row(filltime="23-Nov-2026 13:27:53")]
    assert shapes.read_trades(rows, trading_day=date(2026, 11, 23)) == (expected,) * 3
    for bad in ({"filltime": ""}, {"filltime": "noon"}, {"fillsize": None}, {"fillprice": "x"}, {"fillid": ""}):
        with pytest.raises(UnreadableAnswer):
            shapes.read_trades([trade_row(**bad)], trading_day=date(2026, 11, 23))


def test_a_position_is_signed_and_its_prices_may_be_missing_but_not_its_quantity() -> None:
    expected = BrokerPosition(SBIN, Product.MIS, -3, Decimal("1194.05"), Decimal("1190.00"))
    assert shapes.read_positions([position_row()]) == (expected,)
    (bare,) = shapes.read_positions([position_row(avgnetprice="", ltp=None)])
    assert (bare.net_quantity, bare.average_price, bare.last_price) == (-3, 0, 0)
    with pytest.raises(UnreadableAnswer):
        shapes.read_positions([position_row(netqty="")])


def test_funds_are_text() -> None:
    margins = shapes.read_margins({"net": "9999.50", "utiliseddebits": "500.25"})
    assert (margins.available, margins.used) == (Decimal("9999.50"), Decimal("500.25"))
    with pytest.raises(UnreadableAnswer):
        shapes.read_margins({"utiliseddebits": "1"})


def test_quotes_are_matched_by_exchange_and_token() -> None:
    asked = {("NSE", "3045"): SBIN}
    fetched: list[dict[str, Any]] = [
        {"exchange": "NSE", "symbolToken": "3045", "ltp": Decimal("568.2"), "lowerCircuit": "511.4", "upperCircuit": 0},
        {"exchange": "BSE", "symbolToken": "3045", "ltp": 1},
    ]
    data = {"fetched": fetched, "unfetched": [{"exchange": "NSE", "symbolToken": "1"}]}
    assert shapes.read_last_prices(data, asked) == {SBIN: Decimal("568.2")}
    assert shapes.read_price_limits(data, asked) == {SBIN: PriceLimits(Decimal("511.4"), None)}
    assert shapes.read_last_prices({"fetched": [fetched[0] | {"ltp": 0}]}, asked) == {}
    assert shapes.read_last_prices({"fetched": None}, asked) == {}
    with pytest.raises(UnreadableAnswer):
        shapes.read_last_prices({"fetched": [{"exchange": "NSE", "symbolToken": "3045"}]}, asked)


def test_an_order_is_sent_as_documented() -> None:
    order = OrderRequest("t1", SBIN, Product.MIS, Side.SELL, 5, Decimal("801.50"))
    assert json.loads(encode_json(shapes.place_body(order, LISTED))) == {
        "variety": "NORMAL",
        "tradingsymbol": "SBIN-EQ",
        "symboltoken": "3045",
        "transactiontype": "SELL",
        "exchange": "NSE",
        "ordertype": "LIMIT",
        "producttype": "INTRADAY",
        "duration": "DAY",
        "price": "801.50",
        "triggerprice": "0",
        "quantity": "5",
        "disclosedquantity": "0",
        "squareoff": "0",
        "stoploss": "0",
        "ordertag": "t1",
    }


def test_a_change_names_the_order_as_it_was_placed_or_listed() -> None:
    order = OrderRequest("t1", SBIN, Product.CNC, Side.BUY, 5, Decimal("1E+2"))
    placed = shapes.placed_handle(shapes.place_body(order, LISTED), unique_id="34reqfachdfih")
    assert placed == shapes.read_listed(order_row()).handle
    assert shapes.modify_body(ModifyRequest("7", 9, Decimal("1E+2")), placed) == {
        "variety": "NORMAL",
        "orderid": "7",
        "ordertype": "LIMIT",
        "producttype": "DELIVERY",
        "duration": "DAY",
        "price": "100",
        "triggerprice": "0",
        "quantity": "9",
        "tradingsymbol": "SBIN-EQ",
        "symboltoken": "3045",
        "exchange": "NSE",
    }
    stop = shapes.read_listed(order_row(variety="STOPLOSS", ordertype="STOPLOSS_LIMIT")).handle
    assert shapes.cancel_body("7", stop) == {"variety": "STOPLOSS", "orderid": "7"}


def test_a_stop_has_a_variety_of_its_own_and_keeps_it_as_a_limit_order() -> None:
    order = OrderRequest("t1", SBIN, Product.CNC, Side.SELL, 5, Decimal("790"), Decimal("800.50"))
    body = shapes.place_body(order, LISTED)
    named = ("variety", "ordertype", "price", "triggerprice")
    assert [body[name] for name in named] == ["STOPLOSS", "STOPLOSS_LIMIT", "790", "800.50"]
    handle = shapes.placed_handle(body, unique_id="")
    moved = shapes.modify_body(ModifyRequest("7", 5, Decimal("780"), Decimal("790.05")), handle)
    assert [moved[name] for name in named] == ["STOPLOSS", "STOPLOSS_LIMIT", "780", "790.05"]
    limit = shapes.modify_body(ModifyRequest("7", 5, Decimal("799")), handle)
    assert [limit[name] for name in named] == ["STOPLOSS", "LIMIT", "799", "0"]


@pytest.mark.parametrize(
    ("fields", "waits_for"),
    [
        ({"orderstatus": "trigger pending"}, Decimal("800.5")),
        ({"orderstatus": "Modify Pending"}, Decimal("800.5")),
        ({"orderstatus": "open"}, None),
        ({"orderstatus": "complete"}, None),
        ({"orderstatus": "modify pending", "filledshares": "1"}, None),
        ({"orderstatus": "trigger pending", "ordertype": "LIMIT"}, None),
        ({"orderstatus": "trigger pending", "triggerprice": ""}, None),
    ],
    ids=str,
)
def test_a_stop_waits_until_its_state_says_that_it_does_not(fields: dict[str, object], waits_for: Decimal | None) -> None:
    stop = order_row(variety="STOPLOSS", ordertype="STOPLOSS_LIMIT", triggerprice="800.50", filledshares="0") | fields
    assert shapes.read_order(stop).trigger_price == waits_for
