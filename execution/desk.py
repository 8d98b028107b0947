"""The desk of one account: its broker, its budget, its order stream, and everything it has under way.

Whoever sends, follows. The desk reads the broker's book while anything is alive or in doubt, faster after a hint, and stores what
it sees; what to do about it is decided by `trading.next_step` and carried out by the floor.
"""

import asyncio
from collections.abc import Coroutine, Set
from typing import Any, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from brokers.limits import Rate
from execution.broker_health import BrokerHealth
from execution.budget import Budget
from execution.claim import ClaimedOrder
from execution.desk_alarms import DeskAlarms
from execution.follow import Followed
from execution.look import Look, LookResult
from execution.send import Sent
from execution.tasks import end
from execution.tools import Tools
from storage.models import BrokerAccount
from trading.accounts import Environment
from trading.instruments import InstrumentId
from trading.orders import Accepted, BrokerOrder, ChangeOutcome, Leg, OrderState, Placed, RefusalKind, Refused, Unknown
from trading.ports.broker import Broker, BrokerError, SessionExpired
from trading.runs import ExitReason

_log = structlog.get_logger()

# A change is refused so where the order has ended, which the next look sees, and without a login, which has an alarm of its own.
_OF_NO_CONCERN = (RefusalKind.GONE, RefusalKind.SESSION)

# How soon the book is read (seconds): after a hint, while something is alive with or without a connected stream, and while the
# tag of an absent order is looked for.
AFTER_HINT = 0.02
ALIVE = 0.8
ALIVE_WITH_STREAM = 2.0
WATCHING = 10.0
LONGEST_BACKOFF = 5.0
# How long the book is left unread while answers and fills of a herd wait to be stored: until they are, shares are not covered.
NEWS_FIRST = 3.0
# How long a fill may wait for the answer to its own order, so that it is told after it.
ANSWER_FIRST = 0.2
# Reads count at the broker as well: two per look, and never more looks than this many a second.
SHORTEST_PAUSE = 0.25


class DeskHost(Protocol):
    """What a desk asks of the floor it stands on."""

    def mark(self, run_id: str) -> None:
        """The run's rows have changed: decide again what it needs."""

    def followed(self, followed: Followed) -> None:
        """A look has changed a run."""

    def account_changed(self, account_id: str) -> None:
        """Rows of the account may have been written by somebody else: read them, its login included."""


class Desk:
    """One leased account."""

    def __init__(
        self, account: BrokerAccount, *, epoch: int, tools: Tools, host: DeskHost, alarms_up: Set[str] = frozenset()
    ) -> None:
        """`alarms_up`: keys of the account's alarms that an earlier owner of the desk has left open."""
        self.account_id = account.id
        self.epoch = epoch
        # Since when this desk uses the login. What was refused before may have been sent with an older one, whenever the person
        # logged in: a refusal can be later than a login that nobody here has read yet.
        self.session_since = tools.clock.now()
        self.session_version = account.session_version
        self.budget = Budget(_rates(account, tools))
        # Whether a backup stop may rest at this broker.
        self.stops_may_rest = tools.accounts.limits(account.broker).resting_stops
        self.broker: Broker | None = None
        self.open_positions = 0
        self._account = account
        self._tools = tools
        self._host = host
        self._alarms = DeskAlarms(account, database=tools.database, up=alarms_up)
        self._health = BrokerHealth()
        self._look = Look(account, tools)
        self._look_at: float | None = 0.0
        self._look_wanted = asyncio.Event()
        self._look_wanted.set()
        self._stream_is_up = False
        self._last_look: LookResult | None = None
        self._sends: set[asyncio.Task[None]] = set()
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._open_broker()

    def start(self) -> None:
        self._loops = [
            asyncio.create_task(self._follow(), name=f"follow {self.account_id}"),
            asyncio.create_task(self._listen(), name=f"order stream {self.account_id}"),
        ]

    async def close(self) -> None:
        """Let sends finish, then stop following: their answers are worth more than a quick end."""
        await asyncio.gather(*self._sends, return_exceptions=True)
        await end(self._loops)

    def renew_session(self, account: BrokerAccount) -> None:
        """A person has logged in again: exits that waited for it go on by themselves."""
        self._account = account
        self.session_version = account.session_version
        self.session_since = self._tools.clock.now()
        self._open_broker()
        # Raised again at once if the new login is dead as well.
        self.keep(self._alarms.session_renewed())
        self.look_soon()

    def _open_broker(self) -> None:
        try:
            self.broker = self._tools.accounts.broker_of(self._account)
        except (BrokerError, LookupError, ValueError) as error:
            self.broker = None
            _log.warning("account_not_usable", account_id=self.account_id, error=str(error))

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, claimed: ClaimedOrder, *, admitted_at: float) -> None:
        """Send in a task nobody cancels. `admitted_at`: monotonic seconds at which the budget counted the write."""
        assert self.broker is not None  # noqa: S101 (the dispatcher claims only for desks with a broker)
        self._look.expect(claimed)
        tag = claimed.request.tag
        self._answers[tag] = self.keep(self._send(claimed, self.broker, admitted_at))
        self._answers[tag].add_done_callback(lambda _: self._answers.pop(tag, None))

    def resting_buys(self, instrument: InstrumentId) -> list[str]:
        """Ids of our orders that may still buy that instrument in this account."""
        return self._look.resting_buys(instrument)

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work that must finish before the desk closes."""
        task = asyncio.create_task(work)
        self._sends.add(task)
        task.add_done_callback(self._kept)
        return task

    def _kept(self, task: asyncio.Task[None]) -> None:
        """What failed on the way (a database that is away) is found again by the sweep, from the rows."""
        self._sends.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("desk_work_failed", account_id=self.account_id, error=repr(error))

    async def _send(self, claimed: ClaimedOrder, broker: Broker, admitted_at: float) -> None:
        sent = await self._tools.sender.send(claimed, broker)
        self.budget.arrived(admitted_at, now=self._tools.clock.monotonic())
        self._measure(sent)
        if isinstance(sent.outcome, Placed):
            # A connected stream tells of the fill; the look is what makes sure.
            self.look_soon(0.3 if self._stream_is_up else 0.05)
        elif isinstance(sent.outcome, Unknown):
            _log.warning("order_in_doubt", order_id=claimed.order_id, why=sent.outcome.why)
            self.look_soon()
        self._host.mark(claimed.run_id)
        if isinstance(sent.outcome, Placed) and claimed.leg is Leg.EXIT:
            await self._alarms.exit_taken(claimed.run_id)
        elif isinstance(sent.outcome, Refused) and sent.state is OrderState.REJECTED:
            await self._on_refusal(sent.outcome, claimed)
        await self._note_answer(sent)

    async def _note_answer(self, sent: Sent) -> None:
        """An order given back because its moment had passed says nothing about the broker."""
        not_sent = isinstance(sent.outcome, Refused) and sent.outcome.kind is RefusalKind.NOT_SENT
        if isinstance(sent.outcome, Unknown) or (not_sent and sent.state is OrderState.REJECTED):
            self._health.write_unanswered(self._tools.clock.monotonic())
        elif not not_sent:
            self._health.write_answered()
        await self._tell_health()

    async def _tell_health(self) -> None:
        now = self._tools.clock.monotonic()
        await self._alarms.broker(self._health.trouble(now), is_well=self._health.is_well(now))

    def _measure(self, sent: Sent) -> None:
        metrics, leg = self._tools.metrics, sent.claimed.leg.value
        outcome = type(sent.outcome).__name__.lower()
        metrics.count("orders_sent", leg=leg, outcome=outcome, fired_by=sent.claimed.fired_by)
        if sent.late_ms is not None:
            metrics.observe("order_lateness_seconds", sent.late_ms / 1000, leg=leg)
        # Later attempts are wanted since the tick as well, and say how long a refusal was repaired, not how fast a stop leaves.
        if sent.sent_at is not None and sent.claimed.reason is ExitReason.STOP_LOSS and sent.claimed.attempt == 1:
            metrics.observe("stop_latency_seconds", max((sent.sent_at - sent.claimed.wanted_at).total_seconds(), 0.0))

    async def _on_refusal(self, refused: Refused, claimed: ClaimedOrder) -> None:
        if refused.kind in (RefusalKind.INPUT, RefusalKind.OTHER) and self.broker is not None:
            self._tools.limits.read_soon(claimed.request.instrument, self.broker.environment)
        if refused.kind is RefusalKind.SESSION:
            # There may be a new login already, in rows this desk has not read: it is read at once.
            self._host.account_changed(self.account_id)
            await self._alarms.session_ended()
        elif claimed.leg is Leg.EXIT and not claimed.is_backup and not refused.kind.is_retryable:
            await self._alarms.exit_refused(claimed.run_id, refused.message)

    async def backup_answered(self, run_id: str, outcome: ChangeOutcome | None) -> None:
        """What the broker said to a backup stop that shall become the exit."""
        if isinstance(outcome, Accepted):
            await self._alarms.exit_taken(run_id)
        elif isinstance(outcome, Refused) and not (outcome.kind.is_retryable or outcome.kind in _OF_NO_CONCERN):
            await self._alarms.backup_refused(run_id, outcome.message)

    # --- following ----------------------------------------------------------------------------------------------------

    def look_soon(self, delay: float = AFTER_HINT) -> None:
        """Read the book after that many seconds, or earlier if that was planned already."""
        at = self._tools.clock.monotonic() + delay
        if self._look_at is None or at < self._look_at:
            self._look_at = at
        self._look_wanted.set()

    async def _follow(self) -> None:
        failures = 0
        while True:
            await self._until_look_is_due()
            await self._tools.rush.pass_by()
            await self._tools.news.pass_by(at_most=NEWS_FIRST)
            started = self._tools.clock.monotonic()
            try:
                result = await self._take_a_look()
                failures = 0
                pause = self._pause_after(result)
                self._health.read_succeeded()
            except SessionExpired:
                self._health.read_succeeded()
                await self._alarms.session_ended()
                pause = LONGEST_BACKOFF
            except (BrokerError, SQLAlchemyError, OSError, TimeoutError) as error:
                failures += 1
                pause = min(0.2 * 2**failures, LONGEST_BACKOFF)
                if isinstance(error, BrokerError):
                    self._health.read_failed(started)
                _log.warning("look_failed", account_id=self.account_id, error=str(error))
            except Exception as error:  # noqa: BLE001 (supervised loop: a desk that stops looking would abandon positions)
                failures += 1
                pause = min(0.2 * 2**failures, LONGEST_BACKOFF)
                _log.error("look_broken", account_id=self.account_id, error=repr(error), exc_info=True)
            if pause is not None:
                self.look_soon(pause)
            await self._tell_health()
            spent = self._tools.clock.monotonic() - started
            await asyncio.sleep(max(0.0, SHORTEST_PAUSE - spent))

    async def _until_look_is_due(self) -> None:
        while True:
            await self._look_wanted.wait()
            self._look_wanted.clear()
            if self._look_at is None:
                continue
            left = self._look_at - self._tools.clock.monotonic()
            if left <= 0:
                self._look_at = None
                return
            try:
                async with asyncio.timeout(left):
                    await self._look_wanted.wait()
            except TimeoutError:
                self._look_wanted.set()

    async def _take_a_look(self) -> LookResult:
        if self.broker is None:
            return LookResult(in_doubt=0, alive=0, watched=0)
        result = await self._look.take(self.broker)
        self._last_look = result
        for followed in result.followed:
            self._host.followed(followed)
            await self._tools.notices.followed(followed)
        await self._alarms.looked(result)
        return result

    def _pause_after(self, result: LookResult) -> float | None:
        if result.unfinished:
            return SHORTEST_PAUSE
        alive = ALIVE_WITH_STREAM if self._stream_is_up else ALIVE
        if result.doubt_again_at is not None:
            doubt = max((result.doubt_again_at - self._tools.clock.now()).total_seconds(), 0.0)
            return min(doubt, alive) if result.alive else doubt
        if result.alive:
            return alive
        settle = self._tools.settle_of(self._account).total_seconds()
        if result.unsettled:
            return settle
        if result.holding:
            # What was due and could not be done (a stale book) waits a settle time as well.
            due = self._look.comparison_due_in()
            return due if due > 0 else settle
        return WATCHING if result.watched else None

    # --- the account's own order stream -------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Updates are hints: they arm exits early and make us look; the book decides."""
        failures = 0
        while True:
            if self.broker is None:
                await asyncio.sleep(1)
                continue
            try:
                # What the exchange tells of a herd's first orders comes while its last wait to leave, and is read after these.
                async with self.broker.order_updates(leisure=self._tools.rush.pass_by) as updates:
                    self._stream_is_up, failures = True, 0
                    self._look_after_a_gap()
                    async for seen in updates:
                        await self._on_update(seen)
            except (BrokerError, SQLAlchemyError, OSError, TimeoutError) as error:
                _log.info("order_stream_lost", account_id=self.account_id, error=str(error))
            except Exception as error:  # noqa: BLE001 (supervised loop: without its stream the desk is slow, not blind)
                _log.error("order_stream_broken", account_id=self.account_id, error=repr(error), exc_info=True)
            self._stream_is_up = False
            failures += 1
            await asyncio.sleep(min(0.2 * 2**failures, LONGEST_BACKOFF))

    def _look_after_a_gap(self) -> None:
        """Ask the books what the stream would have told before it was connected; for what is in doubt they are read when that is
        of use, not before."""
        last = self._last_look
        if last is not None and (last.alive or (last.holding and not last.in_doubt)):
            self._look.others_may_have_traded()
            self.look_soon()

    async def _on_update(self, seen: BrokerOrder) -> None:
        answer = self._answers.get(seen.tag or "")
        if answer is not None:
            # The stream is often faster than the answer to the order itself: a timeline reads better in order.
            await asyncio.wait([answer], timeout=ANSWER_FIRST)
        followed = await self._look.take_hint(seen)
        if followed is not None and followed.changed:
            self._host.followed(followed)
            await self._tools.notices.followed(followed)
        if self._look.concerns(seen):
            self.look_soon()


def _rates(account: BrokerAccount, tools: Tools) -> tuple[Rate, ...]:
    rates = tools.accounts.limits(account.broker).order_writes
    if account.environment is Environment.LIVE:
        return rates
    factor = tools.pace.simulated_per_second / min(rate.count for rate in rates if rate.seconds == 1)
    return tuple(Rate(max(1, int(rate.count * factor)), rate.seconds) for rate in rates)
