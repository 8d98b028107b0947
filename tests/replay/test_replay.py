"""Histories of yesterday's code, replayed by today's: a run that is open while a new version is deployed must go on."""

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.messages import StrategyInput, StrategyResult
from runtime.temporal_worker import WORKFLOWS
from tests.replay.days import DAYS, trading_day
from tests.replay.histories import FOLDER, IDENTITY, fields, names_of_kept, read
from tests.replay.rounds import ROUNDS
from trading.runs import EndReason
from workflows import names
from workflows.strategy import StrategyWorkflow

# By hand of a person or another process, never by a workflow's own step.
NOT_BY_A_WORKFLOW = {EndReason.HANDED_OVER}
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
_PATH = re.compile(r"/(?:home|root|work|tmp|usr|var|Users)/")


@workflow.defn(name=names.STRATEGY_WORKFLOW)
class HesitantWorkflow(StrategyWorkflow):
    """Today's workflow with one step more, as a careless change would make it."""

    @workflow.init
    def __init__(self, plan: StrategyInput) -> None:
        super().__init__(plan)

    @workflow.run
    async def run(self, plan: StrategyInput) -> StrategyResult:
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(plan)


async def replay(history: WorkflowHistory, *, workflows: list[type[Any]], runner: WorkflowRunner) -> None:
    replayer = Replayer(workflows=workflows, data_converter=pydantic_data_converter, workflow_runner=runner)
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("runner", [UnsandboxedWorkflowRunner(), SandboxedWorkflowRunner()], ids=["production", "sandboxed"])
@pytest.mark.parametrize("name", names_of_kept())
async def test_todays_code_goes_on_with_every_kept_history(name: str, runner: WorkflowRunner) -> None:
    await replay(read(name), workflows=WORKFLOWS, runner=runner)


OF_STRATEGIES = sorted(recorded.__name__ for recorded in DAYS if recorded is not trading_day)


@pytest.mark.parametrize("name", OF_STRATEGIES)
async def test_a_workflow_with_a_step_more_is_found_out_by_every_kept_history(name: str) -> None:
    with pytest.raises(workflow.NondeterminismError):
        await replay(read(name), workflows=[HesitantWorkflow], runner=UnsandboxedWorkflowRunner())


def test_every_recorded_day_is_kept_and_nothing_else() -> None:
    assert names_of_kept() == sorted(recorded.__name__ for recorded in (*DAYS, *ROUNDS))


def test_every_workflow_has_a_kept_history() -> None:
    """Each kept one replays with these workflows, by its name."""
    assert len({workflow_name(read(name)) for name in names_of_kept()}) == len(WORKFLOWS)


def test_every_way_a_workflow_ends_a_run_is_kept() -> None:
    ends = {end_reason(read(name)) for name in OF_STRATEGIES}
    assert ends == set(EndReason) - NOT_BY_A_WORKFLOW


@pytest.mark.parametrize("name", names_of_kept())
def test_a_kept_history_tells_nothing_of_the_machine_it_was_recorded_on(name: str) -> None:
    texts = list(fields(json.loads((FOLDER / f"{name}.json").read_text())))
    assert {text for key, text in texts if key == "identity"} == {IDENTITY}
    assert "stackTrace" not in {key for key, _ in texts}
    readable = [base64.b64decode(text).decode() if key == "data" else text for key, text in texts]
    assert [text for text in readable if _PATH.search(text)] == []


def workflow_name(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


def end_reason(history: WorkflowHistory) -> EndReason:
    [end] = [event for event in history.events if event.event_type == _COMPLETED]
    payload = end.workflow_execution_completed_event_attributes.result.payloads[0]
    result: StrategyResult = pydantic_data_converter.payload_converter.from_payload(payload, StrategyResult)
    return result.end_reason
