"""The kept histories: where they are, how they are read, and what is taken out of them before they are kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

FOLDER = Path(__file__).parent / "histories"
# Who did something is no part of a history that is kept; a stack trace shows paths of the machine it was recorded on.
IDENTITY = "recorder"
_LEFT_OUT = ("stackTrace",)


def names_of_kept() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read(name: str) -> WorkflowHistory:
    """`name` without its suffix."""
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    return WorkflowHistory.from_json(kept["workflow_id"], kept["history"])


def keep(name: str, history: WorkflowHistory) -> None:
    recorded = without_traces(json.loads(history.to_json()))
    kept = {"workflow_id": history.workflow_id, "history": recorded}
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def without_traces(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_traces(inner) for key, inner in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list):
        return [without_traces(inner) for inner in value]
    return value


def fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a history, with the name of its field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, key)
    elif isinstance(value, str):
        yield key, value
