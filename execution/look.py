"""One look at the broker's book: read it, then bring every order that is alive, in doubt or watched up to date with it."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from zlib import crc32

import structlog

from execution.absences import Missing
from execution.alarms import Alarm, raise_alarm
from execution.change import settle_change, waits_after_all
from execution.claim import ClaimedOrder
from execution.follow import Followed, Sight
from execution.ledger import Ledger
from execution.resolve import Absence, BookRead, is_healthy, judge_absence, matches, next_read
from execution.tools import Tools
from execution.under_way import Known
from storage.models import BrokerAccount, Order
from trading.fills import trades_of
from trading.instruments import InstrumentId
from trading.ledger import LedgerKey
from trading.orders import (
    IN_DOUBT_STATES,
    LIVE_STATES,
    BookSnapshot,
    BrokerOrder,
    BrokerOrderStatus,
    BrokerTrade,
    Leg,
    OrderState,
)
from trading.ports.broker import Broker, BrokerError
from trading.sessions import INDIA

_log = structlog.get_logger()

DOUBT_ALARM_AFTER = timedelta(seconds=10)
# While shares are held the day's trades are compared with ours this often (seconds), also when nothing of ours is under way; a
# fifth more or less of it by account, so that those who bought on one second do not all compare on one.
COMPARED_EVERY, COMPARED_SPREAD = 15.0, 0.2
# Those of a process begin in step, at multiples of this (seconds): a thousand accounts are some seven at a time, whose rows are
# read in one statement instead of seven.
COMPARED_IN_STEP = 0.1


@dataclass(slots=True)
class LookResult:
    """What is left under way, what changed, and which doubts last too long or are over."""

    in_doubt: int
    alive: int
    watched: int
    looked: bool = False
    doubt_again_at: datetime | None = None  # when the book is worth reading again for what is in doubt
    holding: bool = False  # some run has shares that somebody else could sell
    unfinished: bool = False  # book and trades did not agree yet
    unsettled: bool = False  # a second look, a settle time from now, decides whether shares are missing
    followed: list[Followed] = field(default_factory=list)
    long_in_doubt: list[tuple[str, str]] = field(default_factory=list)
    doubt_ended: list[str] = field(default_factory=list)
    never_exits: list[tuple[str, str]] = field(default_factory=list)  # runs whose backup was not made the exit after all, and why


@dataclass(frozen=True, slots=True)
class _Expected:
    order_id: str
    run_id: str


class Look:
    """Looks for one account. Remembers tags under way, so that a hint finds its row without a search."""

    def __init__(self, account: BrokerAccount, tools: Tools) -> None:
        self._account_id = account.id
        # Whether the broker has a search of its own for tags.
        self._searches_tags = tools.accounts.limits(account.broker).searches_tags
        self._settle = tools.settle_of(account)
        self._tools = tools
        self._ledger = Ledger(account.id, database=tools.database, days=tools.days, settle=self._settle)
        self._by_tag: dict[str, _Expected] = {}
        # Buys of ours that may still fill, by instrument: an exchange cancels a sale that would meet one of them.
        self._resting_buys: dict[str, InstrumentId] = {}
        # Monotonic seconds of the last comparison with the day's trades. None: one is due.
        self._compared_at: float | None = None
        self._compared_every = COMPARED_EVERY * (1 + COMPARED_SPREAD * (crc32(account.id.encode()) % 2_001 / 1_000 - 1))
        self._others_have_traded = False

    def expect(self, claimed: ClaimedOrder) -> None:
        self._by_tag[claimed.request.tag] = _Expected(claimed.order_id, claimed.run_id)
        if claimed.leg is Leg.ENTRY:
            self._resting_buys[claimed.order_id] = claimed.request.instrument

    def resting_buys(self, instrument: InstrumentId) -> list[str]:
        """Ids of our orders that may still buy that instrument."""
        return [order_id for order_id, bought in self._resting_buys.items() if bought == instrument]

    def concerns(self, seen: BrokerOrder) -> bool:
        """Whether an update is about an order of ours, or may be about one in doubt."""
        return seen.tag is None or seen.tag in self._by_tag

    async def take_hint(self, seen: BrokerOrder) -> Followed | None:
        """Store what an update says of fills; only a look makes an order terminal."""
        expected = self._by_tag.get(seen.tag or "")
        if expected is None:
            self.others_may_have_traded()
        if expected is not None and (seen.status.is_terminal or seen.filled_quantity >= seen.quantity):
            self._resting_buys.pop(expected.order_id, None)
        if expected is None or seen.filled_quantity == 0:
            return None
        return await self._tools.news.seen(Sight(expected.order_id, expected.run_id, seen))

    async def take(self, broker: Broker) -> LookResult:
        """Raises what the broker's reads raise; nothing is concluded from a read that failed."""
        under_way = await self._tools.under_way.read(self._account_id)
        rows, held = under_way.orders, under_way.held
        result = LookResult(in_doubt=0, alive=0, watched=0, holding=bool(held))
        if not held and not self._others_have_traded:
            # Nobody could have sold anything so far: of a herd that is about to buy, nobody compares while the others are filled.
            self._compared_at = self._tools.clock.monotonic()
        self._by_tag = {row.tag: _Expected(row.id, row.run_id) for row in rows}
        self._resting_buys = {row.id: InstrumentId(row.exchange, row.symbol) for row in rows if _rests(row)}
        if not rows and not held:
            return result
        read = BookRead(*await _read_book(broker, self._tools))
        result.looked = True
        comparing = self._compares(rows, held)
        trades = await broker.trades() if comparing or _needs_trades(rows, read.snapshot) else None
        concluding = any(self._may_prove_absence(row, read) for row in rows if not matches(row, read.snapshot))
        healthy = await self._is_healthy(read) if comparing or concluding else True
        for row in rows:
            await self._compare(row, read, trades, healthy, broker, result)
        if comparing and healthy and trades is not None:
            result.followed += await self._ledger.compare(broker, read.snapshot, trades, now=read.requested_at)
            self._compared_at, self._others_have_traded = self._tools.clock.monotonic(), False
        result.unsettled = self._ledger.is_unsettled
        return result

    def _compares(self, rows: Sequence[Order], held: Set[LedgerKey]) -> bool:
        """Whether this look asks who else has sold our shares: at once if somebody traded or an exit is under way, else now and
        then. Beside an order in doubt nothing could be concluded."""
        doubtful = {
            LedgerKey(InstrumentId(row.exchange, row.symbol), row.product) for row in rows if row.state in IN_DOUBT_STATES
        }
        if not held - doubtful:
            return False
        if self._ledger.is_unsettled or any(row.leg is Leg.EXIT for row in rows):
            return True
        return self.comparison_due_in() <= 0

    def comparison_due_in(self) -> float:
        """Seconds until the day's trades are to be compared with ours again."""
        if self._compared_at is None:
            return 0.0
        due_at = ceil((self._compared_at + self._compared_every) / COMPARED_IN_STEP) * COMPARED_IN_STEP
        return due_at - self._tools.clock.monotonic()

    def others_may_have_traded(self) -> None:
        """The next look compares the day's trades with ours."""
        self._compared_at, self._others_have_traded = None, True

    async def _is_healthy(self, read: BookRead) -> bool:
        """Whether the book has every order the broker acknowledged today, a settle time before it was asked for."""
        midnight = read.requested_at.astimezone(INDIA).replace(hour=0, minute=0, second=0, microsecond=0)
        until = read.requested_at - self._settle
        return is_healthy(read.snapshot, await self._tools.known.read(Known(self._account_id, midnight, until)))

    async def _compare(
        self,
        row: Order,
        read: BookRead,
        trades: Sequence[BrokerTrade] | None,
        healthy: bool,
        broker: Broker,
        result: LookResult,
    ) -> None:
        found = matches(row, read.snapshot) or await self._asked_by_name(row, read, healthy, broker)
        was_in_doubt = row.state in IN_DOUBT_STATES
        if not found:
            await self._note_missing(row, read, healthy, result)
            return
        seen = found[0]
        if len(found) > 1:
            await self._alarm_double(row, found)
        if row.change_kind is not None:
            await self._settle_change(row, seen, read)
        elif row.leg is Leg.EXIT and row.backup_trigger is None and seen.trigger_price is not None:
            await self._note_waiting(row, seen, read, result)
        executions = None if trades is None else trades_of(seen.broker_order_id, trades)
        if seen.status.is_terminal or seen.filled_quantity >= seen.quantity:
            self._resting_buys.pop(row.id, None)
        if _tells_something(row, seen):
            followed = await self._tools.sights.store(Sight(row.id, row.run_id, seen, executions))
            result.followed.append(followed)
            ended = followed.ended
            for oddity in followed.oddities:
                await self._alarm(row, "order_oddity", oddity)
        else:
            ended = False
        if was_in_doubt:
            result.doubt_ended.append(row.id)
        if row.state in (OrderState.ABSENT, OrderState.REJECTED):
            if not seen.status.is_terminal:
                await self._take_back(row, broker)
        elif not ended:
            result.alive += 1
            result.unfinished = result.unfinished or seen.status.is_terminal

    async def _note_missing(self, row: Order, read: BookRead, healthy: bool, result: LookResult) -> None:
        if row.state not in IN_DOUBT_STATES:
            result.alive += row.state is OrderState.OPEN
            result.watched += row.state is OrderState.ABSENT
            return
        if not healthy:
            _log.warning("book_is_stale", account_id=self._account_id)
        if not healthy or not self._may_prove_absence(row, read):
            self._still_in_doubt(row, read, row.missing_since, result)
            return
        missed = await self._tools.absences.store(Missing(row.id, row.run_id, read, self._settle))
        if missed.absence is Absence.PROVEN:
            result.watched += 1
            result.doubt_ended.append(row.id)
            result.followed.append(missed.followed)
        else:
            self._still_in_doubt(row, read, row.missing_since or read.requested_at, result)

    def _still_in_doubt(self, row: Order, read: BookRead, missing_since: datetime | None, result: LookResult) -> None:
        result.in_doubt += 1
        if row.claimed_at is not None and read.requested_at - row.claimed_at > DOUBT_ALARM_AFTER:
            result.long_in_doubt.append((row.id, row.run_id))
        pace = self._tools.pace
        again = next_read(
            claimed_at=row.claimed_at or read.requested_at,
            send_by=row.send_by or read.requested_at,
            missing_since=missing_since,
            requested_at=read.requested_at,
            timeout=pace.timeout,
            settle=self._settle,
        )
        result.doubt_again_at = again if result.doubt_again_at is None else min(again, result.doubt_again_at)

    async def _asked_by_name(self, row: Order, read: BookRead, healthy: bool, broker: Broker) -> tuple[BrokerOrder, ...]:
        """Before an order is called absent, a broker that has a search of its own for tags is asked: it may know an order that
        the book does not show yet. It only ever finds; without an answer the book's verdict stands."""
        if not self._searches_tags or not healthy or self._absence(row, read) is not Absence.PROVEN:
            return ()
        try:
            return await broker.find_by_tag(row.tag)
        except BrokerError as error:
            _log.warning("tag_not_searched", account_id=self._account_id, error=str(error))
            return ()

    def _may_prove_absence(self, row: Order, read: BookRead) -> bool:
        """False: a book asked for this early proves nothing, and after a crash amid a herd every transaction saved counts."""
        return self._absence(row, read) in (Absence.FIRST_SIGHT, Absence.PROVEN)

    def _absence(self, row: Order, read: BookRead) -> Absence:
        """What a healthy book that lacks it says, as far as the row as it was read tells."""
        if row.state not in IN_DOUBT_STATES or row.send_by is None:
            return Absence.TOO_EARLY
        pace = self._tools.pace
        return judge_absence(
            send_by=row.send_by,
            missing_since=row.missing_since,
            requested_at=read.requested_at,
            timeout=pace.timeout,
            settle=self._settle,
        )

    async def _take_back(self, row: Order, broker: Broker) -> None:
        """An attempt we held dead is alive at the broker: cancel it at once; what it filled is adopted and sold."""
        _log.error("dead_order_is_alive", order_id=row.id, tag=row.tag)
        async with self._tools.database.transaction() as session:
            fresh = await session.get(Order, row.id)
        if fresh is not None:
            await self._tools.changer.cancel(fresh, broker)

    async def _settle_change(self, row: Order, seen: BrokerOrder, read: BookRead) -> None:
        pace = self._tools.pace
        async with self._tools.database.transaction() as session:
            await settle_change(
                session, order_id=row.id, seen=seen, requested_at=read.requested_at, timeout=pace.timeout, settle=self._settle
            )

    async def _note_waiting(self, row: Order, seen: BrokerOrder, read: BookRead, result: LookResult) -> None:
        settle = self._settle
        async with self._tools.database.transaction() as session:
            waits = await waits_after_all(session, order_id=row.id, seen=seen, asked_at=read.requested_at, settle=settle)
        if waits:
            result.never_exits.append((row.run_id, seen.message or "the exchange left it as it was"))
            result.followed.append(Followed(row.run_id, changed=True))

    async def _alarm_double(self, row: Order, found: tuple[BrokerOrder, ...]) -> None:
        ids = ", ".join(seen.broker_order_id for seen in found)
        await self._alarm(row, "order_doubled", f"The broker lists more than one order with tag {row.tag}: {ids}")

    async def _alarm(self, row: Order, kind: str, message: str) -> None:
        alarm = Alarm(f"{kind}:{row.id}", kind, message, user_id=row.user_id, account_id=row.account_id, run_id=row.run_id)
        async with self._tools.database.transaction() as session:
            await raise_alarm(session, alarm)


async def _read_book(broker: Broker, tools: Tools) -> tuple[BookSnapshot, datetime]:
    requested_at = tools.clock.now()
    return await broker.orders(), requested_at


def _needs_trades(rows: Sequence[Order], book: BookSnapshot) -> bool:
    """The trade book is read when an order has more fills than we know, or has ended."""
    return any(
        seen.status.is_terminal or seen.filled_quantity > row.filled_quantity for row in rows for seen in matches(row, book)
    )


def _tells_something(row: Order, seen: BrokerOrder) -> bool:
    if row.broker_order_id is None:
        return True
    if row.state is not OrderState.OPEN:
        return row.state in IN_DOUBT_STATES or seen.filled_quantity > row.filled_quantity or seen.status.is_terminal
    return seen.status.is_terminal or seen.filled_quantity != row.filled_quantity or _backup_waits_no_more(row, seen)


def _backup_waits_no_more(row: Order, seen: BrokerOrder) -> bool:
    return (
        row.backup_trigger is not None
        and row.reason is None
        and seen.status is BrokerOrderStatus.OPEN
        and seen.trigger_price is None
    )


def _rests(row: Order) -> bool:
    return row.leg is Leg.ENTRY and row.state in LIVE_STATES and row.filled_quantity < row.quantity
