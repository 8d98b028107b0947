"""Fakes of the activities that no strategy's day has: comparing accounts, looking before the open, the playground."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import (
    AccountsChecked,
    AccountsReconciled,
    CheckAccounts,
    EndPlaying,
    PlaygroundInput,
    Reckoned,
    ReconcileAccounts,
)
from activities.signatures import PlaygroundActivities, ReadinessActivities, ReconciliationActivities
from tests.workflows.fakes import Gate


class Reckoner(PlaygroundActivities):
    def __init__(self) -> None:
        self.answer = Reckoned()
        self.failures = 0
        self.asked = 0
        self.gate: Gate | None = None
        self.ended: list[EndPlaying] = []

    @activity.defn
    async def reckon(self, request: PlaygroundInput) -> Reckoned:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise ApplicationError("the process went astray")
        if self.gate is not None:
            await self.gate.pass_through()
        return self.answer

    @activity.defn
    async def end_playing(self, request: EndPlaying) -> None:
        self.ended.append(request)


class Batches(ReconciliationActivities):
    """Answers batch after batch, by the account it is asked to go on after; some fail a few times first."""

    def __init__(self, answers: dict[str, AccountsReconciled]) -> None:
        self.answers = answers
        self.asked: list[ReconcileAccounts] = []
        self.failures = 0

    @activity.defn
    async def reconcile(self, request: ReconcileAccounts) -> AccountsReconciled:
        self.asked.append(request)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the worker had a bad moment")
        return self.answers[request.after]


THREE = {
    "": AccountsReconciled(compared=49, differences=2, unread=1, last="brk_b", left=70),
    "brk_b": AccountsReconciled(compared=50, last="brk_c", left=20),
    "brk_c": AccountsReconciled(compared=19, differences=1, unread=1),
}


class Looks(ReadinessActivities):
    """Two batches; the first attempt at the second one fails."""

    def __init__(self) -> None:
        self.asked: list[CheckAccounts] = []

    @activity.defn
    async def check_accounts(self, request: CheckAccounts) -> AccountsChecked:
        self.asked.append(request)
        if len(self.asked) == 2:
            raise RuntimeError("the worker had a bad moment")
        return AccountsChecked(5, 1) if request.after else AccountsChecked(20, 3, "brk_b")
