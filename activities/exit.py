"""Leaving: the wish goes into the row, the desk sells, and this waits until the run is flat by its own fills."""

from temporalio import activity

from activities.messages import Leave, Left
from activities.signatures import ExitActivities
from activities.waiting import wait_a_while
from execution.commands import leave_because, supersede_armed_entries, supersede_armed_exits
from execution.floor import Floor
from execution.rows import lock_run
from execution.timeline import tell
from execution.tools import Tools
from execution.views import holding_of, run_view
from execution.waiting import RunWatch
from storage.models import Order, Run
from trading.next_step import is_settled
from trading.orders import LIVE_STATES, OrderState, SupersededFor
from trading.runs import ExitReason, RunState

# One request waits this long; then the workflow asks again, with whatever reason holds by then.
WAIT_SECONDS = 30.0


class DeskExitActivities(ExitActivities):
    def __init__(self, *, tools: Tools, floor: Floor, watch: RunWatch) -> None:
        self._tools = tools
        self._floor = floor
        self._watch = watch

    @activity.defn
    async def leave(self, request: Leave) -> Left:
        account_id = await self._note_wish(request)
        if account_id is None:
            return Left(is_settled=False, is_void=True)
        self._floor.mark(request.run_id)
        if not await self._floor.take(account_id):
            await self._tools.notices.account(account_id)

        def settled(run: Run, orders: list[Order]) -> Left | None:
            return Left(is_settled=True) if is_settled(run_view(run, orders), self._tools.clock.now()) else None

        left = await wait_a_while(self._watch, request.run_id, settled, seconds=WAIT_SECONDS)
        return left or Left(is_settled=False, waiting_for=await self._what_it_waits_for(request.run_id))

    async def _note_wish(self, request: Leave) -> str | None:
        """Write down that the run leaves, and why; returns its account. None: its reason is of a plan that has changed."""
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, request.run_id)
            if locked is None:
                raise LookupError(f"run {request.run_id} is gone")
            run, orders = locked
            if _is_outdated(run, request):
                return None
            await supersede_armed_entries(session, run_id=run.id, why=SupersededFor.STOPPED)
            if not request.square_off and run.stop_requested_at is None:
                run.leave_open, run.stop_requested_at = True, request.wanted_at
                await supersede_armed_exits(session, run_id=run.id, why=SupersededFor.STOPPED)
                tell(session, run, "stop_requested", "Asked to stop and keep the position", at=request.wanted_at)
            elif request.square_off and not run.leave_open and not holding_of(run).is_flat:
                hit = request.target if request.reason is ExitReason.TARGET else request.hit
                leave_because(session, run, request.reason, request.wanted_at, trigger=hit.price if hit is not None else None)
            if run.bought and run.state is not RunState.ENDED:
                run.state = RunState.LEAVING
            del orders
            return run.account_id

    async def _what_it_waits_for(self, run_id: str) -> str:
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, run_id)
        if locked is None:
            return "a run that is gone"
        run, orders = locked
        live = [order for order in orders if order.state in LIVE_STATES]
        doubtful = [order for order in live if order.state in (OrderState.SENDING, OrderState.UNKNOWN)]
        if doubtful:
            return "an order whose outcome is not known yet; the broker's book is being read"
        refused = [order.message for order in orders if order.state is OrderState.REJECTED]
        if refused and not live:
            return f"the broker, who refused: {refused[-1]}"
        return f"{holding_of(run).open_quantity} {run.symbol} still to be sold"


def _is_outdated(run: Run, request: Leave) -> bool:
    """A stop or target that was hit at an older version of the plan and would not be hit at today's, or a sell time that was
    moved away while nobody could tell the workflow."""
    if run.exit_wanted_at is not None:
        return False
    if request.reason is ExitReason.SELL_TIME:
        return run.sell_at > request.at
    if request.reason is ExitReason.TARGET and request.target is not None:
        target = request.target
        return target.stop_version < run.stop_version and (run.target_price is None or target.price < run.target_price)
    hit = request.hit
    if request.reason is not ExitReason.STOP_LOSS or hit is None:
        return False
    return hit.stop_version < run.stop_version and hit.price > run.stop_loss
