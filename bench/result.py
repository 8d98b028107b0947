"""What a measurement hands back, and its form on disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Self

from bench.summary import Summary


class Statistic(str, Enum):
    P50 = "p50"
    P99 = "p99"
    LEAST = "least"
    MOST = "most"


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: that figure is at most (or at least) so much, in the unit of its row."""

    statistic: Statistic
    limit: float
    at_least: bool = False

    def met_by(self, summary: Summary) -> bool:
        value = float(getattr(summary, self.statistic.value))
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        word = {Statistic.LEAST: "min", Statistic.MOST: "max"}.get(self.statistic, self.statistic.value)
        return f"{word} {'≥' if self.at_least else '≤'} {self.limit:,.10g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: every value that was measured. `remark` says under which circumstances."""

    work: str
    unit: str
    values: tuple[float, ...]
    targets: tuple[Target, ...] = ()
    remark: str = ""

    @property
    def summary(self) -> Summary:
        return Summary.of(self.values)


@dataclass(frozen=True, slots=True)
class Point:
    """What it cost to have so many strategies running; part of a curve. A figure is named `measure, unit: part`."""

    strategies: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. `facts` are single figures with their unit in the name; `problems` say why it cannot be trusted."""

    rows: tuple[Row, ...]
    facts: Mapping[str, float | str] = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A measurement with everything needed to compare it: when, of which code, on which machine, by which command."""

    line: str
    title: str
    command: str
    made_at: str
    revision: str
    machine: Mapping[str, float | str]
    measured: Measured

    def write(self, folder: Path) -> Path:
        """As `<line>.json`: the newest result of each line is what tables and plots are made of."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.line}.json"
        content = asdict(self)
        for stored, row in zip(content["measured"]["rows"], self.measured.rows, strict=True):
            stored["summary"] = asdict(row.summary)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises OSError, ValueError, KeyError for what `write` has not written."""
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        measured = content.pop("measured")
        return cls(**content, measured=_measured(measured))


def _measured(stored: dict[str, Any]) -> Measured:
    return Measured(
        rows=tuple(_row(row) for row in stored["rows"]),
        facts=stored["facts"],
        curve=tuple(Point(point["strategies"], point["figures"]) for point in stored["curve"]),
        problems=tuple(stored["problems"]),
    )


def _row(stored: dict[str, Any]) -> Row:
    targets = tuple(Target(Statistic(each["statistic"]), each["limit"], each["at_least"]) for each in stored["targets"])
    return Row(stored["work"], stored["unit"], tuple(stored["values"]), targets, stored["remark"])
