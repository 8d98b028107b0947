"""Order postbacks: what Dhan's server posts to an address given with a token. Pure.

Dhan signs nothing: a postback is a hint to read the book, and nothing in it is believed.
"""

from brokers.dhan.loose import word
from brokers.dhan.orders import read_order
from brokers.exact_json import parse_json
from brokers.fields import Row, row
from trading.orders import BrokerOrder
from trading.ports.broker import UnreadableAnswer


def claimed_user_id(body: bytes) -> str:
    """Whose postback it says it is."""
    return word(_parse(body), "dhanClientId")


def read_postback(body: bytes) -> BrokerOrder:
    """The order in a postback, by the symbol it came with. Raises UnreadableAnswer for junk."""
    return read_order(_parse(body), instrument_of=lambda _: None)


def _parse(body: bytes) -> Row:
    try:
        return row(parse_json(body), "postback")
    except ValueError:
        raise UnreadableAnswer("a postback that is not JSON") from None
