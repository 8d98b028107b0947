"""Order postbacks: what Kite's server posts to an app's own address when an order changes. Pure."""

import hashlib
import hmac

from brokers.exact_json import parse_json
from brokers.fields import row, text
from brokers.zerodha.orders import read_order
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerRefused, UnreadableAnswer


def claimed_user_id(body: bytes) -> str:
    """Whose postback it says it is: only good for finding the secret to check it with."""
    return text(_parse(body), "user_id")


def read_postback(body: bytes, *, api_secret: str) -> BrokerOrder:
    """The order in a postback. Raises BrokerRefused when its checksum is not made with our secret, UnreadableAnswer for junk."""
    source = _parse(body)
    signed = text(source, "order_id") + text(source, "order_timestamp") + api_secret
    expected = hashlib.sha256(signed.encode()).hexdigest()
    if not hmac.compare_digest(expected.encode(), text(source, "checksum").encode()):
        raise BrokerRefused("the postback's checksum is wrong")
    return read_order(source)


def _parse(body: bytes) -> dict[str, object]:
    try:
        return dict(row(parse_json(body), "postback"))
    except ValueError:
        raise UnreadableAnswer("a postback that is not JSON") from None
