"""Reconciling: our rows of one account beside the broker's book, trades and positions. Pure: both in, findings out.

What the broker lists is true; what it does not list proves nothing by itself. So an order that is listed is believed at once,
while everything that follows from something missing, or from a position, must be found twice, a settle time apart
(`needs_second_sight`). A position never changes a run: only trades do.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey, baseline_of, listed_net, missing_shares, net_of
from trading.orders import (
    IN_DOUBT_STATES,
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    OrderState,
    Side,
)
from trading.tags import TAG_LENGTH

_OUR_TAG = re.compile(rf"t(\d{{3}})[bs][0-9a-z]{{{TAG_LENGTH - 5}}}")


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """One attempt as its row has it. `acknowledged_at`: when the broker was first known to have it. `is_todays`: a broker's book
    and trades are of one day, and say nothing of an older order by leaving it out."""

    order_id: str
    run_id: str
    tag: str
    broker_order_id: str | None
    key: LedgerKey
    side: Side
    state: OrderState
    filled_quantity: int
    acknowledged_at: datetime | None
    is_todays: bool = True


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A run that bought something today. `is_open`: it may still sell."""

    run_id: str
    key: LedgerKey
    open_quantity: int
    taken_elsewhere: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """Our rows of the account, read after the broker's book was; runs oldest first."""

    orders: tuple[OwnOrder, ...]
    runs: tuple[OwnRun, ...]
    baselines: Mapping[LedgerKey, int]


@dataclass(frozen=True, slots=True)
class Theirs:
    """What the broker answered. Orders acknowledged before `listed_since` must be listed in a whole book."""

    orders: tuple[BrokerOrder, ...]
    trades: tuple[BrokerTrade, ...]
    positions: tuple[BrokerPosition, ...]
    listed_since: datetime


@dataclass(frozen=True, slots=True)
class Missed:
    """The broker knows more of an order than its row: it was sent though the row is armed or in doubt, filled more, or ended."""

    order_id: str
    run_id: str
    broker_order_id: str
    was_armed: bool


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """An order that carries a tag of ours and that no row admits to having sent."""

    broker_order_id: str
    tag: str
    instrument: InstrumentId


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """Somebody else's order in an instrument that a run trades today."""

    broker_order_id: str
    instrument: InstrumentId
    side: Side
    quantity: int


@dataclass(frozen=True, slots=True)
class OrderMissing:
    """An order that the broker has acknowledged today, and does not list."""

    order_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class FillsMissing:
    """An order of which our row has more fills than the broker's trades."""

    order_id: str
    run_id: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class BaselineRead:
    """What was there before the day's trades, of a key it was not known of. `traded`: their net, which must not move."""

    key: LedgerKey
    quantity: int
    traded: int


@dataclass(frozen=True, slots=True)
class SoldElsewhere:
    """Foreign trades have sold that many shares of our runs today, in all; some are not taken off them yet."""

    key: LedgerKey
    total: int


@dataclass(frozen=True, slots=True)
class PositionDiffers:
    """The broker's position is not what was there before plus the day's trades. `run_ids`: short of shares, newest first."""

    key: LedgerKey
    expected: int
    actual: int
    run_ids: tuple[str, ...]


Finding: TypeAlias = (
    Missed | OrderUnknown | ForeignOrder | OrderMissing | FillsMissing | BaselineRead | SoldElsewhere | PositionDiffers
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`agreed`: positions that were compared and are right; about any other position this reading proves nothing."""

    findings: tuple[Finding, ...]
    agreed: frozenset[LedgerKey]

    @property
    def is_whole(self) -> bool:
        """Whether the broker's book lists every order it once acknowledged."""
        return not any(isinstance(finding, OrderMissing) for finding in self.findings)


def needs_second_sight(finding: Finding) -> bool:
    """Whether the finding rests on something that is missing, or on a position: a late or broken read could say the same."""
    return isinstance(finding, OrderMissing | FillsMissing | BaselineRead | SoldElsewhere | PositionDiffers)


def day_of_tag(tag: str | None) -> int | None:
    """The day of the year that a tag of our shape names (`trading.tags`); None for any other tag."""
    shape = _OUR_TAG.fullmatch(tag or "")
    return None if shape is None else int(shape[1])


def compare(ours: Ours, theirs: Theirs, *, day: date) -> Comparison:
    """Everything in which the two differ, in a fixed order."""
    found = _matched(ours.orders, theirs.orders)
    positions, agreed = _compare_positions(ours, theirs, found)
    findings: list[Finding] = [
        *_missed(ours.orders, found),
        *_not_ours(ours, theirs, found, day),
        *_missing(ours.orders, found, theirs),
        *_fewer_fills(ours.orders, theirs.trades),
        *positions,
    ]
    return Comparison(tuple(findings), frozenset(agreed))


def _matched(orders: Iterable[OwnOrder], listed: Iterable[BrokerOrder]) -> dict[str, BrokerOrder]:
    """The broker's order of each of ours: by the broker's id once it is known, by the tag until then."""
    by_id = {seen.broker_order_id: seen for seen in sorted(listed, key=_id_of)}
    by_tag: dict[str, BrokerOrder] = {}
    for seen in by_id.values():
        by_tag.setdefault(seen.tag or "", seen)
    found = {}
    for order in orders:
        seen_by_id = by_id.get(order.broker_order_id or "")
        seen_by_tag = by_tag.get(order.tag) if order.broker_order_id is None else None
        if seen_by_id is not None:
            found[order.order_id] = seen_by_id
        elif seen_by_tag is not None and (seen_by_tag.side, seen_by_tag.instrument) == (order.side, order.key.instrument):
            found[order.order_id] = seen_by_tag
    return found


def _id_of(seen: BrokerOrder) -> str:
    return seen.broker_order_id


def _missed(orders: Iterable[OwnOrder], found: Mapping[str, BrokerOrder]) -> Iterable[Finding]:
    for order in orders:
        seen = found.get(order.order_id)
        if seen is not None and order.state is not OrderState.SUPERSEDED and _knows_more(seen, order):
            yield Missed(order.order_id, order.run_id, seen.broker_order_id, order.state is OrderState.ARMED)


def _knows_more(seen: BrokerOrder, order: OwnOrder) -> bool:
    if order.broker_order_id is None or order.state in IN_DOUBT_STATES or order.state is OrderState.ARMED:
        return True
    return seen.filled_quantity > order.filled_quantity or (order.state is OrderState.OPEN and seen.status.is_terminal)


def _not_ours(ours: Ours, theirs: Theirs, found: Mapping[str, BrokerOrder], day: date) -> Iterable[Finding]:
    superseded = {order.order_id for order in ours.orders if order.state is OrderState.SUPERSEDED}
    known = {seen.broker_order_id for order_id, seen in found.items() if order_id not in superseded}
    traded = {run.key.instrument for run in ours.runs}
    for seen in sorted({seen.broker_order_id: seen for seen in theirs.orders}.values(), key=_id_of):
        if seen.broker_order_id in known:
            continue
        tagged = day_of_tag(seen.tag)
        if seen.tag is not None and tagged == day.timetuple().tm_yday:
            yield OrderUnknown(seen.broker_order_id, seen.tag, seen.instrument)
        elif tagged is None and seen.instrument in traded:
            yield ForeignOrder(seen.broker_order_id, seen.instrument, seen.side, seen.quantity)


def _missing(orders: Iterable[OwnOrder], found: Mapping[str, BrokerOrder], theirs: Theirs) -> Iterable[Finding]:
    for order in orders:
        acknowledged = order.acknowledged_at is not None and order.acknowledged_at < theirs.listed_since
        if order.is_todays and order.broker_order_id is not None and acknowledged and order.order_id not in found:
            yield OrderMissing(order.order_id, order.run_id)


def _fewer_fills(orders: Iterable[OwnOrder], trades: Iterable[BrokerTrade]) -> Iterable[Finding]:
    traded: dict[str, int] = {}
    for trade in {(trade.broker_order_id, trade.trade_id): trade for trade in trades}.values():
        traded[trade.broker_order_id] = traded.get(trade.broker_order_id, 0) + trade.quantity
    for order in orders:
        theirs = traded.get(order.broker_order_id or "", 0)
        if order.is_todays and order.filled_quantity > theirs:
            yield FillsMissing(order.order_id, order.run_id, order.filled_quantity, theirs)


def _compare_positions(ours: Ours, theirs: Theirs, found: Mapping[str, BrokerOrder]) -> tuple[list[Finding], set[LedgerKey]]:
    # The trades of an order in doubt look foreign until it is found.
    in_doubt = {order.key for order in ours.orders if order.state in IN_DOUBT_STATES and order.order_id not in found}
    own = frozenset(
        [order.broker_order_id for order in ours.orders if order.broker_order_id is not None]
        + [seen.broker_order_id for seen in found.values()]
    )
    findings: list[Finding] = []
    agreed = set()
    for key in sorted({run.key for run in ours.runs}):
        actual, baseline = listed_net(theirs.positions, key), ours.baselines.get(key)
        if baseline is None:
            read = baseline_of(theirs.positions, theirs.trades, key)
            findings += [] if read is None else [BaselineRead(key, read, net_of(theirs.trades, key))]
            continue
        sold = _sold_elsewhere(ours, theirs, key, baseline, own) if key not in in_doubt else 0
        if sold:
            findings.append(SoldElsewhere(key, sold))
        if actual is None:
            continue
        expected = baseline + net_of(theirs.trades, key)
        if actual != expected:
            findings.append(PositionDiffers(key, expected, actual, _short_of_shares(ours, key, expected - actual)))
        elif not sold and key not in in_doubt:
            agreed.add(key)
    return findings, agreed


def _sold_elsewhere(ours: Ours, theirs: Theirs, key: LedgerKey, baseline: int, own: frozenset[str]) -> int:
    """How many shares of our runs foreign trades have sold today, if that is more than was taken off them; else 0."""
    if key.product is Product.CNC:
        # Delivered shares may come from older holdings, which a position does not show: the desk, which asks for those, decides.
        return 0
    runs = [run for run in ours.runs if run.key == key]
    left_open = sum(max(run.open_quantity, 0) for run in runs if not run.is_open)
    total = missing_shares(theirs.trades, key, own=own, baseline=baseline, left_open=left_open)
    return total if total > sum(run.taken_elsewhere for run in runs) else 0


def _short_of_shares(ours: Ours, key: LedgerKey, missing: int) -> tuple[str, ...]:
    """Which runs a shortfall concerns: the newest first, as far as it reaches."""
    concerned = []
    for run in reversed([run for run in ours.runs if run.key == key and run.is_open and run.open_quantity > 0]):
        if missing <= 0:
            break
        concerned.append(run.run_id)
        missing -= run.open_quantity
    return tuple(concerned)
