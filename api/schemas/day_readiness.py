"""Whether accounts are ready for the day."""

from collections.abc import Sequence
from datetime import date

from pydantic import Field

from api.schemas.common import Answer
from trading.accounts import BrokerName, Environment
from trading.day_readiness import CheckState, Verdict


class CheckAnswer(Answer):
    """One check. `unknown`: it could not be read, which is neither fine nor wrong."""

    name: str = Field(
        description="`login`, `instruments`, `feed`, `clock`, `static_ip`, `funds`, `stop` (one per price not above its stop)"
    )
    state: CheckState
    found: str = Field(description="What was found, in words", examples=["The account is not logged in"])
    advice: str = Field(description="What to do; empty when there is nothing to do", examples=["Log in to the broker"])
    strategy_id: str | None = Field(description="The strategy it is about, where it is about one")


class AccountReadiness(Answer):
    """`not_ready`: something planned cannot work as it stands; `look`: something may not; `idle`: nothing is planned."""

    broker_id: str
    broker: BrokerName
    environment: Environment
    label: str
    verdict: Verdict
    planned: int = Field(description="Strategies that will trade on that day, or hold something")
    login_url: str | None = Field(description="Where to log in, while the login check fails")
    checks: Sequence[CheckAnswer]


class DayReadinessAnswer(Answer):
    """For today while its session lasts, else for the next trading day."""

    trading_day: date
    ready: bool = Field(description="No account is `not_ready`")
    accounts: Sequence[AccountReadiness]
