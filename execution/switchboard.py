"""The kill switches as this process knows them: what a sender looks at right before the first byte of an entry is written.

The claim has asked the rows; this closes the moment between the claim and the wire, in which a claimed order may wait for a free
connection. Read again with every sweep, which a hint brings on at once, and every second without one. Knowing too little here
costs nothing that the claim has not decided already; `send_until` bounds it all.
"""

from execution.claim import ClaimedOrder
from execution.rows import KillSwitches, Switchable
from trading.orders import Leg


class Switchboard:
    """One per process."""

    def __init__(self) -> None:
        self._switches = KillSwitches([])

    def know(self, switches: KillSwitches) -> None:
        """The engaged switches, as just read."""
        self._switches = switches

    def withholds(self, claimed: ClaimedOrder) -> bool:
        """Whether a switch has come up since the claim. Exits are never withheld."""
        return claimed.leg is Leg.ENTRY and self.locks(claimed)

    def locks(self, order: Switchable) -> bool:
        """Whether what we know forbids a run, or the run of this order, to buy."""
        return self._switches.lock(order) or self._switches.suspend(order)
