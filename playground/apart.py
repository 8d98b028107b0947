"""Runs the playground's work in a process of its own: apart from orders, below them, and without any secret.

Reckoning in the worker would hold its interpreter while stops are due; a hostile file read in the API could end it.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEMORY_BYTES = 2 * 1024**3
PROCESSOR_SECONDS = 300
# Longest line of an answer: the bars of the largest file, in hexadecimal.
LONGEST_LINE_BYTES = 128 * 1024 * 1024
# Libraries that would start threads for every core get one: the machine belongs to orders.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def environment() -> dict[str, str]:
    """What the process gets to know: none of our settings, which hold keys."""
    return {**_THREADS, **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}}


class WentAstray(Exception):
    """The process ended before it was done: over its limits, killed, or a fault of ours. `words` is the end of what it said."""


async def run(
    request: Mapping[str, Any], content: bytes = b"", *, timeout_seconds: float = 600.0
) -> AsyncGenerator[dict[str, Any], None]:
    """Line after line of the answer. Leaving early, or being cancelled, kills the process. Raises WentAstray."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "playground",
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
    )
    assert process.stdin is not None  # noqa: S101 - asked for a pipe above
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    said = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(timeout_seconds):
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(json.dumps(dict(request)).encode() + b"\n" + content)
                await process.stdin.drain()
                process.stdin.close()
            done = False
            while line := await process.stdout.readline():
                answer = json.loads(line)
                done = bool(answer.get("done"))
                yield answer
        if not done:
            raise WentAstray((await said).decode(errors="replace")[-2_000:] or "it ended without a word")
    except (TimeoutError, ValueError) as error:
        raise WentAstray(str(error) or "it took too long") from error
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        said.cancel()


async def run_to_the_end(request: Mapping[str, Any], content: bytes = b"", *, timeout_seconds: float = 60.0) -> dict[str, Any]:
    """The last line of the answer. Raises WentAstray."""
    last: dict[str, Any] = {}
    async for line in run(request, content, timeout_seconds=timeout_seconds):
        last = line
    return last
