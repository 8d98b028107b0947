"""Every kind of alarm in one table: how grave it is, whom it concerns, who says that it is over, and its name in words.

A page docs/runbooks/<kind>.md says of each what it means, what the platform has done and what a person should do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from storage.models import Severity


class Over(Enum):
    """Who says that an alarm is over. An acknowledgement ends a `PERSON` alarm; it only silences the other."""

    ITSELF = "itself"
    PERSON = "person"


class Concerns(Enum):
    """Who sees it: the owner of the account or run it names, or everybody signed in."""

    OWNER = "owner"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """`ends`: what ends it, in words."""

    title: str
    severity: Severity
    over: Over
    concerns: Concerns
    ends: str


def _of_owner(title: str, ends: str, *, severity: Severity = Severity.CRITICAL) -> AlarmKind:
    return AlarmKind(title, severity, Over.ITSELF, Concerns.OWNER, ends)


def _of_everybody(title: str, ends: str, *, severity: Severity = Severity.CRITICAL) -> AlarmKind:
    return AlarmKind(title, severity, Over.ITSELF, Concerns.EVERYBODY, ends)


def _for_a_person(title: str, *, severity: Severity = Severity.CRITICAL) -> AlarmKind:
    return AlarmKind(title, severity, Over.PERSON, Concerns.OWNER, "a person acknowledges it")


KINDS: Mapping[str, AlarmKind] = {
    "account_frozen": _of_owner("Nothing is sent for an account", "the broker's book has been compared with our rows"),
    "audit_log_broken": _of_everybody("The audit log is not as it was sealed", "a check finds the whole log in order"),
    "broker_down": _of_owner("A broker does not answer", "it answers again, or the account has nothing open"),
    "clock_off": _of_everybody("A clock is wrong", "no clock can be shown to be wrong any more"),
    "daily_loss_limit": _of_owner("The day's loss has reached its limit", "a person releases the account's kill switch"),
    "feed_down": _of_everybody("No market data", "prices come again"),
    "feed_silent": _of_everybody("Market data connected, and mute", "prices come again"),
    "handed_over": _for_a_person("A run was handed over at the last moment"),
    "listener_gone": _of_everybody("Nobody watches the stops", "a listener is active again, or no run is open"),
    "order_doubled": _for_a_person("The broker lists two orders with one tag"),
    "order_in_doubt": _of_owner("An order has been in doubt for more than 10 s", "the doubt ends"),
    "order_oddity": _for_a_person("The broker says something that cannot be"),
    "order_unknown": _for_a_person("The broker lists an order of ours that nobody knows"),
    "not_ready": _of_owner("An account is not ready for the day", "the next look finds it in order, or half a day passes"),
    "oversold": _for_a_person("A run has sold more than it held"),
    "postgres_down": _of_everybody("Postgres does not answer", "it answers again"),
    "reconcile_difference": _of_owner("The broker's book and ours differ", "the next comparison agrees"),
    "redis_down": _of_everybody("Redis does not answer", "it answers again", severity=Severity.WARNING),
    "run_needs_person": _of_owner("An exit was refused by the broker", "an exit of the run is taken, or the run ends"),
    "sold_elsewhere": _for_a_person("Somebody else has sold a run's shares", severity=Severity.WARNING),
    "strategy_failed": _for_a_person("A strategy did not trade", severity=Severity.WARNING),
    "temporal_down": _of_everybody("Temporal does not answer", "it answers again"),
    "token_expired": _of_owner("A broker login has ended", "the broker answers to a login again"),
    "worker_gone": _of_everybody("No worker looks after an account", "every account with open runs has a worker again"),
    "workflow_lost": _for_a_person("A run's workflow was gone", severity=Severity.WARNING),
    "workflow_stuck": _of_owner("A run's workflow fails again and again", "the workflow goes on, or the run ends"),
}

# An alarm must never fail for its form: what the table has forgotten is grave, and stays up until somebody has seen it.
_FORGOTTEN = _for_a_person("An alarm without a page")


def kind_of(name: str) -> AlarmKind:
    return KINDS.get(name, _FORGOTTEN)


FOR_EVERYBODY = frozenset(name for name, kind in KINDS.items() if kind.concerns is Concerns.EVERYBODY)
ENDED_BY_A_PERSON = frozenset(name for name, kind in KINDS.items() if kind.over is Over.PERSON)
