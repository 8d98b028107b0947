"""What every desk of a process shares."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from brokers.limits import BrokerLimits
from execution.change import Changer
from execution.day_limits import DayLimits, Instruments
from execution.hints import FillHints
from execution.notices import Notices
from execution.prices import ReferencePrices
from execution.rush import Rush
from execution.send import Sender
from execution.switchboard import Switchboard
from storage.database import Database
from storage.models import BrokerAccount
from trading.accounts import BrokerName
from trading.ports.broker import Broker
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.risk import NO_LIMITS, Limits


class Accounts(Protocol):
    """Opens the broker of an account row. Raises what `BrokerAccounts.broker_of` raises."""

    def broker_of(self, account: BrokerAccount) -> Broker: ...

    def limits(self, broker: BrokerName) -> BrokerLimits: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the order protocol. `simulated_per_second` sets the rate of simulated accounts; live ones keep the broker's."""

    settle: timedelta = timedelta(seconds=3)
    timeout: timedelta = timedelta(seconds=5)
    lease_seconds: float = 3.0
    simulated_per_second: int = 8
    head_start: bool = True


@dataclass(frozen=True, slots=True)
class Tools:
    database: Database
    clock: Clock
    accounts: Accounts
    instruments: Instruments
    limits: DayLimits
    prices: ReferencePrices
    notices: Notices
    metrics: Metrics
    sender: Sender
    changer: Changer
    hints: FillHints
    rush: Rush
    pace: Pace
    owner: str
    switchboard: Switchboard
    default_limits: Limits = NO_LIMITS
