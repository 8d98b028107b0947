"""Whose shares are whose in one account, instrument and product, on one day. Pure: trades and positions in, shortfalls out.

The broker nets everything: its position is what was there before the day's trades, plus our runs, plus whatever else was traded
in the account (by hand, by another app). Only trades that are not ours can take shares from a run; a position read alone never
does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trading.instruments import InstrumentId, Product
from trading.orders import BrokerPosition, BrokerTrade, Side


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
    unique = {(trade.broker_order_id, trade.trade_id): trade for trade in trades}
    return sum(
        trade.quantity if trade.side is Side.BUY else -trade.quantity
        for trade in unique.values()
        if trade.instrument == key.instrument and trade.product is key.product and trade.broker_order_id not in without
    )


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


def shortfall(*, baseline: int, foreign: int, left_open: int = 0) -> int:
    """How many of our runs' shares foreign trades have sold: what went beyond the shares that were the user's own.

    `left_open`: shares of runs that ended with them, on the user's word or handed over. They are the user's own now and are
    sold first. A user who was short already and sells more is taken to sell ours: the other reading would let us oversell.
    """
    beyond = max(0, -(baseline + foreign)) - max(0, -baseline) if foreign < 0 else 0
    return max(0, beyond - left_open)


def taken_from(runs: Sequence[OpenRun], missing: int) -> dict[str, int]:
    """Which runs lose how many shares: the newest first, none more than it holds."""
    taken: dict[str, int] = {}
    for run in reversed(runs):
        share = min(missing, max(run.open_quantity, 0))
        if share > 0:
            taken[run.run_id] = share
            missing -= share
    return taken
