"""`python -m tests.chaos --minutes N --seed S`: hundreds of strategies trade while a seeded monkey breaks everything."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from tests.chaos import exits, scenario
from tests.chaos.stack import StackFailed
from trading.accounts import BrokerName

console = Console(highlight=False)
app = typer.Typer(add_completion=False)
_SCREEN_SECONDS = 1.0
_LINE_SECONDS = 15.0


class Scenario(str, Enum):
    CHAOS = "chaos"
    EXITS = "exits"


@app.command()
def main(
    minutes: Annotated[float, typer.Option(help="How long the monkey plays.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Decides every disturbance and what every trader would like to do.")] = 1,
    accounts: Annotated[int, typer.Option(help="Simulated people, each with one account.")] = 24,
    strategies: Annotated[int, typer.Option(help="Strategies each of them keeps running.")] = 4,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 2,
    brokers: Annotated[str, typer.Option(help="Where the accounts are, by turns: zerodha,dhan,...,paper")] = "zerodha",
    which: Annotated[
        Scenario, typer.Option("--scenario", help="exits: the only worker dies amid --count exits.")
    ] = Scenario.CHAOS,
    count: Annotated[int, typer.Option(help="Runs of the scenario exits, one account each.")] = 300,
    keep: Annotated[bool, typer.Option("--keep", help="Keep logs and database even if all is well.")] = False,
) -> None:
    """Exit code 1, with the violations and the command that tries again, when the exchange's log shows anything forbidden."""
    state = Path(tempfile.mkdtemp(prefix="algo-chaos-"))
    try:
        if which is Scenario.EXITS:
            problems = _exits(state, count)
            again = f"python -m tests.chaos --scenario exits --count {count}"
        else:
            plan = scenario.Plan(seed, minutes * 60, accounts, strategies, workers, state, _named(brokers))
            problems = _chaos(plan)
            again = (
                f"python -m tests.chaos --minutes {minutes:g} --seed {seed} --accounts {accounts}"
                f" --strategies {strategies} --workers {workers} --brokers {brokers}"
            )
    except StackFailed as error:
        console.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(2) from None
    for problem in problems:
        console.print(f"[red]✘ {escape(problem)}[/]", soft_wrap=True)
    if problems:
        console.print(f"Again: [bold]{again}[/]\nLogs, rows and the exchange's log: {state}", soft_wrap=True)
        raise typer.Exit(1)
    console.print("[green]✔ the exchange's log shows nothing forbidden[/]")
    if keep:
        console.print(f"Logs, rows and the exchange's log: {state}", soft_wrap=True)
    else:
        shutil.rmtree(state, ignore_errors=True)


def _named(brokers: str) -> tuple[BrokerName, ...]:
    try:
        named = tuple(BrokerName(name.strip()) for name in brokers.split(","))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if set(named) == {BrokerName.PAPER}:
        raise typer.BadParameter("paper accounts trade at the prices of somebody's broker: name one of those as well")
    return named


def _chaos(plan: scenario.Plan) -> list[str]:
    progress = scenario.Progress(plan)
    outcome = asyncio.run(_shown(plan, progress))
    console.print(outcome.ledger.table(outcome.evidence, outcome.verdict))
    problems = [str(violation) for violation in outcome.verdict.violations]
    if outcome.ledger.settled_in is None:
        problems.append(f"not everything had ended {scenario.SETTLE_SECONDS:.0f} s after the last disturbance")
    return problems


def _exits(state: Path, count: int) -> list[str]:
    report = asyncio.run(exits.run(state, count=count, say=console.print))
    console.print(report.table())
    return list(report.problems)


async def _shown(plan: scenario.Plan, progress: scenario.Progress) -> scenario.Outcome:
    task = asyncio.create_task(scenario.run(plan, progress))
    if not console.is_terminal:
        while not (await asyncio.wait([task], timeout=_LINE_SECONDS))[0]:
            console.print(_one_line(progress))
        return task.result()
    with Live(_screen(progress), console=console, refresh_per_second=2) as live:
        while not (await asyncio.wait([task], timeout=_SCREEN_SECONDS))[0]:
            live.update(_screen(progress))
    return task.result()


def _screen(progress: scenario.Progress) -> Table:
    table = Table(title=f"chaos, seed {progress.plan.seed}", show_header=False)
    for name, value in _figures(progress):
        table.add_row(name, value)
    return table


def _one_line(progress: scenario.Progress) -> str:
    return " · ".join(f"{name}: {value}" for name, value in _figures(progress))


def _figures(progress: scenario.Progress) -> list[tuple[str, str]]:
    left = "" if progress.ends_at is None else f", {max(0.0, progress.ends_at - time.monotonic()):.0f} s left"
    figures = [("phase", progress.phase + left)]
    if progress.watch is not None:
        figures.append(("runs", _counts(progress.watch.states)))
        figures.append(("worst unmanaged", f"{progress.watch.unmanaged.longest(time.monotonic()):.1f} s"))
    if progress.disturber is not None:
        figures.append(("killed", _counts(progress.disturber.killed)))
        figures.append(("paused", str(sum(progress.disturber.paused.values()))))
        figures.append(("faults", str(sum(progress.disturber.faults.values()))))
    return figures


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items())) or "none"


if __name__ == "__main__":
    app()
