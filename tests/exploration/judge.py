"""What must hold whatever happens, judged by the exchange's own log."""

from collections import Counter

from sqlalchemy import select

from storage.models import ChangeKind, Order
from tests.exploration.exchange import OPEN, Request
from tests.exploration.world import World
from trading.orders import DEAD_STATES, LIVE_STATES, OrderState, Side
from trading.runs import RunState


class Judge:
    """Watches a world's exchange from the beginning."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.wrong: list[str] = []
        world.network.check = self._check_intention

    async def _check_intention(self, request: Request) -> None:
        """Invariant 1: what is written to the wire was committed before, as it is written."""
        async with self._world.database.transaction() as session:
            account = Order.account_id == self._world.account.id
            row = await session.scalar(select(Order).where(account, Order.tag == request.tag))
        if row is None:
            self.wrong.append(f"nobody wrote this down: {request}")
        elif request.what == "place":
            meant = row.state not in (OrderState.ARMED, OrderState.SUPERSEDED)
            if not meant or (row.quantity, row.price, row.side) != (request.quantity, request.price, request.side):
                self.wrong.append(f"not what was committed: {request}, row {row.state} {row.quantity} {row.price}")
        elif row.state in DEAD_STATES and (request.what == "modify" or row.cancel_wanted_at is not None):
            # A look has ended the order between the commit of this change and its first byte: the broker will refuse it.
            return
        elif row.change_kind is not ChangeKind(request.what) or (
            request.what == "modify" and (row.change_quantity, row.change_price) != (request.quantity, request.price)
        ):
            self.wrong.append(f"not the change that was committed: {request}, row {row.change_kind} {row.change_quantity}")

    async def judge_step(self) -> None:
        """Invariants 1, 2, 3 and 5, at any moment."""
        exchange = self._world.exchange
        placed = [request for request in exchange.log if request.what == "place"]
        twice = [tag for tag, count in Counter(request.tag for request in placed).items() if count > 1]
        wrong = [*self.wrong, *(f"tag {tag} was sent more than once" for tag in twice)]
        for run_id in self._world.run_ids:
            _, orders = await self._world.rows(run_id)
            wrong += self._overlaps(orders, placed) + self._oversold(orders) + self._called_absent(orders, placed)
        if wrong:
            raise AssertionError("\n".join([*wrong, await self._world.story()]))

    def _overlaps(self, orders: list[Order], placed: list[Request]) -> list[str]:
        """Attempts sent while an older one of their leg was alive at the exchange, unless its absence had been proven."""
        wrong = []
        sent = {request.tag for request in placed}
        alive = {order.tag for order in self._world.exchange.orders.values() if order.status in OPEN}
        alive |= {request.tag for request in placed if not request.landed and not request.is_lost}
        for older in orders:
            newer = [o for o in orders if o.leg is older.leg and o.attempt > older.attempt and o.tag in sent]
            proven = older.watched_until is not None
            if newer and older.tag in alive and not proven:
                wrong.append(f"{newer[0].leg.value} {newer[0].attempt} was sent while {older.attempt} was alive")
        return wrong

    def _called_absent(self, orders: list[Order], placed: list[Request]) -> list[str]:
        """Attempts called absent although the exchange had them, or might still have got them within the time that is waited."""
        if self._world.network.has_shown_nothing:
            return []
        there = {request.tag for request in placed if not request.is_lost and not request.is_overdue}
        absent = [order for order in orders if order.watched_until is not None and order.refusal is None]
        return [f"{order.leg.value} {order.attempt} was called absent" for order in absent if order.tag in there]

    def _oversold(self, orders: list[Order]) -> list[str]:
        """Sold more than bought, by the exchange's own count; a wrong proof of absence is repaired and judged at the end."""
        if any(order.watched_until is not None and order.tag in self._landed() for order in orders):
            return []
        tags = {order.tag for order in orders}
        net = self._world.exchange.net(tags)
        return [f"the run is oversold by {-net}"] if net < 0 else []

    def _landed(self) -> set[str | None]:
        return {request.tag for request in self._world.exchange.log if request.what == "place" and request.landed}

    async def judge_end(self) -> None:
        """Invariants 4 and 6, after one worker has worked in peace."""
        await self.judge_step()
        wrong = []
        alarmed = {alarm.run_id for alarm in await self._world.alarms() if alarm.cleared_at is None}
        for run_id in self._world.run_ids:
            run, orders = await self._world.rows(run_id)
            net = self._world.exchange.net({order.tag for order in orders})
            is_flat = net == run.taken_elsewhere
            if run.state is not RunState.ENDED and run_id not in alarmed:
                wrong.append(f"run {run_id} does not end")
            if any(order.state in LIVE_STATES for order in orders):
                wrong.append(f"run {run_id} has an order that is alive or in doubt")
            if not is_flat and not run.leave_open and run_id not in alarmed:
                wrong.append(f"run {run_id} holds {net} by the exchange's count, {run.bought - run.sold} by ours")
            tags = {order.tag for order in orders}
            theirs = (self._world.exchange.filled(tags, Side.BUY), self._world.exchange.filled(tags, Side.SELL))
            if theirs != (run.bought, run.sold):
                wrong.append(f"run {run_id} says {run.bought}-{run.sold}, the exchange {theirs}")
        still = [order for order in self._world.exchange.orders.values() if order.status in OPEN and order.tag is not None]
        wrong += [f"still at the exchange: {order}" for order in still]
        if wrong:
            raise AssertionError("\n".join([*wrong, await self._world.story()]))
