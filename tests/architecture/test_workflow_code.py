"""Workflows wait for ever for nothing, and importing one loads nothing that does I/O."""

import ast
import subprocess
import sys

import pytest

from tests.architecture.code import ROOT, Module, enclosing_function, modules_of, parse
from workflows import options

ACTIVITY_CALLS = ("execute_activity", "start_activity", "execute_local_activity", "start_local_activity")
LIMITS = {"start_to_close_timeout", "schedule_to_close_timeout"}
# Nobody needs them so far: conditions with a limit say what is waited for.
OTHER_WAITS = ("asyncio.wait", "asyncio.gather", "asyncio.Event", "asyncio.Queue", "asyncio.Future", "workflow.as_completed")
# Waits without a limit, with the reason why they end.
NAMED = {
    # Handlers wait for activities only, and those have limits of their own.
    ("workflows/strategy.py", "_finish", "workflow.all_handlers_finished"),
}


def waits_without_limit(module: Module) -> list[str]:
    return [
        module.at(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _may_wait_for_ever(node) and not _is_named(module, node)
    ]


def _may_wait_for_ever(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    keywords = {keyword.arg for keyword in call.keywords}
    if called == "workflow.wait_condition":
        return "timeout" not in keywords
    if called.startswith("workflow.") and called.removeprefix("workflow.").startswith(ACTIVITY_CALLS):
        return not (keywords & LIMITS or _options_with_limit(call))
    if called in ("workflow.execute_child_workflow", "workflow.wait"):
        return not keywords & {"run_timeout", "execution_timeout", "timeout"}
    return called in OTHER_WAITS


def _options_with_limit(call: ast.Call) -> bool:
    """Whether `**options.NAME` is passed, and NAME has a limit in workflows/options.py."""
    spread = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None]
    named = [getattr(options, name.removeprefix("options."), None) for name in spread if name.startswith("options.")]
    return any(isinstance(chosen, dict) and LIMITS & set(chosen) for chosen in named)


def _is_named(module: Module, call: ast.Call) -> bool:
    condition = ast.unparse(call.args[0]) if call.args else ""
    return (module.path, enclosing_function(module.tree, call), condition) in NAMED


@pytest.mark.parametrize("module", modules_of("workflows"), ids=lambda module: module.path)
def test_every_wait_in_a_workflow_has_a_limit(module: Module) -> None:
    assert waits_without_limit(module) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    await workflow.wait_condition(lambda: done)",
        "async def f():\n    await workflow.wait_condition(workflow.all_handlers_finished)",
        "async def f():\n    await workflow.execute_activity_method(A.b, x)",
        "async def f():\n    await workflow.execute_activity_method(A.b, x, **other)",
        "async def f():\n    await workflow.execute_activity_method(A.b, x, **options.GONE)",
        "async def f():\n    workflow.start_activity('b', x, heartbeat_timeout=y)",
        "async def f():\n    await workflow.execute_child_workflow(W.run, x, id='y')",
        "async def f():\n    await asyncio.gather(a, b)",
    ],
)
def test_the_rule_about_waits_finds_them(source: str) -> None:
    assert waits_without_limit(Module("workflows/new.py", parse(source))) != []


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    await workflow.wait_condition(lambda: done, timeout=left)",
        "async def f():\n    await workflow.execute_activity_method(A.b, x, **options.ROWS, summary='s')",
        "async def f():\n    await workflow.execute_activity(b, x, start_to_close_timeout=y)",
    ],
)
def test_the_rule_about_waits_leaves_limited_ones_alone(source: str) -> None:
    assert waits_without_limit(Module("workflows/new.py", parse(source))) == []


def test_the_named_waits_are_still_there() -> None:
    calls = {
        (module.path, enclosing_function(module.tree, node), ast.unparse(node.args[0]))
        for module in modules_of("workflows")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.args
    }
    assert calls >= NAMED


def test_every_kind_of_activity_is_limited_and_the_long_ones_have_a_heartbeat() -> None:
    kinds = {name: value for name, value in vars(options).items() if name.isupper() and isinstance(value, dict)}
    assert set(kinds) >= {"ROWS", "WAITING"}
    for name, chosen in kinds.items():
        assert "start_to_close_timeout" in chosen, name
        assert chosen["start_to_close_timeout"].total_seconds() <= 20 or "heartbeat_timeout" in chosen, name


UNWANTED = (
    "activities.entry",
    "activities.exit",
    "activities.readiness",
    "activities.runs",
    "activities.trading_day",
    "activities.waiting",
    "aiohttp",
    "alembic",
    "api",
    "asyncpg",
    "brokers",
    "cache",
    "cryptography",
    "exchange_calendars",
    "execution",
    "fastapi",
    "httpx",
    "jwt",
    "listener",
    "local",
    "numpy",
    "pandas",
    "prometheus_client",
    "pydantic_settings",
    "redis",
    "runtime",
    "simulator",
    "sqlalchemy",
    "starlette",
    "storage",
    "structlog",
    "uvicorn",
    "websockets",
)
LIST_LOADED = "import sys; import {module}; print('\\n'.join(sorted(sys.modules)))"


@pytest.mark.parametrize("module", [module.name for module in modules_of("workflows")])
def test_a_fresh_interpreter_that_imports_a_workflow_loads_no_infrastructure(module: str) -> None:
    """Also what the linter cannot see: imports made by libraries, or by name."""
    command = [sys.executable, "-c", LIST_LOADED.format(module=module)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert sorted(name for name in loaded if name.startswith(tuple(f"{one}." for one in UNWANTED)) or name in UNWANTED) == []
