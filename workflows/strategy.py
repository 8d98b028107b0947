"""One day of one strategy. It decides what and when; the account's desk does the how (execution/), Temporal up or down.

Reads like the plan it carries out: sleep, arm, buy, watch, sell, prove.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.messages import (
        KILL_SWITCH_ENGAGED,
        ArmEntry,
        ArmOutcome,
        Begin,
        Begun,
        ChangePlan,
        ChangeRun,
        CredentialsRenewed,
        Enter,
        Entered,
        Finish,
        Leave,
        PlanChanged,
        RunSettled,
        RunStatus,
        StopLossHit,
        StopRequested,
        StrategyInput,
        StrategyResult,
        TargetHit,
    )
    from activities.signatures import EntryActivities, ExitActivities, RunActivities
    from trading.runs import END_REASON_OF_EXIT, EndReason, ExitReason, RunState
    from trading.schedule import EntryTiming, entry_timing
    from workflows import names, options

# An entry armed this late is still called on time: the desk needs a moment to fire it.
ON_TIME = timedelta(seconds=1)
_RUN_STATE = SearchAttributeKey.for_keyword("RunState")


@workflow.defn(name=names.STRATEGY_WORKFLOW)
class StrategyWorkflow:
    @workflow.init
    def __init__(self, plan: StrategyInput) -> None:
        # Signals may arrive before `run` begins: everything they touch exists from here on.
        self._plan = plan
        self._sell_at = plan.sell_at
        self._stop_loss = plan.stop_loss
        self._stop_version = plan.stop_version
        self._state = RunState.SCHEDULED
        self._waiting_for = "its first step"
        self._exit_reason: ExitReason | None = None
        self._exit_wanted_at: datetime | None = None
        self._hit: StopLossHit | None = None
        self._target_hit: TargetHit | None = None
        self._square_off = True
        self._exit_has_begun = False
        self._is_settled = False
        self._nothing_to_protect = False
        self._plan_has_changed = False
        self._renewed = 0

    @workflow.run
    async def run(self, plan: StrategyInput) -> StrategyResult:
        begun = await self._begin("Note that the run has begun")
        if begun.state is RunState.ENDED:
            return await self._finish()
        if not begun.entry_exists:
            refusal = await self._arm_in_time()
            if refusal is not None:
                return await self._finish(*refusal)
        entering = self._start_entering()
        while await self._watch(entering):
            if await self._leave():
                break
        await entering
        return await self._finish()

    # --- the day, step by step ----------------------------------------------------------------------------------------

    async def _begin(self, summary: str) -> Begun:
        begun = await workflow.execute_activity_method(
            RunActivities.begin, Begin(self._plan.run_id, workflow.now()), **options.ROWS, summary=summary
        )
        self._take_over(begun)
        return begun

    def _take_over(self, begun: Begun) -> None:
        """Rows may be ahead of us: a stop before we began, or a run that another workflow left behind."""
        self._sell_at, self._stop_loss, self._stop_version = begun.sell_at, begun.stop_loss, begun.stop_version
        if begun.exit_reason is not None and self._exit_reason is None:
            self._want_out(begun.exit_reason, workflow.now())
        elif begun.stop_requested and self._exit_reason is None:
            self._square_off = False
            self._want_out(ExitReason.USER_STOP, workflow.now())

    async def _arm_in_time(self) -> tuple[EndReason | None, str] | None:
        """Sleep, then write the entry down before its moment. Returns how the run ends if there is nothing to enter."""
        self._forget_hits()
        await self._sleep_until(self._plan.buy_at - timedelta(seconds=self._plan.lead_seconds), "the entry to be armed")
        if self._exit_reason is not None:
            return END_REASON_OF_EXIT[self._exit_reason], "stopped before the entry"
        now = workflow.now()
        timing = entry_timing(
            now=now,
            buy_at=self._plan.buy_at,
            sell_at=self._sell_at,
            max_lateness_seconds=self._plan.max_lateness_seconds,
            grace=ON_TIME,
        )
        if timing is EntryTiming.MISSED:
            return EndReason.MISSED, f"woke {_seconds(now - self._plan.buy_at)} after the buy time, too late to enter"
        deadline = max(now, self._plan.buy_at) + timedelta(seconds=self._plan.entry_deadline_seconds)
        self._nothing_to_protect = False
        request = ArmEntry(self._plan.run_id, self._plan.buy_at, min(deadline, self._sell_at), now)
        armed = await workflow.execute_activity_method(
            EntryActivities.arm_entry, request, **options.ROWS, summary=f"Arm the entry for {_clock(self._plan.buy_at)}"
        )
        if armed.outcome is ArmOutcome.DENIED:
            reason = EndReason.KILL_SWITCH if armed.code == KILL_SWITCH_ENGAGED else EndReason.ENTRY_FAILED
            return reason, f"{armed.code}: {armed.message}"
        if armed.outcome is ArmOutcome.NOT_WANTED:
            return None, ""
        await self._sleep_until(self._plan.buy_at + timedelta(seconds=self._plan.buy_asked_after), "the buy time")
        return None

    def _start_entering(self) -> workflow.ActivityHandle[Entered]:
        """Started, not blindly awaited: while it runs, a stop or a stop request already counts."""
        self._now_in(RunState.ENTERING, "the entry to fill")
        return workflow.start_activity_method(
            EntryActivities.enter,
            Enter(self._plan.run_id, workflow.now()),
            **options.WAITING,
            summary=f"Buy {self._plan.quantity} {self._plan.symbol}",
        )

    async def _watch(self, entering: workflow.ActivityHandle[Entered]) -> bool:
        """Wait for a reason to leave. False: the entry is over, nothing was bought, and there is nothing to leave."""
        await self._wait_for_exit(entering.done)
        if self._exit_reason is None and not self._is_settled and entering.result().bought > 0:
            self._now_in(RunState.HOLDING, "the stop-loss, a stop request or the sell time")
            await self._wait_for_exit(lambda: False)
        return self._exit_reason is not None and not self._is_settled

    async def _wait_for_exit(self, otherwise: Callable[[], bool]) -> None:
        """Until the stop or the target is hit, a stop is asked for, the sell time has come, or `otherwise` holds. The sell time
        may move."""
        while self._exit_reason is None and not self._is_settled and not otherwise():
            left = self._sell_at + timedelta(seconds=self._plan.sell_asked_after) - workflow.now()
            if left <= timedelta(0):
                self._want_out(ExitReason.SELL_TIME, self._sell_at)
                return
            self._plan_has_changed = False
            try:
                await workflow.wait_condition(
                    lambda: self._exit_reason is not None or self._is_settled or self._plan_has_changed or otherwise(),
                    timeout=left,
                    timeout_summary=f"Sell time {_clock(self._sell_at)}",
                )
            except TimeoutError:
                continue

    async def _leave(self) -> bool:
        """Ask until it is settled: an exit never gives up. A stronger reason that comes meanwhile goes with the next request.

        False: it was a reason of a plan that had been changed in the meantime, so there is nothing to leave for.
        """
        self._exit_has_begun = True
        waiting_for = ""
        while self._exit_reason is not None:
            reason, words = self._exit_reason, self._exit_reason.value.replace("_", " ")
            self._now_in(RunState.LEAVING, waiting_for or f"the position to be flat ({words})")
            wanted_at = self._exit_wanted_at or workflow.now()
            request = Leave(self._plan.run_id, reason, wanted_at, workflow.now(), self._square_off, self._hit, self._target_hit)
            left = await workflow.execute_activity_method(
                ExitActivities.leave, request, **options.WAITING, summary=f"Sell {self._plan.symbol}: {words}"
            )
            if left.is_settled:
                return True
            hits = self._hit is request.hit and self._target_hit is request.target
            if left.is_void and self._exit_reason is reason and hits:
                self._exit_reason, self._exit_has_begun, self._hit, self._target_hit = None, False, None, None
                await self._begin("Read the changed plan")
            waiting_for = left.waiting_for
        return False

    async def _finish(self, reason: EndReason | None = None, detail: str = "") -> StrategyResult:
        request = Finish(self._plan.run_id, workflow.now(), reason, detail)
        result = await workflow.execute_activity_method(
            RunActivities.finish, request, **options.ROWS, summary="Record how the run ended"
        )
        self._now_in(RunState.ENDED, f"nothing: {result.end_reason.value.replace('_', ' ')}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # --- messages -----------------------------------------------------------------------------------------------------

    @workflow.signal(name=names.STOP_LOSS_HIT)
    def stop_loss_hit(self, hit: StopLossHit) -> None:
        """A price at or below the stop. A repeat, or one for an older and lower stop, changes nothing."""
        is_ours = hit.trigger_id.startswith(self._plan.run_id)
        if not is_ours or self._nothing_to_protect:
            # A strategy that is started again on the same day has the same workflow id.
            return
        if hit.stop_version < self._stop_version and hit.price > self._stop_loss:
            return
        self._hit = _strongest(self._hit, hit)
        self._want_out(ExitReason.STOP_LOSS, hit.at)

    @workflow.signal(name=names.TARGET_HIT)
    def target_hit(self, hit: TargetHit) -> None:
        """A price at or above the target. Whether a target that has moved since still holds is for the rows to say."""
        if not hit.trigger_id.startswith(self._plan.run_id) or self._nothing_to_protect:
            return
        known = self._target_hit or hit
        self._target_hit = replace(hit, price=max(known.price, hit.price), stop_version=max(known.stop_version, hit.stop_version))
        self._want_out(ExitReason.TARGET, hit.at)

    @workflow.signal(name=names.STOP_REQUESTED)
    def stop_requested(self, request: StopRequested) -> None:
        if self._exit_reason is None:
            self._square_off = request.square_off
        self._want_out(request.reason, request.at)

    @workflow.signal(name=names.CREDENTIALS_RENEWED)
    def credentials_renewed(self, renewed: CredentialsRenewed) -> None:
        """The desk notices a new login by itself; in the history it explains why a waiting exit went on."""
        self._renewed += 1

    @workflow.signal(name=names.RUN_SETTLED)
    def run_settled(self, settled: RunSettled) -> None:
        """Nothing is left to sell: end now instead of at the sell time."""
        self._is_settled = True

    @workflow.update(name=names.CHANGE_PLAN)
    async def change_plan(self, change: ChangePlan) -> PlanChanged:
        """Move the sell time or the stop. The rows decide; we follow them."""
        request = ChangeRun(self._plan.run_id, change.sell_at, change.stop_loss, workflow.now())
        changed = await workflow.execute_activity_method(
            RunActivities.change, request, **options.ROWS, summary="Change sell time or stop"
        )
        if changed.refusal:
            raise ApplicationError(changed.message, type=changed.refusal, non_retryable=True)
        self._sell_at, self._stop_loss, self._stop_version = changed.sell_at, changed.stop_loss, changed.stop_version
        self._plan_has_changed = True
        self._say(self._waiting_for)
        return PlanChanged(self._sell_at, self._stop_loss, self._stop_version)

    @change_plan.validator
    def _check_change(self, change: ChangePlan) -> None:
        if change.sell_at is None and change.stop_loss is None:
            raise ApplicationError("nothing to change: give sell_at or stop_loss", type="NOTHING_TO_CHANGE")
        if self._exit_has_begun or self._exit_reason is not None or self._state is RunState.ENDED:
            raise ApplicationError("the exit has begun; nothing can be changed any more", type="EXIT_HAS_BEGUN")

    @workflow.query(name=names.STATUS)
    def status(self) -> RunStatus:
        return RunStatus(self._state, self._waiting_for, self._sell_at, self._stop_loss, self._exit_reason)

    # --- small things -------------------------------------------------------------------------------------------------

    def _forget_hits(self) -> None:
        """Nothing is armed yet: a price from before then fires no stop. The price at the buy time will decide."""
        self._nothing_to_protect = True
        if self._exit_reason in (ExitReason.STOP_LOSS, ExitReason.TARGET):
            self._exit_reason, self._exit_wanted_at, self._hit, self._target_hit = None, None, None, None

    def _want_out(self, reason: ExitReason, at: datetime) -> None:
        """The first reason starts the exit; a stronger one replaces it, so that a stop beats everything."""
        if self._state is RunState.ENDED or (self._exit_reason is not None and not reason.beats(self._exit_reason)):
            return
        if reason is not ExitReason.USER_STOP and not self._square_off:
            # The user keeps the position: nothing sells it any more.
            return
        self._exit_reason, self._exit_wanted_at = reason, at

    async def _sleep_until(self, instant: datetime, what: str) -> None:
        self._say(what)
        left = instant - workflow.now()
        if left > timedelta(0):
            try:
                await workflow.wait_condition(
                    lambda: self._exit_reason is not None, timeout=left, timeout_summary=f"Until {_clock(instant)}: {what}"
                )
            except TimeoutError:
                return

    def _now_in(self, state: RunState, waiting_for: str) -> None:
        if state is not self._state:
            self._state = state
            workflow.upsert_search_attributes([_RUN_STATE.value_set(state.value)])
        self._say(waiting_for)

    def _say(self, waiting_for: str) -> None:
        """Shown in Temporal's Web UI, so that an operator understands the run without reading code."""
        self._waiting_for = waiting_for
        plan = self._plan
        workflow.set_current_details(
            f"**{plan.quantity} {plan.exchange}:{plan.symbol}**, {self._state.value}: waits for {waiting_for}.\n\n"
            f"Buys {_clock(plan.buy_at)}, sells {_clock(self._sell_at)}, stop-loss ₹{self._stop_loss}. Run `{plan.run_id}`."
        )


def _strongest(known: StopLossHit | None, hit: StopLossHit) -> StopLossHit:
    """What both say together: if either holds for the plan as it is now, so does this."""
    if known is None:
        return hit
    return replace(hit, price=min(known.price, hit.price), stop_version=max(known.stop_version, hit.stop_version))


def _clock(instant: datetime) -> str:
    """Indian time of day. A fixed offset: India has no summer time, and workflow code reads no files."""
    return (instant + timedelta(hours=5, minutes=30)).strftime("%H:%M:%S")


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
