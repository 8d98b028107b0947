"""Whatever is done in whatever order: nothing appears from nowhere, nothing overfills, the queue is fair, replay agrees."""

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulator.exchange import funds
from simulator.exchange.engine import Exchange, NoJournal
from simulator.exchange.events import Event
from simulator.exchange.orders import ModifyRequest, Order, Product, Side, Status
from simulator.exchange.refusals import Refusal
from simulator.journal import account_record, event_records, market_record
from simulator.money import to_price
from simulator.restore import describe, restore
from tests.simulator.market import TCS, Bench

ACCOUNTS = st.sampled_from(["alice", "bob"])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(3560, 3640)
QUANTITIES = st.integers(1, 20)


class MemoryJournal(NoJournal):
    """Keeps the journal's lines as they would be on the disk."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write_events(self, events: Sequence[Event]) -> None:
        self.lines.append(orjson.dumps([record for event in events for record in event_records(event)]))


class Trading(RuleBasedStateMachine):
    """Two accounts trading one share, with depth, stops, products and prices at random."""

    @initialize()
    def open_the_market(self) -> None:
        self.bench = Bench()
        self.exchange = self.bench.exchange
        self.journal = MemoryJournal()
        self.exchange.journal = self.journal

    def _try(self, action: Any, *arguments: Any, **fields: Any) -> Order | None:
        try:
            return action(*arguments, **fields)  # type: ignore[no-any-return]
        except Refusal:
            return None

    def _open_orders(self) -> list[Order]:
        return [order for order in self.exchange.orders.values() if order.is_open]

    @rule(account=ACCOUNTS, side=SIDES, price=PRICES, quantity=QUANTITIES, validity=st.sampled_from(["DAY", "DAY", "IOC"]),
          product=st.sampled_from(["MIS", "MIS", "CNC"]), fill_cap=st.sampled_from([None, None, None, 0, 3]))  # fmt: skip
    def place(self, **order: Any) -> None:
        self._try(self.bench.place, order.pop("side"), order.pop("quantity"), order.pop("price"), **order)

    @rule(account=ACCOUNTS, side=SIDES, trigger=PRICES, gap=st.integers(0, 20), quantity=QUANTITIES)
    def place_stop(self, account: str, side: str, trigger: int, gap: int, quantity: int) -> None:
        limit = trigger + gap if side == "BUY" else trigger - gap
        self._try(self.bench.place, side, quantity, limit, order_type="SL", trigger=trigger, account=account)

    @rule(data=st.data(), price=st.none() | PRICES, quantity=st.none() | QUANTITIES)
    def modify(self, data: st.DataObject, price: int | None, quantity: int | None) -> None:
        if candidates := self._open_orders():
            order = data.draw(st.sampled_from(candidates))
            wanted = None if price is None else to_price(price)
            request = ModifyRequest(account=order.account, order_id=order.order_id, price=wanted, quantity=quantity)
            self._try(self.exchange.modify, request)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if candidates := self._open_orders():
            order = data.draw(st.sampled_from(candidates))
            self.exchange.cancel(account=order.account, order_id=order.order_id)

    @rule(quantity=st.none() | st.integers(0, 30))
    def set_depth(self, quantity: int | None) -> None:
        self.exchange.set_depth(TCS, quantity)

    @rule(price=PRICES)
    def move_price(self, price: int) -> None:
        resting = [order for order in self._open_orders() if order.rests_in == "book" and order.fill_cap is None]
        before = {order.order_id: order.filled for order in resting}
        queue = {order.order_id: (order.price, order.priority) for order in resting}
        self.bench.price(price)
        for ahead in resting:
            for behind in resting:
                sign = 1 if ahead.side is Side.SELL else -1
                (price_a, time_a), (price_b, time_b) = queue[ahead.order_id], queue[behind.order_id]
                is_ahead = ahead.side is behind.side and (sign * price_a, time_a) < (sign * price_b, time_b)
                if is_ahead and behind.filled > before[behind.order_id]:
                    assert ahead.pending == 0, "a later or worse order traded while this one still waited"

    @invariant()
    def fills_add_up(self) -> None:
        trades: dict[str, list[tuple[int, int]]] = {}
        for account in self.exchange.accounts.values():
            for trade in account.trades:
                trades.setdefault(trade.order_id, []).append((trade.quantity, trade.price))
        for order in self.exchange.orders.values():
            fills = trades.get(order.order_id, [])
            assert sum(quantity for quantity, _ in fills) == order.filled <= order.quantity
            assert sum(quantity * price for quantity, price in fills) == order.filled_value
            assert order.fill_cap is None or order.filled <= order.fill_cap
            assert (order.status is Status.COMPLETE) == (order.filled == order.quantity)
            last = order.history[-1]
            assert (last.status, last.filled, last.price) == (order.status, order.filled, order.price)

    @invariant()
    def limits_are_kept(self) -> None:
        for account in self.exchange.accounts.values():
            for trade in account.trades:
                limits = [snapshot.price for snapshot in self.exchange.orders[trade.order_id].history]
                if trade.side is Side.BUY:
                    assert trade.price <= max(limits)
                else:
                    assert trade.price >= min(limits)

    @invariant()
    def positions_equal_trades(self) -> None:
        for account in self.exchange.accounts.values():
            for (_, product), position in account.positions.items():
                mine = [trade for trade in account.trades if trade.product is product]
                signed = sum(trade.quantity if trade.side is Side.BUY else -trade.quantity for trade in mine)
                assert position.net == signed
                assert product is not Product.CNC or signed >= 0

    @invariant()
    def money_adds_up(self) -> None:
        for name, account in self.exchange.accounts.items():
            mine = [order for order in self._open_orders() if order.account == name]
            assert account.order_margin == sum(order.opening_left * order.margin_unit for order in mine)
            assert all(0 <= order.opening_left <= order.pending for order in mine)
            margin = 0
            for (instrument, product), position in account.positions.items():
                margin += funds.position_margin(self.exchange.markets[instrument].instrument, position)
                pending = {side: sum(o.pending for o in mine if o.side is side and o.product is product) for side in Side}
                assert (position.pending_buy, position.pending_sell) == (pending[Side.BUY], pending[Side.SELL])
                if product is not Product.CNC:
                    traded = position.day_sell_value - position.day_buy_value
                    cost = position.open_value if position.net > 0 else -position.open_value
                    assert position.realised == traded + cost
            assert account.position_margin == margin

    @invariant()
    def nothing_that_could_trade_rests(self) -> None:
        free = [order for order in self._open_orders() if order.rests_in == "book" and order.fill_cap is None]
        if self.bench.tcs.depth is None:
            assert not [order for order in free if order.crosses(self.bench.tcs.last_price)]
        for buy in (order for order in free if order.side is Side.BUY):
            for sell in (order for order in free if order.side is Side.SELL):
                assert buy.price < sell.price or buy.account == sell.account

    def teardown(self) -> None:
        if not hasattr(self, "exchange"):
            return
        opening = [market_record(market) for market in Bench().exchange.markets.values()]
        opening += [account_record(account) for account in self.exchange.accounts.values()]
        rebuilt = Exchange(clock=self.bench.clock)
        restore(rebuilt, [orjson.loads(orjson.dumps(opening)), *map(orjson.loads, self.journal.lines)])
        assert _money_and_orders(rebuilt) == _money_and_orders(self.exchange)
        again = Exchange(clock=self.bench.clock)
        restore(again, [orjson.loads(orjson.dumps(list(describe(self.exchange))))])
        assert _money_and_orders(again) == _money_and_orders(self.exchange)


def _money_and_orders(exchange: Exchange) -> object:
    return (
        {order.order_id: (order.history, order.rests_in, order.priority) for order in exchange.orders.values()},
        [
            [order.order_id for order in exchange.markets[TCS].resting[side]] for side in Side
        ],
        {
            name: (account.trades, account.cash_flow, account.realised, account.position_margin, [
                (key, position.net, position.open_value, position.pending_buy, position.pending_sell)
                for key, position in sorted(account.positions.items()) if position.net or position.pending_buy
            ])
            for name, account in exchange.accounts.items()
        },
    )  # fmt: skip


Trading.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestTrading = Trading.TestCase
