"""Results as a table: for the terminal, and as Markdown for docs/performance.md. Both show the same cells."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.result import Result, Row

HEADINGS = ("Work", "unit", "p50", "p90", "p99", "max", "count", "target", "met")


def cells(row: Row) -> tuple[str, ...]:
    """One row as text. A single value stands under `max` alone: it has no distribution."""
    summary = row.summary
    spread = ("", "", "") if summary.count == 1 else tuple(number(each) for each in (summary.p50, summary.p90, summary.p99))
    targets = ", ".join(str(target) for target in row.targets)
    return (row.work, row.unit, *spread, number(summary.most), f"{summary.count:,}", targets, verdict(row))


def verdict(row: Row) -> str:
    """yes, no, or nothing where nothing was promised."""
    if not row.targets:
        return ""
    return "yes" if all(target.met_by(row.summary) for target in row.targets) else "no"


def number(value: float) -> str:
    """Whole numbers as they are, others with three digits that matter; thousands apart."""
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def show(results: Sequence[Result], console: Console) -> None:
    """The table of rows, then each line's facts and problems."""
    table = Table(title=machine_words(results))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("Work", "unit", "target", "met") else "right")
    for result in results:
        for row in result.measured.rows:
            *shown, met = (escape(cell) for cell in cells(row))
            table.add_row(*shown, {"yes": "[green]yes[/]", "no": "[red]no[/]"}.get(met, met))
        table.add_section()
    console.print(table)
    for result in results:
        for name, value in result.measured.facts.items():
            console.print(f"  {result.line}: {name}: {fact(value)}", style="dim", markup=False, soft_wrap=True)
        for problem in result.measured.problems:
            console.print(f"✘ {result.line}: {problem}", style="red", markup=False, soft_wrap=True)


def fact(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def machine_words(results: Sequence[Result]) -> str:
    """The machine in one line; several where results come from several."""
    return "\n".join(dict.fromkeys(_machine(result) for result in results))


def _machine(result: Result) -> str:
    machine = result.machine
    return (
        f"{machine['cores']} cores, {machine['cpu']}, {machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}"
    )


def markdown(results: Sequence[Result]) -> str:
    """The same table with remarks, the commands that repeat it, and the facts."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|--:|--:|--:|--:|--:|---|---|"]
    lines += ["| " + " | ".join(_plain(cells(row))) + " |" for result in results for row in result.measured.rows]
    remarks = [f"* *{row.work}*: {row.remark}" for result in results for row in result.measured.rows if row.remark]
    return "\n".join([*lines, "", *remarks, "", *_provenance(results), "", *_facts(results), *_problems(results)]).rstrip()


def _plain(row: Iterable[str]) -> list[str]:
    return [cell.replace("|", "/") for cell in row]


def _provenance(results: Sequence[Result]) -> list[str]:
    """One line of the table each: the command, the commit, the load of the machine before it and how fast it was."""
    heading = [
        "| Again with | commit | on | load before | reference loop | reference walk | machine |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    return heading + [
        f"| `{result.command}` | {result.revision} | {result.made_at[:10]} | {result.machine['load_before']} |"
        f" {_reference(result, 'loop')} | {_reference(result, 'walk')} | {_machine(result)} |"
        for result in results
    ]


def _reference(result: Result, name: str) -> str:
    """Before and after the measurement, as far as a result has them."""
    found = [result.machine.get(f"reference_{name}{when}_ms") for when in ("", "_after")]
    return ", ".join(f"{value}" for value in found if value is not None) + " ms" if any(found) else ""


def _facts(results: Sequence[Result]) -> list[str]:
    found = [f"| {result.line} | {name} | {fact(value)} |" for result in results for name, value in result.measured.facts.items()]
    return ["| Line | Beside it | |", "|---|---|--:|", *found, ""] if found else []


def _problems(results: Sequence[Result]) -> list[str]:
    return [f"* **{result.line}**: {problem}" for result in results for problem in result.measured.problems]
