"""Rebuilding an exchange from its journal, and describing it as journal records again."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulator.exchange import funds
from simulator.exchange.accounts import Account
from simulator.exchange.core import apply_conversion
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Conversion
from simulator.exchange.gtt import Gtt
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.exchange.orders import Order, OrderRequest, OrderType, Product, Side, Snapshot, Status, Trade, Validity
from simulator.exchange.positions import Holding, Position
from simulator.journal import Record, account_record, gtt_record, market_record, order_record, state_record, trade_record


def restore(exchange: Exchange, operations: Iterable[list[Record]]) -> int:
    """Apply journalled operations to a fresh exchange; answers how many there were. Raises ValueError for an unknown record."""
    count = 0
    for operation in operations:
        count += 1
        for kind, *values in operation:
            apply = _APPLY.get(str(kind))
            if apply is None:
                raise ValueError(f"unknown journal record {kind!r}")
            apply(exchange, *values)
    _requeue_open_orders(exchange)
    return count


def describe(exchange: Exchange) -> Iterator[Record]:
    """The records from which `restore` would rebuild this exchange."""
    yield ("day", exchange.trading_day)
    for market in exchange.markets.values():
        yield market_record(market)
    for account in exchange.accounts.values():
        yield account_record(account)
        for holding in account.holdings.values():
            yield holding_record(account, holding)
        for position in account.positions.values():
            if position.overnight_quantity:
                yield _overnight_record(account, position)
    for order in exchange.orders.values():
        yield order_record(order)
        for snapshot in order.history:
            yield state_record(order, snapshot)
    for entry in exchange.ledger:
        yield trade_record(entry) if isinstance(entry, Trade) else ("conversion", *entry)
    for gtt in exchange.gtts.values():
        yield gtt_record(gtt)


def holding_record(account: Account, holding: Holding) -> Record:
    """One holding of an account."""
    return (
        "holding",
        account.api_key,
        holding.instrument,
        holding.quantity,
        holding.average_price,
        holding.t1_quantity,
        holding.used,
    )


def _overnight_record(account: Account, position: Position) -> Record:
    return (
        "overnight",
        account.api_key,
        position.instrument,
        position.product,
        position.overnight_quantity,
        position.overnight_value,
    )


def _day(exchange: Exchange, day: str) -> None:
    exchange.trading_day = day


def _account(exchange: Exchange, fields: dict[str, Any]) -> None:
    known = exchange.accounts.get(fields["api_key"])
    if known is None:
        exchange.accounts[fields["api_key"]] = Account(**fields)
    else:
        for name, value in fields.items():
            setattr(known, name, value)


def remove_account(exchange: Exchange, api_key: str) -> None:
    """Take an account and all it did out of the exchange."""
    account = exchange.accounts.pop(api_key)
    for order in account.orders:
        exchange.orders.pop(order.order_id, None)
    exchange.ledger = [entry for entry in exchange.ledger if entry.account != api_key]
    exchange.gtts = {number: gtt for number, gtt in exchange.gtts.items() if gtt.account != api_key}


def _market(exchange: Exchange, rules: list[Any], day: list[Any]) -> None:
    exchange_name, symbol, name, token, kind, *rest = rules
    instrument = Instrument(exchange_name, symbol, name, token, Kind(kind), *rest)
    known = exchange.markets.get(instrument.key)
    market = known if known is not None else Market(instrument, price=day[0], at_ns=exchange.clock())
    (
        market.last_price,
        market.open,
        market.high,
        market.low,
        market.close,
        market.volume,
        market.traded_value,
        market.last_quantity,
        market.last_trade_ns,
        market.lower_circuit,
        market.upper_circuit,
        market.depth,
    ) = day
    market.refill_maker()
    exchange.markets[instrument.key] = market


def _prices(exchange: Exchange, prices: dict[str, int]) -> None:
    for key, price in prices.items():
        market = exchange.markets[key]
        market.last_price = price
        market.high, market.low = max(market.high, price), min(market.low, price)
        market.refill_maker()


def _holding(exchange: Exchange, api_key: str, instrument: str, *values: int) -> None:
    exchange.accounts[api_key].holdings[instrument] = Holding(instrument, *values)


def _overnight(exchange: Exchange, api_key: str, instrument: str, product: str, quantity: int, value: int) -> None:
    account = exchange.accounts[api_key]
    position = account.position(instrument, Product(product))
    position.overnight_quantity, position.overnight_value, position.open_value = quantity, value, value
    account.position_margin += funds.position_margin(exchange.markets[instrument].instrument, position)


def _order(exchange: Exchange, *values: Any) -> None:
    order_id, api_key, instrument, side, product, tag, tags, placed_by, via_api, created_ns = values
    order = Order(
        order_id=order_id,
        account=api_key,
        instrument=instrument,
        side=Side(side),
        product=Product(product),
        tag=tag,
        tags=tuple(tags),
        placed_by=placed_by,
        via_api=via_api,
        created_ns=created_ns,
        order_type=OrderType.LIMIT,
        price=0,
        trigger_price=0,
        validity=Validity.DAY,
        quantity=0,
    )
    exchange.orders[order_id] = order
    exchange.accounts[api_key].orders.append(order)
    exchange.last_order_number = max(exchange.last_order_number, int(order_id))


def _state(exchange: Exchange, order_id: str, priority: int, cap: int | None, modifications: int, values: list[Any]) -> None:
    order = exchange.orders[order_id]
    status, at_ns, order_type, price, trigger_price, validity, *rest = values
    snapshot = Snapshot(Status(status), at_ns, OrderType(order_type), price, trigger_price, Validity(validity), *rest)
    order.history.append(snapshot)
    order.priority, order.fill_cap, order.modifications = priority, cap, modifications
    for name in _CARRIED:
        setattr(order, name, getattr(snapshot, name))
    exchange.last_priority = max(exchange.last_priority, priority)
    if order.exchange_order_id is not None:
        exchange.last_exchange_number = max(exchange.last_exchange_number, int(order.exchange_order_id))


_CARRIED = (
    "status",
    "order_type",
    "price",
    "trigger_price",
    "validity",
    "quantity",
    "disclosed_quantity",
    "filled",
    "filled_value",
    "cancelled",
    "market_protection",
    "exchange_order_id",
    "exchange_at_ns",
    "message",
    "message_raw",
)


def _trade(exchange: Exchange, *values: Any) -> None:
    trade_id, order_id, api_key, instrument, side, product, *rest = values
    trade = Trade(trade_id, order_id, api_key, instrument, Side(side), Product(product), *rest)
    account = exchange.accounts[api_key]
    account.trades.append(trade)
    exchange.ledger.append(trade)
    exchange.last_trade_number = max(exchange.last_trade_number, int(trade_id))
    funds.count_trade(
        account,
        account.position(instrument, trade.product),
        exchange.markets[instrument].instrument,
        side=trade.side,
        quantity=trade.quantity,
        price=trade.price,
    )


def _conversion(exchange: Exchange, *values: Any) -> None:
    conversion = Conversion(*values)
    exchange.ledger.append(conversion)
    apply_conversion(exchange.accounts[conversion.account], conversion, exchange.markets[conversion.instrument])


def _gtt(exchange: Exchange, *values: Any) -> None:
    trigger_id, api_key, kind, instrument, triggers, last_price, legs, *rest = values
    requests = tuple(
        OrderRequest(
            account=api_key,
            instrument=instrument,
            side=Side(side),
            order_type=OrderType.LIMIT,
            product=Product(product),
            quantity=quantity,
            price=price,
            via_api=False,
        )
        for side, product, quantity, price in legs
    )
    exchange.gtts[trigger_id] = Gtt(trigger_id, api_key, kind, instrument, tuple(triggers), last_price, requests, *rest)
    exchange.last_gtt_number = max(exchange.last_gtt_number, trigger_id)


def _requeue_open_orders(exchange: Exchange) -> None:
    waiting = [order for order in exchange.orders.values() if order.is_open]
    for order in sorted(waiting, key=lambda order: order.priority):
        funds.block(exchange.accounts[order.account], order, exchange.markets[order.instrument].instrument)
        exchange.rest(order)


_APPLY: dict[str, Callable[..., None]] = {
    "day": _day,
    "account": _account,
    "account_gone": remove_account,
    "market": _market,
    "prices": _prices,
    "holding": _holding,
    "overnight": _overnight,
    "order": _order,
    "state": _state,
    "trade": _trade,
    "conversion": _conversion,
    "gtt": _gtt,
}
