"""`python -m local up | down | status | demo | reset | tools`: the whole platform on one machine, without Docker."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from local import demo as demonstration
from local.detach import up_in_background
from local.errors import StackError
from local.plan import OPTIONAL_PARTS, ROOT, make_plan
from local.progress import Progress
from local.record import StackRecord
from local.running import running_stack, wait_until_stopped
from local.status import readiness_table, status_table
from local.temporal_programs import find_temporal
from local.up import up as run_stack

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(highlight=False)

_STOP_LIMIT_SECONDS = 120.0
State = Annotated[Path, typer.Option("--state", envvar="LOCAL_STATE", help="Folder of everything the stack keeps.")]
_STATE = ROOT / ".local"


@contextmanager
def one_sentence() -> Iterator[None]:
    """What the user can act on is a sentence and exit code 1, without a traceback."""
    try:
        yield
    except StackError as error:
        Console(stderr=True, highlight=False).print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def up(
    state: State = _STATE,
    without: Annotated[list[str] | None, typer.Option(help=f"Leave a part out: {', '.join(OPTIONAL_PARTS)}.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Go to the background once everything is ready.")] = False,
) -> None:
    """Start everything, show one trade, stay up until Ctrl-C."""
    with one_sentence():
        left_out = frozenset(without or ())
        plan = make_plan(state.resolve(), without=left_out)
        if not detach:
            run_stack(plan, console=console)
            return
        if plan.embeds_temporal:
            find_temporal(Progress(console))  # here, where a long build can show its progress
        options = [word for name in sorted(left_out) for word in ("--without", name)]
        up_in_background(plan.state, options, output=sys.stdout)


@app.command()
def down(state: State = _STATE, quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing.")] = False) -> None:
    """Stop the running stack; its state is kept."""
    with one_sentence():
        record = running_stack(state)
        if record is None:
            if not quiet:
                console.print("Nothing is running.")
            return
        _stop(record, state)
        if not quiet:
            console.print("Stopped.")


@app.command()
def status(state: State = _STATE) -> None:
    """What runs, since when, where; readiness with lags and alarms. Exit code 1 when nothing runs."""
    with one_sentence():
        record = _require_running(state)
        console.print(asyncio.run(status_table(record)))
        api_address = next((part.address for part in record.parts if part.name == "api"), "")
        readiness = asyncio.run(readiness_table(api_address)) if api_address else None
        if readiness is not None:
            console.print(readiness)


@app.command()
def demo(state: State = _STATE) -> None:
    """Show one trade on the running stack."""
    with one_sentence():
        _require_running(state)
        plan = make_plan(state.resolve())
        asyncio.run(demonstration.run(api_url=plan.api_url, simulator_control_url=plan.simulator_control_url, console=console))


@app.command()
def reset(state: State = _STATE, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop the stack and forget everything it keeps: users, orders, histories, keys."""
    with one_sentence():
        if not state.exists():
            console.print("There is nothing to forget.")
            return
        if not yes:
            typer.confirm(f"Remove {state} with all users, orders, histories and keys?", abort=True)
        record = running_stack(state)
        if record is not None:
            _stop(record, state)
        shutil.rmtree(state)
        console.print("Forgotten.")


@app.command()
def tools() -> None:
    """Get Temporal's programs, so that a later start need not wait for them."""
    with one_sentence():
        find_temporal(Progress(console))


def _require_running(state: Path) -> StackRecord:
    record = running_stack(state)
    if record is None:
        raise StackError("nothing is running; `make run` or `make up` starts the stack")
    return record


def _stop(record: StackRecord, state: Path) -> None:
    supervisor = record.supervisor.living()
    if supervisor is not None:
        supervisor.send_signal(signal.SIGTERM)
    if not wait_until_stopped(state, limit_seconds=_STOP_LIMIT_SECONDS):
        raise StackError(f"the stack (process {record.supervisor.pid}) did not end within {_STOP_LIMIT_SECONDS:.0f} s")


if __name__ == "__main__":
    app()
