"""Every line that can be measured, in the order of the table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench import api, buys, killed_worker, listener, one_run, running, stop, stops, streams
from bench.result import Measured
from bench.stack import Options


@dataclass(frozen=True, slots=True)
class Line:
    """`count`: how many of what the title names, unless the person chooses."""

    name: str
    title: str
    count: int
    measure: Callable[[Options], Awaitable[Measured]]


LINES = (
    Line("stop", "one stop after the other", 200, stop.measure),
    Line("stops", "stops on one tick", 1_000, stops.measure),
    Line("buys", "buys at one instant", 1_000, buys.measure),
    Line("killed-worker", "exits amid which the only worker is killed", 300, killed_worker.measure),
    Line("waiting", "running strategies that wait for their buy time", 10_000, running.measure_waiting),
    Line("holding", "running strategies that hold shares", 1_000, running.measure_holding),
    Line("listener", "frames of a thousand ticks", 200, listener.measure),
    Line("api", "requests of status", 3_000, api.measure),
    Line("streams", "live streams open in one process", 1_000, streams.measure),
    Line("one-run", "whole runs, counted", 20, one_run.measure),
)


def line_named(name: str) -> Line:
    """Raises KeyError."""
    return {line.name: line for line in LINES}[name]
