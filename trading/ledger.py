"""Whose shares are whose in one account, instrument and product, on one day. Pure: trades and positions in, shortfalls out.

The broker nets everything: its position is what was there before the day's trades, plus our runs, plus whatever else was traded
in the account (by hand, by another app). Only trades that are not ours can take shares from a run; a position read alone never
does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from trading.instruments import InstrumentId, Product
from trading.orders import BrokerHolding, BrokerPosition, BrokerTrade, Side


@dataclass(frozen=True, slots=True, order=True)
class LedgerKey:
    """What a broker nets together."""

    instrument: InstrumentId
    product: Product


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run's open quantity by its own fills; runs are listed oldest first."""

    run_id: str
    open_quantity: int


def net_of(trades: Iterable[BrokerTrade], key: LedgerKey, *, without: frozenset[str] = frozenset()) -> int:
    """Bought minus sold in that key, leaving out the orders named in `without`; each trade counts once."""
    return sum(_bought(trade) for trade in _of_key(trades, key) if trade.broker_order_id not in without)


def _of_key(trades: Iterable[BrokerTrade], key: LedgerKey) -> list[BrokerTrade]:
    """Those in that key, each once."""
    unique = {(trade.broker_order_id, trade.trade_id): trade for trade in trades}
    return [trade for trade in unique.values() if trade.instrument == key.instrument and trade.product is key.product]


def _bought(trade: BrokerTrade) -> int:
    """Shares; below zero: sold."""
    return trade.quantity if trade.side is Side.BUY else -trade.quantity


def listed_net(positions: Iterable[BrokerPosition], key: LedgerKey) -> int | None:
    """The broker's net position, or None when it lists none: a list that leaves a key out, or is empty, proves nothing."""
    listed = [row.net_quantity for row in positions if row.instrument == key.instrument and row.product is key.product]
    return sum(listed) if listed else None


def baseline_of(positions: Iterable[BrokerPosition], trades: Iterable[BrokerTrade], key: LedgerKey) -> int | None:
    """What was there before today's trades: the net position less everything traded today. Both must show the same moment.

    None when the broker does not list the position.
    """
    held = listed_net(positions, key)
    return None if held is None else held - net_of(trades, key)


def listed_holding(holdings: Iterable[BrokerHolding], key: LedgerKey) -> int:
    """Shares of earlier days that the broker lists. Brokers list a share once, under one of its exchanges."""
    return sum(row.quantity for row in holdings if _share(row.instrument) == _share(key.instrument))


def held_in_the_morning(
    holdings: Iterable[BrokerHolding], trades: Iterable[BrokerTrade], key: LedgerKey, *, own: frozenset[str]
) -> int:
    """Shares of earlier days before today's trades, never fewer than there were.

    Brokers differ in whether what was sold today is still listed: what others have sold is added. Runs sell today's shares.
    """
    sold = {
        (trade.broker_order_id, trade.trade_id): trade.quantity
        for trade in trades
        if trade.product is key.product
        and trade.side is Side.SELL
        and _share(trade.instrument) == _share(key.instrument)
        and trade.broker_order_id not in own
    }
    return listed_holding(holdings, key) + sum(sold.values())


def _share(instrument: InstrumentId) -> str:
    """What all exchanges and series of a share have in common: `XYZ-BE` is `XYZ`. Two shares of one name only make us careful."""
    return instrument.symbol.rpartition("-")[0] or instrument.symbol


def missing_shares(
    trades: Iterable[BrokerTrade],
    key: LedgerKey,
    *,
    own: frozenset[str],
    baseline: int,
    delivered: int = 0,
    left_open: int = 0,
) -> int:
    """How many of our runs' shares foreign trades have sold today: what went beyond the shares that were the user's own.

    `own`: our broker order ids. `delivered`: shares of earlier days. `left_open`: shares of runs that ended with them, on the
    user's word or handed over: they are the user's own now and are sold first. Both readings of the day must agree: its sums (who
    bought back what he had sold has taken nothing) and its course (nobody can sell what was not there yet: it is a short of his
    own).
    """
    todays, before = list(trades), baseline + delivered
    if key.product is Product.CNC and _lowest(todays, key, own=own, before=before) < 0:
        # No broker lets anybody sell delivered shares that are not there: we do not know of all of them.
        return 0
    taken = min(
        _taken_by_sums(baseline=before, foreign=net_of(todays, key, without=own)),
        _taken_by_course(todays, key, own=own, baseline=before),
    )
    return max(0, taken - left_open)


def _lowest(trades: Iterable[BrokerTrade], key: LedgerKey, *, own: frozenset[str], before: int) -> int:
    """The fewest shares that were there in the day's course."""
    ordered = sorted(_of_key(trades, key), key=lambda trade: _moment(trade, is_own=trade.broker_order_id in own))
    return min(accumulate((_bought(trade) for trade in ordered), initial=before))


def _taken_by_sums(*, baseline: int, foreign: int) -> int:
    """A user who was short in the morning and sells more is taken to sell ours: the other reading would let us oversell."""
    return max(0, -(baseline + foreign)) - max(0, -baseline) if foreign < 0 else 0


def _taken_by_course(trades: Iterable[BrokerTrade], key: LedgerKey, *, own: frozenset[str], baseline: int) -> int:
    """Each foreign sale takes the user's own shares, then those our runs hold at that moment; the rest is a short of his own."""
    users, ours, taken = baseline, 0, 0
    for trade in sorted(_of_key(trades, key), key=lambda trade: _moment(trade, is_own=trade.broker_order_id in own)):
        bought = _bought(trade)
        if trade.broker_order_id in own:
            ours += bought
        elif bought > 0:
            users += bought
        else:
            from_ours = max(0, min(-bought - max(users, 0), ours))
            ours, taken, users = ours - from_ours, taken + from_ours, users + bought + from_ours
    return taken


def _moment(trade: BrokerTrade, *, is_own: bool) -> tuple[int, int]:
    """Brokers tell the second. Within one, what we bought was there to be sold, and what the user bought was not."""
    if is_own:
        return int(trade.filled_at.timestamp()), 0 if trade.side is Side.BUY else 3
    return int(trade.filled_at.timestamp()), 1 if trade.side is Side.SELL else 2


def taken_from(runs: Sequence[OpenRun], missing: int) -> dict[str, int]:
    """Which runs lose how many shares: the newest first, none more than it holds."""
    taken: dict[str, int] = {}
    for run in reversed(runs):
        share = min(missing, max(run.open_quantity, 0))
        if share > 0:
            taken[run.run_id] = share
            missing -= share
    return taken
