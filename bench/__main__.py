"""`python -m bench`: measures the lines of part 18 of the design, each on a platform of its own, and shows one table."""

import asyncio
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from bench.catalogue import LINES, Line
from bench.machine import ROOT, describe_machine, references, revision
from bench.profiles import write_tops
from bench.report import put_between_marks, read_results, write_plots
from bench.result import Measured, Result
from bench.stack import Options
from bench.table import show
from runtime.garbage import collect_seldom

# A table that goes into a file is not squeezed into eighty columns.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
app = typer.Typer(add_completion=False)
_NAMES = ", ".join(line.name for line in LINES)
_RESULTS, _PAGE, _IMAGES = ROOT / "bench" / "results", ROOT / "docs" / "performance.md", ROOT / "docs" / "images"


@app.command()
def main(
    only: Annotated[str, typer.Option(help=f"Lines, separated by commas: {_NAMES}. All without it.")] = "",
    count: Annotated[int, typer.Option(min=0, help="How many of what the line measures; 0: the line's own number.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    results: Annotated[Path, typer.Option("--json", help="Folder for results: one JSON file per line.")] = _RESULTS,
    plot: Annotated[bool, typer.Option(help="Draw the plots into the folder of results.")] = True,
    profile: Annotated[bool, typer.Option(help="Profile worker, listener and API, which slows them.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep the platform's folder: logs, database, the exchange's log.")] = False,
    measure: Annotated[bool, typer.Option(help="--no-measure only shows the results that are there.")] = True,
    write_docs: Annotated[bool, typer.Option(help="Put the results into docs/performance.md, with the plots.")] = False,
) -> None:
    """Exit code 1 when a line could not be measured or what it measured cannot be trusted; a missed target is no failure."""
    chosen = _chosen(only)
    # A search through all of this process's objects takes 0.2 s, which would count as the platform's.
    collect_seldom()
    trouble = False
    for line in chosen if measure else ():
        result = _measured(line, count or line.count, workers=workers, profile=profile, keep=keep, folder=results)
        trouble |= result is None or bool(result.measured.problems)
        if result is not None:
            result.write(results)
    found = [result for result in read_results(results) if result.line in {line.name for line in chosen}]
    show(found, console)
    if plot and found:
        console.print(f"{len(write_plots(found, results))} plots and {len(found)} results in {results}", soft_wrap=True)
    if write_docs:
        everything = read_results(results)
        _PAGE.write_text(put_between_marks(_PAGE.read_text(encoding="utf-8"), everything), encoding="utf-8")
        write_plots(everything, _IMAGES)
    if trouble:
        raise typer.Exit(1)


def _chosen(only: str) -> Sequence[Line]:
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    unknown = set(wanted) - {line.name for line in LINES}
    if unknown:
        raise typer.BadParameter(f"there is no line called {', '.join(sorted(unknown))}; there are {_NAMES}")
    return [line for line in LINES if not wanted or line.name in wanted]


def _measured(line: Line, count: int, *, workers: int, profile: bool, keep: bool, folder: Path) -> Result | None:
    """None, with the reason on the screen, when nothing came of it."""
    console.print(f"[bold]{line.name}[/]: {count:,} {line.title}")
    state = Path(tempfile.mkdtemp(prefix="algo-bench-"))
    profiles = folder.resolve() / f"{line.name}-profiles" if profile else None
    if profiles is not None:
        shutil.rmtree(profiles, ignore_errors=True)  # an older run's would be read as this one's
    options = Options(state, count, workers, profiles, say=lambda words: console.print(f"  {escape(words)}", style="dim"))
    machine = {**describe_machine(), **references()}
    failed = True
    try:
        measured = asyncio.run(_run(line, options))
        failed = False
    except Exception as error:  # noqa: BLE001 (whatever went wrong with one line, the next one is still measured)
        console.print(f"[red]✘ {line.name}: {type(error).__name__}: {escape(str(error)[-1500:])}[/]", soft_wrap=True)
        (state / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return None
    finally:
        if keep or failed:
            console.print(f"  logs, database, the exchange's log, what went wrong: {state}", style="dim", soft_wrap=True)
        else:
            shutil.rmtree(state, ignore_errors=True)
    for path in write_tops(profiles) if profiles else ():
        console.print(f"  profile: {path}", style="dim", soft_wrap=True)
    machine |= references("_after")
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    command = f"make bench ONLY={line.name} N={count}" + (f" ARGS='--workers {workers}'" if workers != 1 else "")
    return Result(line.name, line.title, command, made_at, revision(), machine, measured)


async def _run(line: Line, options: Options) -> Measured:
    return await line.measure(options)


if __name__ == "__main__":
    app()
