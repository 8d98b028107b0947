"""Dispatch: orders that are due, from all desks of the process, measured, claimed many in one statement, and sent.

Exits go before entries. No more is claimed than the budget admits and can be sent well before `send_by`.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from execution.budget import Priority
from execution.claim import ClaimedOrder, EntriesClaimed, claim_entries, claim_exits, give_back
from execution.desk import Desk
from execution.due import Due, Measured, Quote
from execution.tools import Tools
from execution.withdraw import ArmedEntry, refuse_entry, skip_entry
from trading.bands import protected_limit
from trading.instruments import Instrument, InstrumentId
from trading.orders import Leg
from trading.ports.broker import Broker
from trading.risk import Refusal

_log = structlog.get_logger()

# Claimed in one statement: of a herd a few at first, which are on the wire while the next are being claimed.
CLAIM_FIRST, CLAIM_AT_ONCE = 25, 200
# A row that was locked for a moment (its fills were being stored) is tried again this soon, this often.
LOCKED_RETRY_SECONDS = 0.015
LOCKED_RETRIES = 8
# A sale waits this long at most, and looks this often, for our own resting buys in its way to be cancelled.
SELF_TRADE_WAIT = 0.5
SELF_TRADE_POLL = 0.02
# An entry without any price waits this long for the next look at prices: brokers answer one question for them a second.
NO_PRICE_RETRY_SECONDS = 1.0


# Cancels orders of ours, by id, at that desk.
TakeBack = Callable[[Desk, list[str]], None]


class Dispatcher:
    """Takes what is due and sees to it. One per process."""

    def __init__(
        self, tools: Tools, *, desk_of: Callable[[str], Desk | None], mark: Callable[[str], None], take_back: TakeBack
    ) -> None:
        self._tools = tools
        self._desk_of = desk_of
        self._mark = mark
        self._take_back = take_back
        self._waiting: dict[str, Due] = {}
        self._wake = asyncio.Event()
        self._closed = False
        self._asking: set[asyncio.Task[None]] = set()
        # Orders whose broker is being asked for a price, by order id.
        self._quoting: dict[str, Due] = {}

    def submit(self, due: Iterable[Due]) -> None:
        """Hand orders in; the stronger reason wins where one is handed in twice. One that waits for its quote is not asked about
        again, however often the sweep hands it in: only a price of its own lets it go ahead."""
        for item in due:
            quoting = self._quoting.get(item.order.order_id)
            if quoting is not None and item.trigger is None:
                if item.beats(quoting):
                    self._quoting[item.order.order_id] = item
                continue
            known = self._waiting.get(item.order.order_id)
            if known is None or item.beats(known):
                self._waiting[item.order.order_id] = item
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing new; what is being claimed is still sent."""
        self._closed = True
        self._waiting.clear()
        for asking in self._asking:
            asking.cancel()
        self._wake.set()

    async def run(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._pump()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                # Neither won nor lost: the sweep reads the rows again.
                _log.error("claim_failed", error=str(error))
                self._later(0.2)
            except Exception as error:  # noqa: BLE001 (supervised loop: were it to end, no exit of this process would ever leave)
                _log.error("dispatch_broken", error=repr(error), exc_info=True)
                self._later(0.2)

    async def _pump(self) -> None:
        at_once = CLAIM_FIRST
        while self._waiting and not self._closed:
            batch = self._admit(at_once)
            at_once = min(2 * at_once, CLAIM_AT_ONCE)
            if not batch:
                return
            for leg in (Leg.EXIT, Leg.ENTRY):
                of_leg = [due for due in batch if due.order.leg is leg]
                if of_leg:
                    await self._fire(of_leg)

    def _admit(self, at_once: int) -> list[Due]:
        """What may be claimed now, exits first; the rest stays, and the pump wakes when a budget has room again."""
        now = self._tools.clock.monotonic()
        ordered = sorted(self._waiting.values(), key=lambda due: (due.order.leg is Leg.ENTRY, due.wanted_at))
        admitted: list[Due] = []
        next_free = None
        for due in ordered:
            if len(admitted) >= at_once:
                break
            desk = self._desk_of(due.order.account_id)
            if desk is None or desk.broker is None:
                # Not ours (any more), or nobody is logged in: the sweep comes back to it.
                del self._waiting[due.order.order_id]
                self._mark(due.order.run_id)
                continue
            if self._is_in_the_way(due, desk, now):
                next_free = now + SELF_TRADE_POLL if next_free is None else min(next_free, now + SELF_TRADE_POLL)
                continue
            priority = Priority.EXIT if due.order.leg is Leg.EXIT else Priority.ENTRY
            if desk.budget.available(priority, now=now, open_positions=desk.open_positions) > 0:
                desk.budget.spend(1, now=now)
                del self._waiting[due.order.order_id]
                admitted.append(replace(due, admitted_at=now))
            else:
                self._tools.metrics.count("budget_waits", leg=due.order.leg.value)
                free = max(desk.budget.next_free_at(now=now), now + 0.05)
                next_free = free if next_free is None else min(next_free, free)
        if next_free is not None:
            self._later(next_free - now)
        return admitted

    def _is_in_the_way(self, due: Due, desk: Desk, now: float) -> bool:
        """A resting buy of ours would meet this sale, and exchanges cancel self-trades: it is taken back first, for a moment."""
        if due.order.leg is Leg.ENTRY:
            return False
        resting = desk.resting_buys(due.order.instrument)
        if not resting or (due.held_since is not None and now - due.held_since >= SELF_TRADE_WAIT):
            return False
        if due.held_since is None:
            self._waiting[due.order.order_id] = replace(due, held_since=now)
            self._take_back(desk, resting)
        return True

    def _later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._wake.set)

    async def _fire(self, due: list[Due]) -> None:
        self._tools.rush.takes_up([item.order.order_id for item in due])
        claimed: set[str] = set()
        try:
            claimed = await self._claim_and_send(due)
        finally:
            for item in due:
                if item.order.order_id not in claimed:
                    self._tools.rush.has_left(item.order.order_id)

    async def _claim_and_send(self, due: list[Due]) -> set[str]:
        """The orders that are on their way."""
        measured = await self._measure(due)
        outcome = await self._claim(measured)
        claimed, refused = outcome.claimed, outcome.refused
        stranded = []
        admitted_at = {item.order.order_id: item.admitted_at for item in due}
        for order in claimed:
            desk = self._desk_of(order.account_id)
            if desk is None or desk.broker is None:
                stranded.append(order)
            else:
                desk.send(order, admitted_at=admitted_at[order.order_id])
        sent = {order.order_id for order in claimed}
        for item in due:
            if item.order.order_id not in sent:
                self._return_to_budget(item)
        self._retry([item.due for item in measured if item.due.order.order_id not in sent | refused.keys()])
        for item in due:
            desk = self._desk_of(item.order.account_id)
            if item.order.order_id in refused and desk is not None:
                # Beside the pump: no exit waits for it. Were it lost, the next claim would refuse it again.
                desk.keep(self._refuse(item, refused[item.order.order_id]))
        await self._give_back(stranded)
        return sent - {order.order_id for order in stranded}

    async def _give_back(self, stranded: list[ClaimedOrder]) -> None:
        """The lease went while we claimed, in a process that was paused perhaps: it never left, so the next owner may send it."""
        for order in stranded:
            _log.warning("desk_gone_after_claim", order_id=order.order_id)
            async with self._tools.database.transaction() as session:
                await give_back(session, order, owner=self._tools.owner)
            await self._tools.notices.account(order.account_id)

    def _return_to_budget(self, item: Due) -> None:
        desk = self._desk_of(item.order.account_id)
        if desk is not None:
            desk.budget.give_back(1, spent_at=item.admitted_at)

    def _retry(self, unclaimed: list[Due]) -> None:
        """Not claimed: locked for a moment, or no longer to be sent. Try again briefly, then let the rows decide."""
        again = [replace(item, tries=item.tries + 1) for item in unclaimed if item.tries < LOCKED_RETRIES]
        if again:
            asyncio.get_running_loop().call_later(LOCKED_RETRY_SECONDS, self.submit, again)
        for item in unclaimed:
            if item.tries >= LOCKED_RETRIES:
                self._mark(item.order.run_id)

    # --- prices -------------------------------------------------------------------------------------------------------

    async def _measure(self, due: list[Due]) -> list[Measured]:
        """Each due order with its limit; those that cannot or must not be sent now are taken care of here."""
        prices = await self._tools.prices.hot({item.order.instrument for item in due if item.trigger is None})
        now = self._tools.clock.monotonic()
        measured, unknown = [], []
        for item in due:
            reference = item.trigger or prices.get(item.order.instrument)
            if reference is None and not item.has_been_quoted(now=now):
                unknown.append(item)
                continue
            try:
                measured += await self._measured(item, reference)
            except Exception as error:  # noqa: BLE001 (one order that cannot be measured holds up no other; the sweep comes back to it)
                _log.error("not_measured", order_id=item.order.order_id, error=repr(error), exc_info=True)
        if unknown:
            self._ask(unknown)
        return measured

    async def _measured(self, item: Due, reference: Decimal | None) -> list[Measured]:
        """One or none. `reference` None: there is no hot price, and the broker has been asked."""
        order = item.order
        if reference is None and item.quote is not None:
            reference = item.quote.price
        if order.leg is Leg.EXIT and reference is None:
            # An exit never waits for a price: a limit at the stop sells at the market as long as the market is above it.
            reference = order.stop_price
        instrument = self._limited(item)
        if instrument is None:
            _log.error("instrument_unknown", instrument=str(order.instrument), order_id=order.order_id)
        elif reference is None:
            asyncio.get_running_loop().call_later(NO_PRICE_RETRY_SECONDS, self.submit, [replace(item, quote=None)])
        elif order.leg is Leg.ENTRY and order.is_pointless_at(reference):
            await self._skip_entry(item, reference)
        else:
            limit = protected_limit(order.leg.side, last_price=reference, instrument=instrument, step=order.band_step)
            return [Measured(item, limit, reference)]
        return []

    def _ask(self, due: list[Due]) -> None:
        """Their brokers are asked beside the pump: no crossed stop waits for somebody else's slow broker."""
        self._quoting.update({item.order.order_id: item for item in due})
        asking = asyncio.create_task(self._submit_quoted(due))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _submit_quoted(self, due: list[Due]) -> None:
        try:
            prices = await self._tools.prices.quoted(self._to_price(due))
        except Exception as error:  # noqa: BLE001 (whatever happened: an exit leaves without a price, and may not be forgotten)
            _log.error("asking_failed", error=repr(error), exc_info=True)
            prices = {}
        now = self._tools.clock.monotonic()
        asked = [self._quoting.pop(item.order.order_id, item) for item in due]
        self.submit([replace(item, quote=Quote(prices.get(item.order.instrument), now)) for item in asked])

    def _limited(self, item: Due) -> Instrument | None:
        """The instrument with the day's circuit limits."""
        desk = self._desk_of(item.order.account_id)
        if desk is None or desk.broker is None:
            return self._tools.instruments.find(item.order.instrument)
        return self._tools.limits.find(item.order.instrument, desk.broker.environment)

    def _to_price(self, due: list[Due]) -> dict[InstrumentId, Broker]:
        wanted: dict[InstrumentId, Broker] = {}
        for item in due:
            desk = self._desk_of(item.order.account_id)
            if desk is not None and desk.broker is not None:
                wanted.setdefault(item.order.instrument, desk.broker)
        return wanted

    # --- claims -------------------------------------------------------------------------------------------------------

    async def _claim(self, measured: list[Measured]) -> EntriesClaimed:
        """All of one leg, in one statement."""
        if not measured:
            return EntriesClaimed([], {})
        owner, now, monotonic = self._tools.owner, self._tools.clock.now(), self._tools.clock.monotonic()
        if measured[0].due.order.leg is Leg.EXIT:
            exits = [item.as_exit() for item in measured]
            claimed = await claim_exits(self._tools.claims, exits, owner=owner, now=now, monotonic=monotonic)
            return EntriesClaimed(claimed, {})
        entries = [item.as_entry() for item in measured]
        return await claim_entries(
            self._tools.claims, entries, owner=owner, now=now, monotonic=monotonic, defaults=self._tools.default_limits
        )

    async def _skip_entry(self, due: Due, reference: Decimal) -> None:
        async with self._tools.database.transaction() as session:
            await skip_entry(session, _armed_entry(due), price=reference, now=self._tools.clock.now())
        self._mark(due.order.run_id)

    async def _refuse(self, due: Due, refusal: Refusal) -> None:
        """Over a limit of its account: decided inside the claim, written down after it, when no order row is held any more."""
        _log.info("entry_refused", order_id=due.order.order_id, code=refusal.code)
        async with self._tools.database.transaction() as session:
            await refuse_entry(session, _armed_entry(due), refusal, now=self._tools.clock.now())
        self._mark(due.order.run_id)


def _armed_entry(due: Due) -> ArmedEntry:
    return ArmedEntry(due.order.run_id, due.order.order_id)
