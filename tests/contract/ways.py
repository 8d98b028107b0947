"""Where brokers differ and the port allows it. Every case holds for every broker; these say how it ends at this one."""

from collections.abc import Mapping
from dataclasses import dataclass

from trading.accounts import BrokerName
from trading.orders import RefusalKind
from trading.ports.broker import BrokerUnavailable, UnreadableAnswer


@dataclass(frozen=True, slots=True)
class Ways:
    """`over_the_limit`: what its answer to too many requests proves of a write; None: nothing.

    `takes_first`: what is wrong with an order may come out after it was taken, as a rejection in the book.
    `error_with_status_200`: what an error means to a read where HTTP says 200: nothing, where errors have a status of their own.
    `tells_triggered`: a stop that has triggered and found nobody yet looks different from one that waits.
    `one_time_code_gone`: a one-time code whose time has passed; None where a code works exactly once.
    """

    over_the_limit: RefusalKind | None = RefusalKind.RATE_LIMIT
    takes_first: bool = False
    error_with_status_200: type[Exception] = UnreadableAnswer
    one_time_code_gone: str | None = None
    tells_triggered: bool = True


_WAYS: Mapping[BrokerName, Ways] = {
    BrokerName.ANGEL_ONE: Ways(
        over_the_limit=None, takes_first=True, error_with_status_200=BrokerUnavailable, one_time_code_gone="000000"
    ),
    BrokerName.DHAN: Ways(tells_triggered=False),
    BrokerName.FYERS: Ways(tells_triggered=False),
}


def ways_of(name: BrokerName) -> Ways:
    return _WAYS.get(name, Ways())
