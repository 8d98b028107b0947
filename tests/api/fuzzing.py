"""The application behind a real socket, and the fuzzer that reads the application's document and sends what nobody would.

The fuzzer is a program of its own: it speaks HTTP as any client does, and its findings are the lines it prints.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from api.access import PREFIX
from tests.api.conftest import Platform

ROOT = Path(__file__).parents[2]
HOOKS = "tests.api.fuzzing_hooks"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
# The same cases every time; with EXPLORE_API=600 others, and more of them, for so many seconds.
EXPLORE_SECONDS = int(os.environ.get("EXPLORE_API", "0"))


@dataclass(frozen=True, slots=True)
class Fuzz:
    """What one run of the fuzzer sends, and as whom."""

    # An access token; None: nobody.
    token: str | None
    # Ids that exist, by the name of the parameter: nothing but them would ever reach past "no such thing".
    ids: Mapping[str, str] = field(default_factory=dict)
    # Lines of configuration for single operations, by their ids.
    operations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    phases: Sequence[str] = PHASES
    # Which addresses, as a regular expression.
    addresses: str = ".*"
    # Where the document's examples and each bound of each field are tried one by one, which is most of the time; everywhere when
    # exploring. Of two operations whose bodies or queries are the same, or where one is another's business, one is enough.
    covered: str = ".*"
    covered_elsewhere: Sequence[str] = ()
    examples: int = 1


@asynccontextmanager
async def served(platform: Platform) -> AsyncIterator[str]:
    """The address of the application, while the block runs."""
    # Without the protocol's name asyncio does not switch Nagle's algorithm off, and every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(platform.app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        # Made once, before anybody waits for it.
        await asyncio.to_thread(platform.app.openapi)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def fuzz(address: str, settings: Fuzz, folder: Path) -> tuple[int, str]:
    """The fuzzer's exit status and what it printed."""
    config, output = folder / "fuzzing.toml", folder / "fuzzing.txt"
    config.write_text(_config(settings), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "--no-color", "run"]
    command += ["--include-path-regex", settings.addresses, f"{address}{PREFIX}/openapi.json"]
    # A file, so that it can be followed while it grows.
    with output.open("wb") as printed:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=printed, stderr=asyncio.subprocess.STDOUT, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return process.returncode or 0, output.read_text(encoding="utf-8", errors="replace")


def _config(settings: Fuzz) -> str:
    exploring = bool(EXPLORE_SECONDS)
    lines = [
        f"hooks = {json.dumps(HOOKS)}",
        "continue-on-failure = true",
        "max-stream-events = 1",
        "wait-for-schema = 60",
        "request-timeout = 20",
        # What is well-formed but unacceptable is 400 by design. 422 for what the document allows would be its fault.
        f"checks.positive_data_acceptance.expected-statuses = {json.dumps(ACCEPTANCE)}",
        *([f"max-time = {EXPLORE_SECONDS}"] if exploring else []),
        # Ids that were given stand instead of those of what was just created: that may be gone, and nothing is wrong with it.
        *(["checks.ensure_resource_availability.enabled = false"] if settings.ids else []),
        "[generation]",
        f"max-examples = {100 if exploring else settings.examples}",
        f"deterministic = {'false' if exploring else 'true'}",
        "database = 'none'",
        *([] if settings.token is None else ["[auth.openapi.accessToken]", f"bearer = {json.dumps(settings.token)}"]),
        "[phases]",
        *(f"{phase}.enabled = {json.dumps(exploring or phase in settings.phases)}" for phase in PHASES),
        *([] if exploring else ["coverage.unexpected-methods = ['trace']"]),
        "[parameters]",
        *(f"'path.{name}' = {json.dumps(value)}" for name, value in settings.ids.items()),
    ]
    if not exploring:
        for chosen in (
            f"include-path-regex = {json.dumps(f'^(?!.*({settings.covered}))')}",
            f"include-operation-id = {json.dumps(list(settings.covered_elsewhere))}",
        ):
            lines += ["[[operations]]", chosen, "phases.examples.enabled = false", "phases.coverage.enabled = false"]
    for operation_id, more in settings.operations.items():
        lines += ["[[operations]]", f"include-operation-id = {json.dumps(operation_id)}", *more]
    return "\n".join(lines) + "\n"


ACCEPTANCE = ["2xx", "3xx", "400", "401", "403", "404", "409", "429"]


def table(values: Mapping[str, Any]) -> str:
    """As the configuration file writes it."""
    return "{" + ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()) + "}"
