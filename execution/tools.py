"""What every desk of a process shares."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from brokers.limits import BrokerLimits
from execution.absences import Absences
from execution.change import Changer
from execution.day_limits import DayLimits, Instruments
from execution.day_rows import DaysRows
from execution.news import News
from execution.notices import Notices
from execution.prices import ReferencePrices
from execution.rush import Rush
from execution.send import Sender
from execution.sights import Sights
from execution.switchboard import Switchboard
from execution.under_way import KnownOrders, OrdersUnderWay
from storage.database import Database
from storage.models import BrokerAccount
from trading.accounts import BrokerName, Environment
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
    """Times of the order protocol. `settle` is the least of any account; `simulated_per_second` sets the rate of simulated
    accounts, live ones keep the broker's."""

    settle: timedelta = timedelta(seconds=3)
    timeout: timedelta = timedelta(seconds=5)
    lease_seconds: float = 3.0
    simulated_per_second: int = 8
    head_start: bool = True


@dataclass(frozen=True, slots=True)
class Tools:
    database: Database
    claims: Database  # connections that only claims use, so that their statements are always prepared and never wait for one
    clock: Clock
    accounts: Accounts
    instruments: Instruments
    limits: DayLimits
    prices: ReferencePrices
    notices: Notices
    metrics: Metrics
    sender: Sender
    changer: Changer
    news: News  # what brokers answer and order streams tell
    sights: Sights  # what the books show
    absences: Absences
    under_way: OrdersUnderWay
    known: KnownOrders
    days: DaysRows
    rush: Rush
    pace: Pace
    owner: str
    switchboard: Switchboard
    default_limits: Limits = NO_LIMITS

    def settle_of(self, account: BrokerAccount) -> timedelta:
        """Between two reads of its broker that prove something."""
        return settle_at(account.environment, self.accounts.limits(account.broker), self.pace)


def settle_at(environment: Environment, limits: BrokerLimits, pace: Pace) -> timedelta:
    """Never shorter than the setting, nor, where it is real, than the broker needs to show what it has taken."""
    needed = timedelta(seconds=limits.settle_seconds) if environment is Environment.LIVE else timedelta(0)
    return max(pace.settle, needed)
