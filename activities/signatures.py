"""Activities as workflows see them: names and types. The bodies live elsewhere; mypy rejects one whose types drift."""

from abc import ABC, abstractmethod

from temporalio import activity

from activities.messages import (
    AccountsChecked,
    AccountsReconciled,
    ArmEntry,
    Begin,
    Begun,
    ChangeRun,
    CheckAccounts,
    EndPlaying,
    Enter,
    Entered,
    EntryArmed,
    Finish,
    Leave,
    Left,
    PlaygroundInput,
    PreparedRuns,
    PrepareRuns,
    Reckoned,
    ReconcileAccounts,
    RunChanged,
    StrategyResult,
)


class EntryActivities(ABC):
    """What and when is the workflow's; how is the desk's. These make sure and wait."""

    @activity.defn
    @abstractmethod
    async def arm_entry(self, request: ArmEntry) -> EntryArmed:
        """Write the entry down before its moment. Asked twice, it finds what it wrote."""

    @activity.defn
    @abstractmethod
    async def enter(self, request: Enter) -> Entered:
        """Make sure the entry is out, and wait until it is over."""


class ExitActivities(ABC):
    @activity.defn
    @abstractmethod
    async def leave(self, request: Leave) -> Left:
        """Make sure the exit is out, with its reason, and wait for a while until the run is settled."""


class RunActivities(ABC):
    @activity.defn
    @abstractmethod
    async def begin(self, request: Begin) -> Begun:
        """Note that the workflow is running, and say how far the run has come."""

    @activity.defn
    @abstractmethod
    async def change(self, request: ChangeRun) -> RunChanged:
        """Change sell time or stop in the rows."""

    @activity.defn
    @abstractmethod
    async def finish(self, request: Finish) -> StrategyResult:
        """End the run in its row. Fails, and is tried again, while anything is alive or in doubt."""


class TradingDayActivities(ABC):
    @activity.defn
    @abstractmethod
    async def prepare_runs(self, request: PrepareRuns) -> PreparedRuns:
        """Write the rows of today's repeating strategies."""


class ReconciliationActivities(ABC):
    @activity.defn
    @abstractmethod
    async def reconcile(self, request: ReconcileAccounts) -> AccountsReconciled:
        """Compare a batch of accounts with their brokers. Outside market hours there are none."""


class ReadinessActivities(ABC):
    @activity.defn
    @abstractmethod
    async def check_accounts(self, request: CheckAccounts) -> AccountsChecked:
        """Look whether a batch of accounts is ready for the day, and tell the owners of those that are not. On a holiday there
        are none. Asked twice, an account is told once."""


class PlaygroundActivities(ABC):
    @activity.defn
    @abstractmethod
    async def reckon(self, request: PlaygroundInput) -> Reckoned:
        """Run the plans over the prices, in a process of its own, and keep what came of it. Asked twice, it reckons the same."""

    @activity.defn
    @abstractmethod
    async def end_playing(self, request: EndPlaying) -> None:
        """Write down how it ended, unless that is written already."""
