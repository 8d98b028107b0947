"""Symbol search over the instruments in memory."""

import heapq
from collections.abc import Iterable, Iterator

from trading.instruments import Instrument

# Shares of the first exchange are what most people mean.
_EXCHANGES = {"NSE": 0, "BSE": 1}
_Rank = tuple[int, int, int, str]


def search(instruments: Iterable[Instrument], query: str, *, exchange: str | None, limit: int) -> list[Instrument]:
    """Best first: the exact symbol, symbols that begin with the text, names that contain it; shorter symbols before longer."""
    wanted = query.strip().upper()
    only = exchange.upper() if exchange else None
    best = heapq.nsmallest(limit, _ranked(instruments, wanted, only), key=lambda found: found[0])
    return [instrument for _, instrument in best]


def _ranked(instruments: Iterable[Instrument], wanted: str, exchange: str | None) -> Iterator[tuple[_Rank, Instrument]]:
    for instrument in instruments:
        symbol = instrument.id.symbol
        if exchange is not None and instrument.id.exchange != exchange:
            continue
        if symbol == wanted:
            kind = 0
        elif symbol.startswith(wanted):
            kind = 1
        elif wanted in instrument.name.upper():
            kind = 2
        else:
            continue
        yield (kind, _EXCHANGES.get(instrument.id.exchange, 2), len(symbol), symbol), instrument
