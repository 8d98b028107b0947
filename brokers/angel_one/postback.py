"""Order postbacks: what the broker posts to an app's own address when an order changes. Pure.

They carry no signature: what they say is a hint to read the book, and never more than that.
"""

from brokers.angel_one.fields import name
from brokers.angel_one.orders import read_order
from brokers.exact_json import parse_json
from brokers.fields import row
from trading.orders import BrokerOrder
from trading.ports.broker import UnreadableAnswer


def claimed_user_id(body: bytes) -> str:
    """Whose postback it says it is."""
    return name(_parse(body), "clientcode")


def read_postback(body: bytes, _: str) -> BrokerOrder:
    """The order in a postback. There is no signature, so the app's secret proves nothing. Raises UnreadableAnswer for junk."""
    return read_order(_parse(body))


def _parse(body: bytes) -> dict[str, object]:
    try:
        return dict(row(parse_json(body), "postback"))
    except ValueError:
        raise UnreadableAnswer("a postback that is not JSON") from None
