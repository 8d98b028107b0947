"""Resolve: an order in doubt becomes placed or absent by reading the broker's book, and by nothing else.

Anyone may look, and an order found by its tag is adopted at once. But nobody calls one absent before the last moment at which its
request could still have been on the wire (`send_by` + HTTP timeout), and then only after two fresh reads of a healthy book a
settle time apart. A read that failed, or a book that has forgotten an order we know, proves nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from storage.models import Order
from trading.orders import BookSnapshot, BrokerOrder
from trading.sessions import INDIA


@dataclass(frozen=True, slots=True)
class BookRead:
    """A book that was read, with the wall instant before its request was sent."""

    snapshot: BookSnapshot
    requested_at: datetime


class Absence(str, Enum):
    """What one more read says of an order that is not in it."""

    TOO_EARLY = "too_early"  # its request may still be under way
    FIRST_SIGHT = "first_sight"  # missing for the first time
    UNSETTLED = "unsettled"  # missing again, too soon after the first time
    OTHER_DAY = "other_day"  # the book lists the orders of a later day and says nothing of this one
    PROVEN = "proven"


def is_healthy(book: BookSnapshot, known_ids: Iterable[str]) -> bool:
    """A book that lacks an order it once acknowledged is stale or broken, and proves nothing about others."""
    listed = {order.broker_order_id for order in book.orders}
    return all(broker_order_id in listed for broker_order_id in known_ids)


def judge_absence(
    *, send_by: datetime, missing_since: datetime | None, requested_at: datetime, timeout: timedelta, settle: timedelta
) -> Absence:
    """What a healthy book, asked for at `requested_at`, proves about an order it does not list."""
    if requested_at <= send_by + timeout:
        return Absence.TOO_EARLY
    if requested_at >= end_of_day(send_by):
        return Absence.OTHER_DAY
    if missing_since is None:
        return Absence.FIRST_SIGHT
    return Absence.PROVEN if requested_at >= missing_since + settle else Absence.UNSETTLED


# An order in doubt is read again this soon, and, as it grows older, when its age has grown by half.
SOON = timedelta(seconds=0.7)


def next_read(
    *,
    claimed_at: datetime,
    send_by: datetime,
    missing_since: datetime | None,
    requested_at: datetime,
    timeout: timedelta,
    settle: timedelta,
) -> datetime:
    """When a book that did not list an order is worth reading again.

    Most orders that arrived are listed at once and some late, so reads grow rarer. One more comes as soon as the next step of the
    proof of absence can be made, and not a moment later: an exit may be waiting for it.
    """
    may_show_up = requested_at + max(SOON, (requested_at - claimed_at) / 2)
    # The proof wants a request later than the last moment on the wire, not at it.
    proves_more = max(send_by + timeout + timedelta(milliseconds=1), (missing_since or send_by) + settle)
    return min(may_show_up, proves_more) if proves_more > requested_at else may_show_up


def matches(order: Order, book: BookSnapshot) -> tuple[BrokerOrder, ...]:
    """The broker's orders that are this attempt: by the broker's id once it is known, by the tag until then."""
    if order.broker_order_id is not None:
        return tuple(seen for seen in book.orders if seen.broker_order_id == order.broker_order_id)
    return tuple(seen for seen in book.by_tag(order.tag) if seen.side is order.side and seen.instrument.symbol == order.symbol)


def end_of_day(now: datetime) -> datetime:
    """Midnight in India: a broker's book holds today's orders only."""
    local = now.astimezone(INDIA)
    return (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
