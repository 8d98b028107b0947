"""Lead: how long before its instant an entry is armed, and how long after it the workflow leaves the desk alone.

Many strategies share an instant: a full hour, a quarter. Arming is work, and so is a workflow that wakes; a thousand of them in
one second would make each other late. So whoever is due in the same second has a place in it, in the order in which the runs were
written: later places are armed earlier, and their workflows wake later.
"""

from dataclasses import dataclass
from datetime import timedelta

# So many of one second are armed in a second, and so many of their workflows wake in one: a part of what a busy core can do,
# whose first work is to send and then to cover what was bought. Either takes some 35 ms of processor time, half of it Temporal's:
# at fifty a second two cores were all busy, fell behind, and the last of a thousand were armed half a minute after their instant.
ARMED_PER_SECOND = 25
WOKEN_PER_SECOND = 25
# Nobody is armed more than this much earlier, or wakes more than this much later, for the others' sake.
MOST_EARLIER = timedelta(minutes=10)
MOST_LATER = timedelta(seconds=45)
# What a desk needs to send and to hear that it was filled, amid others: sixteen workflows that wake beside a herd take the time
# of fifty orders. The rows say at once what has become of it.
DESKS_TURN = timedelta(seconds=1)
# So many at once are a herd: fewer leave within a few milliseconds anyhow. Later places wait until it is sent, answered and
# covered.
HERD = 16
HERDS_TURN = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Lead:
    """A base and a spread over strategies, and how long an entry may work after its instant; seconds. `desks_fire`: whether
    desks send what is due by themselves."""

    base_seconds: float
    jitter_seconds: float
    deadline_seconds: float
    desks_fire: bool = True

    def before(self, strategy_id: str, *, place: int) -> timedelta:
        """How long before its instant. The same strategy always gets the same spread, so that a replayed decision is the same
        decision. `place`: how many others are due in its second and were written before it."""
        share = (sum(strategy_id.encode()) * 2_654_435_761 % 1000) / 1000
        own = timedelta(seconds=self.base_seconds + self.jitter_seconds * share)
        return own + min(timedelta(seconds=place / ARMED_PER_SECOND), MOST_EARLIER)

    def after(self, *, place: int) -> timedelta:
        """How long after an instant at which the desk acts by itself; no time where it does not."""
        if not self.desks_fire:
            return timedelta()
        herds = HERDS_TURN if place >= HERD else timedelta()
        return DESKS_TURN + min(herds + timedelta(seconds=place / WOKEN_PER_SECOND), MOST_LATER)
