"""Paper accounts have no feed of their own: the instruments of their runs go to one of the brokers' feeds."""

from collections.abc import Sequence

from listener.feed import Feed
from trading.accounts import BrokerName


class Carrier:
    """The first feed that is healthy, and that one for as long as it is: prices of one instrument come from one place."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._chosen: BrokerName | None = None

    def name(self) -> BrokerName | None:
        """While no feed is healthy, whichever it was last; None when this listener carries no feed at all."""
        healthy = [feed.name for feed in self._feeds if feed.is_healthy]
        if self._chosen not in healthy:
            known = self._chosen or next((feed.name for feed in self._feeds), None)
            self._chosen = next(iter(healthy), known)
        return self._chosen
