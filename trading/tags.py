"""Tags: the only key with which an order can be found again at every broker."""

import hashlib
from datetime import date

from trading.orders import Leg

# Brokers differ: 20 characters at two of them, letters and digits only, and one is said to fold case.
TAG_LENGTH = 20
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_LEG_LETTER = {Leg.ENTRY: "b", Leg.EXIT: "s"}


def make_tag(run_id: str, *, leg: Leg, attempt: int, trading_day: date) -> str:
    """Twenty characters `[a-z0-9]`: day of the year, leg, attempt, and 13 characters (67 bits) of a hash over all of them.

    The same attempt always gets the same tag, so a process that lost its memory looks for the right order. There is no last
    attempt: an exit never gives up. The two characters that show it start over after 1,295; the hash tells such tags apart.
    """
    if attempt < 1:
        raise ValueError(f"attempt must be at least 1, was {attempt}")
    digest = hashlib.sha256(f"{run_id}|{leg.value}|{attempt}|{trading_day.isoformat()}".encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    day = f"{trading_day.timetuple().tm_yday:03d}"
    return "t" + day + _LEG_LETTER[leg] + _base36(attempt, 2) + _base36(number, 13)


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, remainder = divmod(number, 36)
        digits.append(_ALPHABET[remainder])
    return "".join(reversed(digits))
