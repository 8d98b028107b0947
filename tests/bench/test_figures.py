"""What the benchmarks do with the values they have measured."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.machine import ROOT, cpu_model, describe_machine, references
from bench.plots import Axis, cost_plots, distribution_plot, powers_around
from bench.profiles import write_tops
from bench.report import BEGIN, END, put_between_marks, read_results, write_plots
from bench.result import Measured, Point, Result, Row, Statistic, Target
from bench.summary import Summary, percentile
from bench.table import cells, markdown, number, show, verdict
from bench.wire import ExchangeLog

LATENCY = Row("one stop", "ms", (4.0, 6.0, 2.0, 20.0), (Target(Statistic.P50, 5), Target(Statistic.P99, 15)), "quiet machine")
MACHINE = {"cores": 2, "cpu": "A processor", "memory_gb": 4.0, "load_before": 0.1, "reference_loop_ms": 99.0}
# As a server does that passes the signal on when it has ended.
ENDED_BY_A_SIGNAL = """import signal

def costly():
    return sum(range(10))

costly()
signal.raise_signal(signal.SIGTERM)
"""
SVG = "{http://www.w3.org/2000/svg}"


def result(*rows: Row, line: str = "stop") -> Result:
    curve = (Point(100, {"memory, MB: worker": 90.0}), Point(1_000, {"memory, MB: worker": 160.0, "memory, MB: api": 80.0}))
    measured = Measured(rows, facts={"orders": 4, "words": "some"}, curve=curve, problems=("one was early",))
    machine = {**MACHINE, "python": "3.11.7", "system": "Linux 6"}
    return Result(line, "stops", "make bench ONLY=stop N=4", "2026-11-21T10:00:00+00:00", "abc123", machine, measured)


def parsed(svg: str) -> ElementTree.Element:
    """Raises ParseError for what is no XML."""
    return ElementTree.fromstring(svg)  # noqa: S314 (our own text)


# --- figures --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (1, 1.0), (50, 50.0), (90, 90.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], percent) == expected


def test_the_99th_percentile_of_few_values_is_the_worst_of_them() -> None:
    assert Summary.of([5.0, 1.0, 3.0]) == Summary(count=3, least=1.0, p50=3.0, p90=5.0, p99=5.0, most=5.0)


def test_nothing_measured_is_an_error_and_not_a_good_figure() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Summary.of([])


def test_a_target_is_missed_by_one_figure_alone() -> None:
    assert verdict(LATENCY) == "no"
    assert verdict(replace(LATENCY, targets=LATENCY.targets[:1])) == "yes"
    assert verdict(replace(LATENCY, targets=())) == ""


def test_a_target_may_be_a_least_value_and_its_limit_meets_it() -> None:
    never_early = Target(Statistic.LEAST, 0, at_least=True)
    assert never_early.met_by(Summary.of([0.0, 3.0]))
    assert not never_early.met_by(Summary.of([-0.001, 3.0]))
    assert (str(never_early), str(Target(Statistic.P99, 1500))) == ("min ≥ 0", "p99 ≤ 1,500")


# --- the table ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"), [(4.0, "4"), (4.056, "4.06"), (44.44, "44.4"), (444.4, "444"), (100_000.0, "100,000"), (-0.5, "-0.50")]
)
def test_numbers_have_the_digits_that_matter(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_row_shows_its_distribution_and_a_single_value_only_itself() -> None:
    assert cells(LATENCY) == ("one stop", "ms", "4", "20", "20", "20", "4", "p50 ≤ 5, p99 ≤ 15", "no")
    assert cells(Row("memory", "MB", (812.4,))) == ("memory", "MB", "", "", "", "812", "1", "", "")


def test_the_terminal_shows_rows_facts_problems_and_the_machine() -> None:
    console = Console(record=True, width=160, file=open(os.devnull, "w"))  # noqa: SIM115 (lives as long as the console)
    show([result(LATENCY)], console)
    text = console.export_text()
    for expected in ("one stop", "p99 ≤ 15", "A processor", "orders: 4", "✘ stop: one was early"):
        assert expected in text


def test_the_page_names_command_commit_and_machine_beside_the_figures() -> None:
    page = put_between_marks(f"before\n{BEGIN}\nold figures\n{END}\nafter\n", [result(LATENCY)])
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "old figures" not in page
    for expected in (
        "| one stop | ms | 4 |",
        "`make bench ONLY=stop N=4`",
        "abc123",
        "99.0 ms",
        "quiet machine",
        "one was early",
    ):
        assert expected in page


def test_putting_a_table_twice_changes_nothing_the_second_time() -> None:
    once = put_between_marks(f"{BEGIN}{END}", [result(LATENCY)])
    assert put_between_marks(once, [result(LATENCY)]) == once


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="measured: begin"):
        put_between_marks("no marks", [result(LATENCY)])


def test_a_bar_in_a_name_does_not_break_the_page() -> None:
    assert "a / b" in markdown([result(replace(LATENCY, work="a | b"))])


# --- on disk --------------------------------------------------------------------------------------------------------------


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = result(LATENCY, Row("ticks", "ticks/s", (5.0,), (Target(Statistic.P50, 100, at_least=True),)))
    assert json.loads(written.write(tmp_path).read_text())["measured"]["rows"][0]["summary"]["p99"] == 20.0
    assert read_results(tmp_path) == [written]


def test_results_come_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    for line in ("api", "stop", "buys"):
        result(LATENCY, line=line).write(tmp_path)
    assert [each.line for each in read_results(tmp_path)] == ["stop", "buys", "api"]


# --- plots ----------------------------------------------------------------------------------------------------------------


def test_powers_of_ten_enclose_all_values() -> None:
    axis = powers_around("ms", [3.0, 0.5, 900.0])
    assert (axis.first, axis.last, axis.marks()) == (0.1, 1_000.0, [0.1, 1.0, 10.0, 100.0, 1_000.0])
    assert axis.share(10.0) == pytest.approx(0.5)
    assert Axis("percent", 0, 100).share(25) == 0.25


def test_a_distribution_ends_at_all_orders_and_leaves_other_units_out() -> None:
    drawing = parsed(distribution_plot([LATENCY, Row("memory", "MB", (1.0, 2.0))]))
    lines = drawing.findall(f"{SVG}polyline")
    assert len(lines) == 1
    last = lines[0].attrib["points"].split()[-1]
    assert float(last.split(",")[1]) == pytest.approx(40.0)  # the top of the plot: 100 percent


def test_costs_have_one_plot_per_measure_and_one_line_per_part() -> None:
    plots = cost_plots(result().measured.curve)
    assert list(plots) == ["memory, MB"]
    assert len(parsed(plots["memory, MB"]).findall(f"{SVG}polyline")) == 2


def test_names_are_escaped() -> None:
    parsed(distribution_plot([replace(LATENCY, work="a < b & c")]))


def test_plots_are_files_named_after_line_and_measure(tmp_path: Path) -> None:
    names = {path.name for path in write_plots([result(LATENCY)], tmp_path)}
    assert names == {"bench-latency.svg", "bench-stop-memory-mb.svg"}


# --- machine, log, profile --------------------------------------------------------------------------------------------------


def test_the_machine_tells_how_fast_it_is() -> None:
    machine = describe_machine()
    assert set(MACHINE) <= set(machine) | set(references())


def test_the_references_are_told_apart_by_when_they_were_measured() -> None:
    before, after = references(), references("_after")
    assert set(before) == {"reference_loop_ms", "reference_walk_ms"}
    assert set(after) == {"reference_loop_after_ms", "reference_walk_after_ms"}
    assert min(*before.values(), *after.values()) > 0


def test_the_table_shows_the_references_that_a_result_has() -> None:
    older = result(LATENCY)
    newer = replace(older, machine={**older.machine, "reference_walk_ms": 40, "reference_walk_after_ms": 80})
    shown = markdown([older, newer]).splitlines()
    assert [line.split(" | ")[4:6] for line in shown if "99.0 ms" in line] == [["99.0 ms", ""], ["99.0 ms", "40, 80 ms"]]


def test_the_processor_has_its_name_from_the_kernel() -> None:
    assert cpu_model("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert cpu_model("") != ""


def test_the_log_is_read_from_a_mark_on_and_without_the_line_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "exchange.jsonl"
    entry = '{"action":"place","account":"sim-a","side":"SELL","arrived_ns":%d}\n'
    path.write_text(entry % 1)
    log = ExchangeLog(path)
    mark = log.mark()
    with path.open("a") as file:
        file.write(entry % 2 + entry % 3 + '{"action":"place","account":"sim-b"')
    assert log.first_arrivals(mark, "SELL") == {"sim-a": 2}
    assert log.arrivals(mark, "SELL") == [2, 3]
    assert log.arrivals(0, "BUY") == []


def test_a_profile_of_the_worker_becomes_a_text_and_other_processes_are_not_profiled(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bench" / "profiled"), "BENCH_PROFILES": str(folder)}
    for script in ("worker.py", "other.py"):
        (tmp_path / script).write_text(ENDED_BY_A_SIGNAL)
        subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, check=False)
    (text,) = write_tops(folder)
    assert text.name.startswith("worker-")
    assert "(costly)" in text.read_text()
