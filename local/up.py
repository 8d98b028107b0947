"""`up`: from nothing to a running stack, and back when asked to stop."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from temporalio.service import RPCError

from local import demo
from local.errors import StackError
from local.leftovers import end_leftovers
from local.namespace import ensure_namespace
from local.panel import addresses_of, stack_panel
from local.part import Part
from local.plan import Plan
from local.progress import Progress
from local.record import ProcessIdentity, StackRecord
from local.running import only_stack, record_path
from local.stack import build_parts, require_free_ports
from local.supervisor import Supervisor
from local.temporal_programs import find_temporal
from workflows.names import SEARCH_ATTRIBUTES


def up(plan: Plan, *, console: Console) -> None:
    """Returns after SIGINT, SIGTERM or SIGHUP, when every part has ended. Raises StackError when it cannot start."""
    progress = Progress(console)
    with only_stack(plan.state):
        _end_leftovers(plan, console)
        programs = find_temporal(progress) if plan.embeds_temporal else None
        require_free_ports(plan, programs)
        asyncio.run(_run(plan, build_parts(plan, programs), progress))


async def _run(plan: Plan, parts: Sequence[Part], progress: Progress) -> None:
    identity = ProcessIdentity.of(os.getpid())
    if identity is None:
        raise RuntimeError("this process does not exist")
    ready = False

    def write_record() -> None:
        record = StackRecord(supervisor=identity, ready=ready, addresses=addresses_of(plan), parts=supervisor.records())
        record.write(record_path(plan.state))

    async def live() -> None:
        nonlocal ready
        await _register_elsewhere(plan)
        await supervisor.start()
        ready = True
        write_record()
        # The addresses come last: after a trade has scrolled by, they are what stays on the screen.
        await _show_demo(plan, progress.console)
        progress.console.print(stack_panel(plan))
        await supervisor.watch()

    supervisor = Supervisor(parts, logs=plan.logs, progress=progress, on_change=write_record)
    write_record()
    asked_to_stop = _stop_on_signals(kill=supervisor.kill)
    life = asyncio.create_task(live())
    try:
        await asyncio.wait({life, asked_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        if not life.done():
            progress.console.print("\nStopping; once more Ctrl-C kills what is left.")
    finally:
        life.cancel()
        failure = (await asyncio.gather(life, return_exceptions=True))[0]
        await supervisor.stop()
        record_path(plan.state).unlink(missing_ok=True)
    if isinstance(failure, Exception):
        raise failure


def _stop_on_signals(*, kill: Callable[[], None]) -> "asyncio.Future[None]":
    """Done at the first signal; each further one kills."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[None] = loop.create_future()

    def on_signal() -> None:
        if asked.done():
            kill()
        else:
            asked.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return asked


async def _register_elsewhere(plan: Plan) -> None:
    """A Temporal of the user's own gets what ours gets when it starts."""
    if plan.embeds_temporal:
        return
    address = plan.settings.temporal_address
    try:
        await ensure_namespace(address, plan.settings.temporal_namespace, search_attributes=SEARCH_ATTRIBUTES)
    except (RPCError, RuntimeError) as error:
        raise StackError(f"Temporal does not answer at {address} (TEMPORAL_ADDRESS): {error}") from error


async def _show_demo(plan: Plan, console: Console) -> None:
    if not (plan.runs("demo") and plan.runs("simulator") and plan.runs("api")):
        return
    try:
        await demo.run(api_url=plan.api_url, simulator_control_url=plan.simulator_control_url, console=console)
    except Exception as error:  # noqa: BLE001 - the demo is a visitor: whatever befalls it, the stack stays up
        console.print(f"[yellow]The demo did not finish: {escape(str(error) or type(error).__name__)}[/]")


def _end_leftovers(plan: Plan, console: Console) -> None:
    record = StackRecord.read(record_path(plan.state))
    if record is not None and (names := end_leftovers(record)):
        console.print(f"[yellow]Ended what a killed stack had left: {', '.join(names)}[/]")
