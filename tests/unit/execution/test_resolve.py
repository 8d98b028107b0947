from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from execution.resolve import Absence, end_of_day, is_healthy, judge_absence, matches, next_read
from storage.models import Order
from trading.instruments import InstrumentId, Product
from trading.orders import BookSnapshot, BrokerOrder, BrokerOrderStatus, Side

SEND_BY = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TIMEOUT, SETTLE = timedelta(seconds=5), timedelta(seconds=3)
LAST_ON_THE_WIRE = SEND_BY + TIMEOUT
MOMENT = timedelta(microseconds=1)


def listed(number: str, tag: str | None = "tag", *, side: Side = Side.SELL, symbol: str = "TCS") -> BrokerOrder:
    instrument = InstrumentId("NSE", symbol)
    zero = Decimal(0)
    return BrokerOrder(number, tag, instrument, Product.MIS, side, 10, 0, zero, zero, BrokerOrderStatus.OPEN, "", None)


def book(*orders: BrokerOrder) -> BookSnapshot:
    return BookSnapshot(orders, requested_at=0.0)


@pytest.mark.parametrize(
    ("requested_at", "missing_since", "verdict"),
    [
        (SEND_BY - timedelta(seconds=1), None, Absence.TOO_EARLY),
        (SEND_BY, None, Absence.TOO_EARLY),
        (LAST_ON_THE_WIRE, None, Absence.TOO_EARLY),
        (LAST_ON_THE_WIRE, SEND_BY - timedelta(days=1), Absence.TOO_EARLY),
        (LAST_ON_THE_WIRE + MOMENT, None, Absence.FIRST_SIGHT),
        (LAST_ON_THE_WIRE + timedelta(hours=1), None, Absence.FIRST_SIGHT),
        (LAST_ON_THE_WIRE + 2 * MOMENT, LAST_ON_THE_WIRE + MOMENT, Absence.UNSETTLED),
        (LAST_ON_THE_WIRE + SETTLE, LAST_ON_THE_WIRE + MOMENT, Absence.UNSETTLED),
        (LAST_ON_THE_WIRE + SETTLE + MOMENT, LAST_ON_THE_WIRE + MOMENT, Absence.PROVEN),
        (LAST_ON_THE_WIRE + timedelta(hours=1), LAST_ON_THE_WIRE + MOMENT, Absence.PROVEN),
        (end_of_day(SEND_BY), LAST_ON_THE_WIRE + MOMENT, Absence.OTHER_DAY),
        (end_of_day(SEND_BY) + timedelta(hours=9), None, Absence.OTHER_DAY),
    ],
)
def test_absence_takes_two_late_looks_a_settle_time_apart(
    requested_at: datetime, missing_since: datetime | None, verdict: Absence
) -> None:
    judged = judge_absence(
        send_by=SEND_BY, missing_since=missing_since, requested_at=requested_at, timeout=TIMEOUT, settle=SETTLE
    )
    assert judged is verdict


CLAIMED = SEND_BY - timedelta(seconds=2)


def reads_until_proven(asked: list[datetime], *, read_takes: timedelta = timedelta(0)) -> list[datetime]:
    """The instants at which books are asked for that never list the order; `asked` has those so far."""
    missing_since: datetime | None = None
    while True:
        at = asked[-1]
        absence = judge_absence(send_by=SEND_BY, missing_since=missing_since, requested_at=at, timeout=TIMEOUT, settle=SETTLE)
        if absence is Absence.PROVEN:
            return asked
        if absence is Absence.FIRST_SIGHT:
            missing_since = at
        again = next_read(
            claimed_at=CLAIMED,
            send_by=SEND_BY,
            missing_since=missing_since,
            requested_at=at,
            timeout=TIMEOUT,
            settle=SETTLE,
        )
        asked.append(again + read_takes)


def test_absence_is_proven_in_the_first_moment_in_which_it_can_be() -> None:
    asked = reads_until_proven([CLAIMED])
    assert LAST_ON_THE_WIRE < asked[-2] <= LAST_ON_THE_WIRE + timedelta(milliseconds=1)
    assert asked[-1] == asked[-2] + SETTLE


def test_a_doubt_is_read_soon_at_first_and_ever_more_rarely() -> None:
    asked = reads_until_proven([CLAIMED])[:-2]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] < timedelta(seconds=1)
    assert pauses == sorted(pauses)
    assert len(asked) < 8


def test_a_doubt_left_by_another_is_read_once_per_step_of_the_proof() -> None:
    at = LAST_ON_THE_WIRE - timedelta(seconds=1)
    assert len(reads_until_proven([at])) == 3


def test_a_book_that_proves_nothing_for_long_is_read_again_for_ever() -> None:
    """Stale books, and those of the next day, never prove absence: the order may still show up."""
    late = LAST_ON_THE_WIRE + timedelta(minutes=1)
    again = next_read(
        claimed_at=CLAIMED, send_by=SEND_BY, missing_since=SEND_BY, requested_at=late, timeout=TIMEOUT, settle=SETTLE
    )
    assert late < again < late + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("known", "healthy"),
    [([], True), (["1"], True), (["1", "2"], True), (["3"], False), (["1", "2", "3"], False)],
)
def test_a_book_that_lacks_an_order_it_acknowledged_is_not_healthy(known: list[str], healthy: bool) -> None:
    assert is_healthy(book(listed("1"), listed("2", None)), known) is healthy


def test_an_empty_book_is_healthy_only_while_nothing_was_ever_placed() -> None:
    assert is_healthy(book(), [])
    assert not is_healthy(book(), ["1"])


def row(broker_order_id: str | None = None) -> Order:
    return Order(tag="tag", broker_order_id=broker_order_id, side=Side.SELL, symbol="TCS")


def test_an_order_in_doubt_is_found_by_its_tag() -> None:
    assert [seen.broker_order_id for seen in matches(row(), book(listed("1", "other"), listed("2"), listed("3", None)))] == ["2"]


def test_two_orders_with_the_tag_are_both_shown() -> None:
    assert len(matches(row(), book(listed("1"), listed("2")))) == 2


@pytest.mark.parametrize("stranger", [listed("1", side=Side.BUY), listed("1", symbol="INFY")], ids=["side", "symbol"])
def test_a_tag_on_another_side_or_symbol_is_not_ours(stranger: BrokerOrder) -> None:
    assert matches(row(), book(stranger)) == ()


def test_once_the_brokers_id_is_known_the_tag_is_not_asked_any_more() -> None:
    assert [seen.broker_order_id for seen in matches(row("7"), book(listed("1"), listed("7", None)))] == ["7"]
    assert matches(row("8"), book(listed("1"))) == ()


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-11-20T04:00:00+00:00", "2026-11-20T18:30:00+00:00"),
        ("2026-11-20T18:29:59+00:00", "2026-11-20T18:30:00+00:00"),
        ("2026-11-20T18:30:00+00:00", "2026-11-21T18:30:00+00:00"),
    ],
)
def test_the_brokers_day_ends_at_midnight_in_india(now: str, midnight: str) -> None:
    assert end_of_day(datetime.fromisoformat(now)) == datetime.fromisoformat(midnight)
