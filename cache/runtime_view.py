"""The runtime view: how each strategy stands, ready to be shown without asking Postgres.

Three keys per strategy: `strategy:{id}` (the plan, a hash), `runtime:{id}` (the state, a hash), and its id in the set
`symbol:{symbol}:strategies` while a run is open. A view is made from Postgres only (cache/rebuild.py), and an older one never
replaces a newer one, whatever order writers finish in.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import cast

import orjson
from pydantic import TypeAdapter
from redis.asyncio import Redis

from cache.connection import answering
from cache.keys import runtime_key, strategy_key, symbol_strategies_key
from cache.prices import PriceCache
from trading.instruments import InstrumentId, Product
from trading.orders import Leg, OrderState
from trading.plan import Repeat
from trading.runs import EndReason, ExitReason, Holding, LastAction, Position, RunState, StrategyState


@dataclass(frozen=True, slots=True)
class PlanView:
    """The plan as it is now. Times are Indian times of day, prices rupees."""

    strategy_id: str
    user_id: str
    name: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    buy_time: time
    sell_time: time
    stop_loss: Decimal
    repeat: Repeat
    version: int
    account_id: str | None = None
    target_price: Decimal | None = None
    trailing_by: Decimal | None = None
    trailing_percent: Decimal | None = None

    @property
    def instrument(self) -> InstrumentId:
        return InstrumentId(self.exchange, self.symbol)


@dataclass(frozen=True, slots=True)
class OrderView:
    order_id: str
    leg: Leg
    attempt: int
    state: OrderState
    quantity: int
    filled_quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class View:
    """Everything of `runtime:{id}`. Run fields are those of the open run, else of the newest one, else empty.

    `last_price` and `pnl` are filled in when read: `pnl` is realised plus unrealised, rupees, None while it cannot be known.
    """

    strategy_id: str
    user_id: str
    status: StrategyState
    as_of: datetime
    run_id: str | None = None
    state: RunState | None = None
    trading_day: date | None = None
    position: Position = Position.NONE
    last_action: LastAction | None = None
    last_price: Decimal | None = None
    last_price_at: datetime | None = None
    orders: tuple[OrderView, ...] = ()
    bought: int = 0
    buy_value: Decimal = Decimal(0)
    sold: int = 0
    sell_value: Decimal = Decimal(0)
    realised_pnl: Decimal = Decimal(0)
    pnl: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_version: int | None = None
    buy_at: datetime | None = None
    sell_at: datetime | None = None
    exit_reason: ExitReason | None = None
    end_reason: EndReason | None = None
    end_detail: str = ""
    stop_requested_at: datetime | None = None
    target_price: Decimal | None = None
    highest_price: Decimal | None = None

    @property
    def has_open_run(self) -> bool:
        return self.state is not None and self.state is not RunState.ENDED

    def at_price(self, price: Decimal | None, *, at: datetime | None) -> "View":
        """The view with that last price and the profit it means."""
        holding = Holding(self.bought, self.buy_value, self.sold, self.sell_value)
        pnl = self.realised_pnl if holding.is_flat else None
        if price is not None and not holding.is_flat:
            pnl = self.realised_pnl + holding.unrealised_pnl(price)
        return replace(self, last_price=price, last_price_at=at, pnl=pnl)


_VIEW = TypeAdapter(View)
_PLAN = TypeAdapter(PlanView)

# KEYS: runtime, strategy, symbol set. ARGV: as_of, "1" while a run is open, strategy id, number of runtime words, the words
# of both hashes. One script, so that a reader never meets half a view.
_WRITE_IF_NEWER = """
local known = redis.call('HGET', KEYS[1], 'as_of')
if known and known > ARGV[1] then return 0 end
local words = tonumber(ARGV[4])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 5, 4 + words))
redis.call('HSET', KEYS[2], unpack(ARGV, 5 + words))
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', KEYS[3], ARGV[3])
return 1
"""


class RuntimeView:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._prices = PriceCache(redis)

    async def write_many(self, views: Sequence[tuple[View, PlanView]]) -> None:
        """One round trip. A view older than the one that is there is dropped. Raises CacheUnavailable."""
        if not views:
            return
        async with answering(), self._redis.pipeline(transaction=False) as pipeline:
            for view, plan in views:
                pipeline.eval(_WRITE_IF_NEWER, 3, *_arguments(view, plan))
            await pipeline.execute()

    async def read(self, strategy_id: str) -> View | None:
        """With the hot price, if there is one. None: not in the cache, so ask Postgres. Raises CacheUnavailable."""
        async with answering(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(runtime_key(strategy_id))
            pipeline.hgetall(strategy_key(strategy_id))
            state, fields = await pipeline.execute()
            if not state or not fields:
                return None
            view, plan = _decode_view(state), _PLAN.validate_python(_texts(fields))
        hot = (await self._prices.read([plan.instrument])).get(plan.instrument)
        return view.at_price(hot.price, at=hot.at) if hot else view.at_price(None, at=None)

    async def read_plan(self, strategy_id: str) -> PlanView | None:
        """Raises CacheUnavailable."""
        async with answering():
            fields = await cast(Awaitable[dict[bytes, bytes]], self._redis.hgetall(strategy_key(strategy_id)))
            return _PLAN.validate_python(_texts(fields)) if fields else None

    async def strategies_of(self, instrument: InstrumentId) -> set[str]:
        """Ids of the strategies with an open run on that instrument. Raises CacheUnavailable."""
        async with answering():
            members = await cast(Awaitable[set[bytes]], self._redis.smembers(symbol_strategies_key(instrument)))
            return {member.decode() for member in members}

    async def forget(self, strategy_id: str) -> None:
        """Removes a deleted strategy. Raises CacheUnavailable."""
        plan = await self.read_plan(strategy_id)
        async with answering():
            if plan is not None:
                await self._redis.srem(symbol_strategies_key(plan.instrument), strategy_id)
            await self._redis.delete(runtime_key(strategy_id), strategy_key(strategy_id))


def _arguments(view: View, plan: PlanView) -> list[str]:
    # Compared as text, so every instant is written with the same width.
    as_of = view.as_of.astimezone(UTC).isoformat(timespec="microseconds")
    state = [*_words({**_VIEW.dump_python(view, mode="json"), "as_of": as_of})]
    keys = [runtime_key(view.strategy_id), strategy_key(view.strategy_id), symbol_strategies_key(plan.instrument)]
    flags = [as_of, "1" if view.has_open_run else "0", view.strategy_id, str(len(state))]
    return [*keys, *flags, *state, *_words(_PLAN.dump_python(plan, mode="json"))]


def _words(fields: Mapping[str, object]) -> list[str]:
    """Field and value by turns; None is left out, lists are JSON."""
    words: list[str] = []
    for name, value in fields.items():
        if value is not None:
            words += [name, orjson.dumps(value).decode() if isinstance(value, list | tuple) else str(value)]
    return words


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _decode_view(fields: Mapping[bytes, bytes]) -> View:
    """Raises ValueError (pydantic's is one) for fields that do not make a view."""
    texts: dict[str, object] = {**_texts(fields)}
    texts["orders"] = orjson.loads(str(texts.get("orders", "[]")))
    return _VIEW.validate_python(texts)
