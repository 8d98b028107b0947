import hashlib
import json

import pytest

from brokers.zerodha.postback import claimed_user_id, read_postback
from tests.unit.brokers.test_zerodha_shapes import row
from trading.orders import BrokerOrderStatus
from trading.ports.broker import BrokerRefused, UnreadableAnswer


def postback(*, api_secret: str, **changes: object) -> bytes:
    body = row(price=159, average_price=156, user_id="AB1234", status="UPDATE") | changes
    signed = f"{body['order_id']}{body['order_timestamp']}{api_secret}"
    return json.dumps(body | {"checksum": hashlib.sha256(signed.encode()).hexdigest()}).encode()


def test_a_postback_signed_with_our_secret_is_read() -> None:
    body = postback(api_secret="secret", tag="t1", filled_quantity=1)
    order = read_postback(body, api_secret="secret")
    assert (order.tag, order.filled_quantity, order.status) == ("t1", 1, BrokerOrderStatus.OPEN)
    assert claimed_user_id(body) == "AB1234"


def test_a_postback_signed_otherwise_is_refused() -> None:
    with pytest.raises(BrokerRefused, match="checksum"):
        read_postback(postback(api_secret="another"), api_secret="secret")


def test_a_postback_changed_after_signing_is_refused() -> None:
    body = postback(api_secret="secret").replace(b"2025-08-07 11:56:33", b"2025-08-07 11:56:35")
    with pytest.raises(BrokerRefused, match="checksum"):
        read_postback(body, api_secret="secret")


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b"{}", b'{"order_id":"1","order_timestamp":"2"}'])
def test_junk_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read_postback(body, api_secret="secret")


def test_a_checksum_in_other_letters_is_refused_rather_than_a_crash() -> None:
    body = json.dumps(row(price=1, average_price=1) | {"checksum": "é" * 64}).encode()
    with pytest.raises(BrokerRefused):
        read_postback(body, api_secret="secret")
