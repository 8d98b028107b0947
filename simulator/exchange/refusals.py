"""Why the engine refuses a request; each dialect words it in its own way."""

from enum import Enum, auto


class Reason(Enum):
    """The engine's refusals. A request refused with one of these left no trace in the order book."""

    UNKNOWN_INSTRUMENT = auto()
    NOT_TRADABLE = auto()
    MARKET_CLOSED = auto()
    BAD_QUANTITY = auto()
    NOT_A_LOT = auto()
    ABOVE_FREEZE = auto()
    BAD_PRICE = auto()
    NOT_A_TICK = auto()
    ABOVE_CIRCUIT = auto()
    BELOW_CIRCUIT = auto()
    BAD_TRIGGER = auto()
    TRIGGER_BEYOND_LIMIT = auto()
    TRIGGER_ALREADY_HIT = auto()
    BAD_DISCLOSED = auto()
    NO_PROTECTION = auto()
    STOP_MARKET_NOT_ALLOWED = auto()
    BAD_PRODUCT = auto()
    NO_FUNDS = auto()
    NO_HOLDINGS = auto()
    UNKNOWN_ORDER = auto()
    ORDER_DONE = auto()
    TOO_MANY_MODIFICATIONS = auto()
    NOTHING_TO_MODIFY = auto()
    BELOW_FILLED = auto()
    NO_POSITION = auto()


class Refusal(Exception):
    """The engine's refusal, with the values a message needs (prices in price units)."""

    def __init__(self, reason: Reason, **details: int | str) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.details = details
