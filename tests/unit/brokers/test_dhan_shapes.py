"""Dhan's JSON, from documented examples, and what happens to rows that do not read."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.dhan import orders as shapes
from brokers.dhan.words import PRODUCTS, STATUSES
from trading.accounts import Margins, Profile
from trading.instruments import InstrumentId, PriceLimits, Product
from trading.orders import BrokerOrder, BrokerOrderStatus, BrokerPosition, BrokerTrade, ModifyRequest, OrderRequest, Side
from trading.ports.broker import UnreadableAnswer

TCS = InstrumentId("NSE", "TCS")
INFY = InstrumentId("NSE", "INFY")


def instrument_of(token: str) -> InstrumentId | None:
    return {"NSE_EQ:11536": TCS, "NSE_EQ:1594": INFY}.get(token)


def row(**changes: object) -> dict[str, object]:
    """An order as the documentation shows it."""
    documented: dict[str, object] = {
        "dhanClientId": "1000000003",
        "orderId": "112111182198",
        "exchangeOrderId": "1100000000048358",
        "correlationId": "123abc678",
        "orderStatus": "PENDING",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "tradingSymbol": "TCS",
        "securityId": "11536",
        "quantity": 5,
        "disclosedQuantity": 0,
        "price": Decimal("3345.8"),
        "triggerPrice": Decimal("0.0"),
        "afterMarketOrder": False,
        "legName": None,
        "createTime": "2021-11-24 13:33:03",
        "updateTime": "2021-11-24 13:33:04",
        "exchangeTime": "2021-11-24 13:33:03",
        "drvExpiryDate": None,
        "omsErrorCode": None,
        "omsErrorDescription": None,
        "algoId": "0",
        "remainingQuantity": 5,
        "averageTradedPrice": 0,
        "filledQty": 0,
    }
    return documented | changes


def read(**changes: object) -> BrokerOrder:
    return shapes.read_order(row(**changes), instrument_of=instrument_of)


def test_an_order_of_the_book_is_read_whole() -> None:
    assert shapes.read_orders([row()], instrument_of=instrument_of) == (
        BrokerOrder(
            broker_order_id="112111182198",
            tag="123abc678",
            instrument=TCS,
            product=Product.MIS,
            side=Side.BUY,
            quantity=5,
            filled_quantity=0,
            price=Decimal("3345.8"),
            average_price=Decimal(0),
            status=BrokerOrderStatus.OPEN,
            message="",
            updated_at=datetime(2021, 11, 24, 8, 3, 4, tzinfo=UTC),
            exchange_order_id="1100000000048358",
            algo_id="0",
        ),
    )


def test_the_same_order_is_read_from_every_way_of_writing_it() -> None:
    plain = read(filledQty=2, averageTradedPrice=Decimal("3345.8"), orderStatus="PART_TRADED")
    assert plain.filled_quantity == 2
    for changes in (
        {"orderId": 112111182198, "securityId": 11536, "quantity": "5", "price": "3345.80", "filledQty": "2"},
        {"quantity": Decimal("5.0"), "filledQty": None, "filled_qty": 2},
        {"updateTime": "2021-11-24T13:33:04.000"},
        {"tradingSymbol": None},
    ):
        written = {"filledQty": 2, "averageTradedPrice": Decimal("3345.8"), "orderStatus": "PART_TRADED"} | changes
        assert read(**written) == plain


@pytest.mark.parametrize("tag", [None, "", "NA"])
def test_an_order_without_our_tag_has_none(tag: str | None) -> None:
    assert read(correlationId=tag).tag is None
    bare = row()
    del bare["correlationId"]
    assert shapes.read_order(bare, instrument_of=instrument_of).tag is None


def test_an_instrument_goes_by_the_brokers_number_before_its_symbol() -> None:
    assert read(securityId="1594", tradingSymbol="Infosys").instrument == INFY
    assert read(securityId="49081", exchangeSegment="NSE_FNO", tradingSymbol="NIFTY-Sep2026-25000-CE").instrument == InstrumentId(
        "NFO", "NIFTY-Sep2026-25000-CE"
    )
    assert read(securityId="99", tradingSymbol=None).instrument == InstrumentId("NSE", "99")


@pytest.mark.parametrize("moment", ["0001-01-01 00:00:00", None, "", "soon"])
def test_an_order_without_a_time_has_none(moment: str | None) -> None:
    assert read(updateTime=moment, exchangeTime=moment, createTime=moment).updated_at is None


@pytest.mark.parametrize("state", ["TRANSIT", "REJECTED"])
def test_an_order_that_was_never_at_the_exchange_has_filled_nothing(state: str) -> None:
    bare = row(orderStatus=state, averageTradedPrice=None, price=None)
    del bare["filledQty"], bare["remainingQuantity"]
    assert shapes.read_order(bare, instrument_of=instrument_of).filled_quantity == 0


@pytest.mark.parametrize("state", sorted(set(STATUSES) - {"TRANSIT", "REJECTED"}))
def test_a_missing_filled_quantity_is_unreadable_and_never_zero(state: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read(orderStatus=state, filledQty=None)


def test_the_reason_of_a_rejection_is_kept() -> None:
    order = read(orderStatus="REJECTED", omsErrorCode="16283", omsErrorDescription="EXCH:16283: no")
    assert (order.status, order.message) == (BrokerOrderStatus.REJECTED, "EXCH:16283: no")


def test_a_cancelled_or_expired_order_keeps_its_fills() -> None:
    for state in ("CANCELLED", "EXPIRED"):
        order = read(orderStatus=state, filledQty=2, averageTradedPrice=3345)
        assert (order.status, order.filled_quantity) == (BrokerOrderStatus.CANCELLED, 2)


REQUIRED = ["orderId", "orderStatus", "exchangeSegment", "transactionType", "productType", "quantity"]


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("value", [None, "", True, [], {}, "?"])
def test_a_missing_or_mistyped_field_is_unreadable_and_never_zero(key: str, value: object) -> None:
    if key == "orderId" and value == "?":
        return
    with pytest.raises(UnreadableAnswer):
        read(**{key: value})


@pytest.mark.parametrize(
    "fields",
    [{"quantity": Decimal("1.5")}, {"filledQty": "two"}, {"price": "cheap"}, {"price": True}, {"filledQty": Decimal("NaN")}],
)
def test_what_is_no_number_is_unreadable(fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        read(**fields)


@pytest.mark.parametrize("word", sorted(PRODUCTS))
def test_every_product_is_known(word: str) -> None:
    assert read(productType=word).product is PRODUCTS[word]


@pytest.mark.parametrize("data", [[row()], row()])
def test_one_order_is_read_alone_or_from_a_list_of_one(data: object) -> None:
    assert shapes.read_one(data, broker_order_id="112111182198", instrument_of=instrument_of) == read()
    assert shapes.read_tagged(data, tag="123abc678", instrument_of=instrument_of) == (read(),)


@pytest.mark.parametrize("data", [[], {}, None, [row(orderId="7")]])
def test_another_order_or_none_is_not_the_one_asked_for(data: object) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_one(data, broker_order_id="112111182198", instrument_of=instrument_of)


def test_nothing_under_a_tag_is_nothing_and_another_tag_is_unreadable() -> None:
    for nothing in ("[]", "{}"):
        assert shapes.read_tagged(json.loads(nothing), tag="t1", instrument_of=instrument_of) == ()
    with pytest.raises(UnreadableAnswer):
        shapes.read_tagged(row(), tag="t1", instrument_of=instrument_of)


def test_an_order_goes_out_with_numbers_and_nothing_unused() -> None:
    request = OrderRequest("t1", TCS, Product.MIS, Side.BUY, 5, Decimal("3345.80"))
    assert shapes.place_body(request, token="NSE_EQ:11536", client_id="1000000003") == {
        "dhanClientId": "1000000003",
        "correlationId": "t1",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": "11536",
        "quantity": 5,
        "price": Decimal("3345.80"),
    }


@pytest.mark.parametrize(("product", "word"), [(Product.MIS, "INTRADAY"), (Product.CNC, "CNC"), (Product.NRML, "MARGIN")])
def test_every_product_of_ours_has_its_word(product: Product, word: str) -> None:
    request = OrderRequest("t1", TCS, product, Side.SELL, 5, Decimal(3345))
    body = shapes.place_body(request, token="BSE_EQ:532540", client_id="1")
    assert (body["productType"], body["exchangeSegment"], body["transactionType"]) == (word, "BSE_EQ", "SELL")


def test_a_modification_says_the_total_quantity() -> None:
    assert shapes.modify_body(ModifyRequest("112111182198", 9, Decimal("3400.5")), client_id="1") == {
        "dhanClientId": "1",
        "orderId": "112111182198",
        "orderType": "LIMIT",
        "quantity": 9,
        "price": Decimal("3400.5"),
        "triggerPrice": 0,
        "validity": "DAY",
    }


def test_a_stop_is_placed_and_moved_with_its_trigger() -> None:
    wanted = OrderRequest("t1", InstrumentId("NSE", "TCS"), Product.MIS, Side.SELL, 5, Decimal("3430"), Decimal("3465"))
    placed = shapes.place_body(wanted, token="NSE_EQ:11536", client_id="1")
    moved = shapes.modify_body(ModifyRequest("7", 9, Decimal("3370"), Decimal("3400")), client_id="1")
    assert (placed["orderType"], placed["price"], placed["triggerPrice"]) == ("STOP_LOSS", 3430, 3465)
    assert (moved["orderType"], moved["price"], moved["triggerPrice"]) == ("STOP_LOSS", 3370, 3400)


@pytest.mark.parametrize(
    ("fields", "waits_for"),
    [
        ({"orderType": "STOP_LOSS"}, Decimal(3465)),
        ({"orderType": "STOP_LOSS_MARKET", "orderStatus": "TRANSIT"}, Decimal(3465)),
        ({"orderType": "STOP_LOSS", "triggerPrice": None}, None),
        ({"orderType": "STOP_LOSS", "filledQty": 1, "orderStatus": "PART_TRADED"}, None),
        ({"orderType": "STOP_LOSS", "orderStatus": "CANCELLED"}, None),
        ({"orderType": "LIMIT"}, None),
        ({"orderType": None}, None),
    ],
    ids=str,
)
def test_a_stop_waits_until_it_has_filled_or_ended(fields: dict[str, object], waits_for: Decimal | None) -> None:
    assert read(**({"triggerPrice": Decimal(3465)} | fields)).trigger_price == waits_for


def trade(**changes: object) -> dict[str, object]:
    documented: dict[str, object] = {
        "dhanClientId": "1000000009",
        "orderId": "112111182045",
        "exchangeOrderId": "15112111182045",
        "exchangeTradeId": "15112111182045",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "tradingSymbol": "TCS",
        "customSymbol": None,
        "securityId": "11536",
        "tradedQuantity": 40,
        "tradedPrice": Decimal("3345.8"),
        "createTime": "2021-03-10 11:20:06",
        "updateTime": "2021-11-25 17:35:12",
        "exchangeTime": "2021-11-25 17:35:11",
    }
    return documented | changes


def test_a_trade_is_read_whole() -> None:
    expected = BrokerTrade(
        trade_id="15112111182045",
        broker_order_id="112111182045",
        instrument=TCS,
        product=Product.MIS,
        side=Side.BUY,
        quantity=40,
        price=Decimal("3345.8"),
        filled_at=datetime(2021, 11, 25, 12, 5, 11, tzinfo=UTC),
    )
    assert shapes.read_trades([trade()], instrument_of=instrument_of) == (expected,)


@pytest.mark.parametrize("key", ["exchangeTradeId", "orderId", "tradedQuantity", "tradedPrice", "transactionType"])
def test_a_trade_with_something_missing_is_unreadable(key: str) -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_trades([trade(**{key: None})], instrument_of=instrument_of)


def position(**changes: object) -> dict[str, object]:
    documented: dict[str, object] = {
        "dhanClientId": "1000000009",
        "tradingSymbol": "TCS",
        "securityId": "11536",
        "positionType": "LONG",
        "exchangeSegment": "NSE_EQ",
        "productType": "CNC",
        "buyAvg": Decimal("3345.8"),
        "buyQty": 40,
        "costPrice": Decimal("3215.0"),
        "sellAvg": Decimal("0.0"),
        "sellQty": 0,
        "netQty": 40,
        "realizedProfit": Decimal("0.0"),
        "unrealizedProfit": Decimal("6122.0"),
    }
    return documented | changes


def test_a_position_is_read_signed_and_per_product() -> None:
    short = position(
        netQty=-3, sellAvg=1500, buyAvg=0, sellQty=3, buyQty=0, securityId="1594", positionType="SHORT", unrealizedProfit=-3
    )
    assert shapes.read_positions([position(), short], instrument_of=instrument_of) == (
        BrokerPosition(TCS, Product.CNC, 40, Decimal("3345.8"), Decimal("3498.85")),
        BrokerPosition(INFY, Product.CNC, -3, Decimal(1500), Decimal("1501.00")),
    )


def test_a_closed_position_is_flat() -> None:
    (closed,) = shapes.read_positions([position(netQty=0, positionType="CLOSED")], instrument_of=instrument_of)
    assert closed.net_quantity == 0


def test_a_position_without_a_quantity_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer):
        shapes.read_positions([position(netQty=None)], instrument_of=instrument_of)


def test_funds_are_read_under_both_spellings() -> None:
    funds = {"dhanClientId": "1", "availabelBalance": Decimal("98440.0"), "utilizedAmount": Decimal("15202.0")}
    assert shapes.read_margins(funds) == Margins(Decimal(98440), Decimal(15202))
    spelled = {"availableBalance": Decimal("98440.0"), "utilizedAmount": Decimal("15202.0")}
    assert shapes.read_margins(spelled) == Margins(Decimal(98440), Decimal(15202))
    with pytest.raises(UnreadableAnswer):
        shapes.read_margins({"utilizedAmount": 1})


def test_the_profile_has_a_number_for_a_name() -> None:
    assert shapes.read_profile({"dhanClientId": "1100003626", "dataPlan": "Active"}) == Profile("1100003626", "1100003626")


def test_quotes_are_asked_by_number_and_read_by_instrument() -> None:
    assert shapes.quote_body(["NSE_EQ:11536", "NSE_FNO:49081", "NSE_EQ:1594"]) == {"NSE_EQ": [11536, 1594], "NSE_FNO": [49081]}
    data = {"NSE_EQ": {"11536": {"last_price": 4520}, "1594": {"last_price": 0}, "7": {"last_price": 1}}, "NSE_FNO": {}}
    assert shapes.read_last_prices(data, instrument_of=instrument_of) == {TCS: Decimal(4520)}


def test_circuit_limits_of_zero_are_none() -> None:
    data = {
        "NSE_EQ": {
            "11536": {"lower_circuit_limit": Decimal("48.25"), "upper_circuit_limit": Decimal("72.35")},
            "1594": {"lower_circuit_limit": 0},
        }
    }
    limits = {TCS: PriceLimits(Decimal("48.25"), Decimal("72.35")), INFY: PriceLimits(None, None)}
    assert shapes.read_price_limits(data, instrument_of=instrument_of) == limits
