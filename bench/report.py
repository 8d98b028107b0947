"""Results on disk as pages: the generated part of docs/performance.md, and the plots."""

from collections.abc import Sequence
from pathlib import Path

from bench.catalogue import LINES
from bench.plots import cost_plots, distribution_plot
from bench.result import Result
from bench.table import markdown

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def read_results(folder: Path) -> list[Result]:
    """The newest result of each line, in the order of the table."""
    paths = [folder / f"{line.name}.json" for line in LINES]
    return [Result.read(path) for path in paths if path.exists()]


def write_plots(results: Sequence[Result], folder: Path) -> list[Path]:
    """One plot of all distributions, and one per measure of each cost curve."""
    drawn = {}
    rows = [row for result in results for row in result.measured.rows]
    if any(row.unit == "ms" and len(row.values) > 1 for row in rows):
        drawn["bench-latency"] = distribution_plot(rows)
    for result in results:
        if result.measured.curve:
            plots = cost_plots(result.measured.curve)
            drawn |= {f"bench-{result.line}-{_slug(measure)}": svg for measure, svg in plots.items()}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{name}.svg": svg for name, svg in drawn.items()}
    for path, svg in paths.items():
        path.write_text(svg, encoding="utf-8")
    return list(paths)


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def put_between_marks(page: str, results: Sequence[Result]) -> str:
    """The page with the table of these results. Raises ValueError when it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{markdown(results)}\n\n{END}{after}"
