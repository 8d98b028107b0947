"""Orders of the platform, and instruments they may be for."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from api.answers import order_answer
from api.declared import BODY, SIGNED_IN, errors
from api.deps import CurrentCaller, OrderId, Platform
from api.errors import ApiError, ErrorCode
from api.paging import Cursor, FilterText, Limit, read_id_cursor
from api.plans import typical_session
from api.routes.tags import INSTRUMENTS, ORDERS
from api.schemas.common import Page, storable
from api.schemas.trading import FillAnswer, InstrumentAnswer, Instruments, OrderAnswer, OrderWithFills
from api.search import search
from api.services import Services
from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from runtime.instruments import InstrumentsNotLoaded
from storage.repositories import order_list
from trading.instruments import Instrument, InstrumentId

router = APIRouter(tags=[ORDERS])
instruments = APIRouter(tags=[INSTRUMENTS])


@router.get("/orders", operation_id="listOrders", responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR))
async def list_orders(
    caller: CurrentCaller,
    platform: Platform,
    strategy_id: FilterText | None = None,
    run_id: FilterText | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[OrderAnswer]:
    """Every attempt this platform wrote down, newest first; of one strategy or one run."""
    before = read_id_cursor(cursor, prefix="ord")
    async with platform.database.transaction() as session:
        rows = await order_list.page(
            session, user_id=caller.user_id, strategy_id=strategy_id, run_id=run_id, before=before, limit=limit + 1
        )
    shown = rows[:limit]
    return Page(items=[order_answer(order) for order in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@router.get("/orders/{order_id}", operation_id="getOrder", responses=errors(SIGNED_IN, ErrorCode.ORDER_NOT_FOUND))
async def get_order(order_id: OrderId, caller: CurrentCaller, platform: Platform) -> OrderWithFills:
    """One order with its fills."""
    async with platform.database.transaction() as session:
        order = await order_list.find(session, order_id=order_id, user_id=caller.user_id)
        if order is None:
            raise ApiError(ErrorCode.ORDER_NOT_FOUND)
        fills = await order_list.fills_of(session, order_id=order_id, user_id=caller.user_id)
    shown = [
        FillAnswer(trade_id=fill.trade_id, quantity=fill.quantity, price=fill.price, filled_at=fill.filled_at) for fill in fills
    ]
    return OrderWithFills(**dict(order_answer(order)), fills=shown)


@instruments.get(
    "/instruments",
    operation_id="searchInstruments",
    responses=errors(SIGNED_IN, BODY, ErrorCode.INSTRUMENTS_NOT_LOADED),
)
async def search_instruments(
    caller: CurrentCaller,
    platform: Platform,
    query: Annotated[str, AfterValidator(storable), Query(max_length=64, description="Start of a symbol, or part of a name")],
    exchange: Annotated[str | None, Query(max_length=12, pattern="^[A-Za-z]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Instruments:
    """Find symbols: an exact one first, then those that begin with the text, then names that contain it."""
    if not platform.instruments.count:
        raise InstrumentsNotLoaded
    found = search(platform.instruments.all(), query, exchange=exchange, limit=limit)
    prices = await _prices(platform, [instrument.id for instrument in found])
    return Instruments(items=[_answer(platform, instrument, prices) for instrument in found])


async def _prices(platform: Services, wanted: list[InstrumentId]) -> Mapping[InstrumentId, HotPrice]:
    try:
        return await PriceCache(platform.redis).read(wanted)
    except CacheUnavailable:
        return {}


def _answer(platform: Services, instrument: Instrument, prices: Mapping[InstrumentId, HotPrice]) -> InstrumentAnswer:
    session = typical_session(platform, instrument)
    hot = prices.get(instrument.id)
    return InstrumentAnswer(
        exchange=instrument.id.exchange,
        symbol=instrument.id.symbol,
        name=instrument.name,
        segment=instrument.segment,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        freeze_quantity=instrument.freeze_quantity,
        last_price=hot.price if hot else None,
        opens=session.opens,
        closes=session.closes,
        last_safe_exit=session.last_safe_exit,
    )
