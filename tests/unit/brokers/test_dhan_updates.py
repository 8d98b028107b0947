"""Order updates of Dhan, in the spelling of its documentation and in the one its server uses."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.dhan.postback import claimed_user_id, read_postback
from brokers.dhan.updates import read_update
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrder, BrokerOrderStatus, Side
from trading.ports.broker import UnreadableAnswer

IDEA = InstrumentId("NSE", "IDEA")


def instrument_of(token: str) -> InstrumentId | None:
    return IDEA if token == "NSE_EQ:14366" else None


def data(**changes: object) -> dict[str, object]:
    """As seen from the server."""
    seen: dict[str, object] = {
        "exchange": "NSE",
        "segment": "E",
        "source": "P",
        "securityId": "14366",
        "clientId": "1000000001",
        "exchOrderNo": "1400000000404591",
        "orderNo": "1124091136546",
        "product": "C",
        "txnType": "B",
        "orderType": "LMT",
        "validity": "DAY",
        "remainingQuantity": 1,
        "quantity": 1,
        "tradedQty": 0,
        "price": 13,
        "triggerPrice": 0,
        "avgTradedPrice": 0,
        "orderDateTime": "2024-09-11 14:39:29",
        "exchOrderTime": "2024-09-11 14:39:29",
        "lastUpdatedTime": "2024-09-11 14:39:30",
        "reasonDescription": "CONFIRMED",
        "symbol": "IDEA",
        "productName": "CNC",
        "status": "Cancelled",
        "expiryDate": "0001-01-01 00:00:00",
        "correlationId": "",
    }
    return seen | changes


def read(**changes: object) -> BrokerOrder:
    order = read_update(json.dumps({"Type": "order_alert", "Data": data(**changes)}), instrument_of=instrument_of)
    assert order is not None
    return order


def test_an_update_is_read_whole() -> None:
    assert read() == BrokerOrder(
        broker_order_id="1124091136546",
        tag=None,
        instrument=IDEA,
        product=Product.CNC,
        side=Side.BUY,
        quantity=1,
        filled_quantity=0,
        price=Decimal(13),
        average_price=Decimal(0),
        status=BrokerOrderStatus.CANCELLED,
        message="",
        updated_at=datetime(2024, 9, 11, 9, 9, 30, tzinfo=UTC),
        exchange_order_id="1400000000404591",
    )


def test_both_spellings_are_the_same_update() -> None:
    documented = {key[0].upper() + key[1:]: value for key, value in data(correlationId="t1").items()}
    frame = json.dumps({"Type": "order_alert", "Data": documented})
    assert read_update(frame, instrument_of=instrument_of) == read(correlationId="t1")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Transit", BrokerOrderStatus.PENDING),
        ("Pending", BrokerOrderStatus.OPEN),
        ("Part Traded", BrokerOrderStatus.OPEN),
        ("PART_TRADED", BrokerOrderStatus.OPEN),
        ("TRADED", BrokerOrderStatus.COMPLETE),
        ("Traded", BrokerOrderStatus.COMPLETE),
        ("Rejected", BrokerOrderStatus.REJECTED),
        ("Expired", BrokerOrderStatus.CANCELLED),
    ],
)
def test_a_state_is_read_however_it_is_written(word: str, status: BrokerOrderStatus) -> None:
    assert read(status=word).status is status


def test_a_fill_is_read_with_its_exact_average() -> None:
    frame = json.dumps({"Type": "order_alert", "Data": data(status="Traded", tradedQty=1)}).replace(
        '"avgTradedPrice": 0', '"avgTradedPrice": 13.05'
    )
    order = read_update(frame, instrument_of=instrument_of)
    assert order is not None
    assert (order.filled_quantity, str(order.average_price)) == (1, "13.05")


def test_the_reason_counts_for_rejections_only() -> None:
    assert read(status="Rejected", reasonDescription="RMS: no funds").message == "RMS: no funds"
    assert read(status="Pending").message == ""


def test_an_instrument_the_list_does_not_hold_goes_by_its_symbol() -> None:
    assert read(securityId="1", symbol="NIFTY", segment="D").instrument == InstrumentId("NFO", "NIFTY")


@pytest.mark.parametrize("message", ['{"Type":"hello"}', '{"LoginResp":{"MsgCode":43}}', "{}"])
def test_other_messages_are_no_orders(message: str) -> None:
    assert read_update(message, instrument_of=instrument_of) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "New"},
        {"tradedQty": None},
        {"quantity": None},
        {"txnType": "X"},
        {"segment": "Q"},
        {"orderNo": ""},
        {"product": "Z"},
    ],
    ids=str,
)
def test_an_update_nobody_understands_is_unreadable(fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswer):
        read(**fields)


@pytest.mark.parametrize("message", ["", "half {", "[1]", '{"Type":"order_alert"}', '{"Type":"order_alert","Data":[]}'])
def test_a_frame_that_is_not_its_protocol_is_unreadable(message: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_update(message, instrument_of=instrument_of)


def test_a_postback_is_read_as_a_hint() -> None:
    body = json.dumps(
        {
            "dhanClientId": "1000000003",
            "orderId": "112111182198",
            "correlationId": "123abc678",
            "orderStatus": "TRADED",
            "transactionType": "BUY",
            "exchangeSegment": "NSE_EQ",
            "productType": "INTRADAY",
            "tradingSymbol": "TCS",
            "securityId": "11536",
            "quantity": 5,
            "price": 3345.8,
            "updateTime": "2021-11-24 13:33:03",
            "filled_qty": 5,
        }
    ).encode()
    order = read_postback(body)
    assert (order.broker_order_id, order.tag, order.filled_quantity) == ("112111182198", "123abc678", 5)
    assert order.instrument == InstrumentId("NSE", "TCS")
    assert claimed_user_id(body) == "1000000003"
    for junk in (b"", b"[]", b"{}"):
        with pytest.raises(UnreadableAnswer):
            read_postback(junk)
