"""Plots as SVG, written by hand: a few lines, two axes, no library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.result import Point, Row

WIDTH, HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 310, 40, 50
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_DASHES = ("none", "6 3", "2 2")
_MOST_STEPS = 300
Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From the first to the last value, straight or by powers of ten."""

    title: str
    first: float
    last: float
    by_powers: bool = False

    def share(self, value: float) -> float:
        """Where on the axis a value lies, 0 to 1."""
        first, last, at = (math.log10(each) if self.by_powers else each for each in (self.first, self.last, value))
        return (at - first) / (last - first)

    def marks(self) -> list[float]:
        if self.by_powers:
            return [10.0**power for power in range(round(math.log10(self.first)), round(math.log10(self.last)) + 1)]
        return [self.first + (self.last - self.first) * step / 5 for step in range(6)]


def powers_around(title: str, values: Sequence[float]) -> Axis:
    """Whole powers of ten around positive values. Raises ValueError if there are none."""
    positive = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return Axis(title, 10.0**low, 10.0 ** max(high, low + 1), by_powers=True)


def distribution_plot(rows: Sequence[Row]) -> str:
    """Share of the orders that were there after so many milliseconds, one line per row measured in ms."""
    shown = {row.work: sorted(row.values) for row in rows if row.unit == "ms" and len(row.values) > 1 and row.values}
    across = powers_around("milliseconds", [value for values in shown.values() for value in values])
    lines = {work: _cumulative(values, least=across.first) for work, values in shown.items()}
    return draw("How late, for which share of them", lines, across=across, up=Axis("percent", 0, 100))


def _cumulative(ordered: Sequence[float], *, least: float) -> Pairs:
    step = max(1, len(ordered) // _MOST_STEPS)
    ranks = [*range(0, len(ordered), step), len(ordered) - 1]
    return [(max(ordered[rank], least), 100 * (rank + 1) / len(ordered)) for rank in ranks]


def cost_plots(points: Sequence[Point]) -> dict[str, str]:
    """By measure: its figures against the number of running strategies, one line per part."""
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for point in points:
        for name, value in point.figures.items():
            measure, _, part = name.partition(": ")
            lines.setdefault(measure, {}).setdefault(part, []).append((float(point.strategies), value))
    across = powers_around("running strategies", [float(point.strategies) for point in points])
    return {measure: _cost_plot(measure, parts, across) for measure, parts in lines.items()}


def _cost_plot(measure: str, parts: Mapping[str, Pairs], across: Axis) -> str:
    most = max(value for pairs in parts.values() for _, value in pairs)
    return draw(measure, parts, across=across, up=Axis(measure, 0, _round_up(most or 1.0)), dots=True)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def draw(title: str, lines: Mapping[str, Pairs], *, across: Axis, up: Axis, dots: bool = False) -> str:
    """An SVG document. Every line is named beside the plot; colours follow their order."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        *_grid(across, up),
    ]
    for number, (name, pairs) in enumerate(lines.items()):
        look = _look(number)
        places = [(_x(across, at), _y(up, value)) for at, value in pairs]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" {look}/>')
        if dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_colour(number)}"/>' for x, y in places]
        parts += _name(name, number, look)
    return "\n".join([*parts, "</svg>", ""])


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - _BOTTOM - axis.share(value) * (HEIGHT - _TOP - _BOTTOM)


def _grid(across: Axis, up: Axis) -> list[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = []
    for mark in across.marks():
        x = _x(across, mark)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{mark:,.10g}</text>')
    for mark in up.marks():
        y = _y(up, mark)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:,.4g}</text>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across.title)}</text>')
    return parts


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _look(number: int) -> str:
    """Colours come round again with other dashes, so that no two lines look the same."""
    dashes = _DASHES[number // len(_COLOURS) % len(_DASHES)]
    return f'stroke="{_colour(number)}" stroke-width="2" stroke-dasharray="{dashes}"'


def _name(name: str, number: int, look: str) -> list[str]:
    x, y = WIDTH - _RIGHT + 14, _TOP + 12 + number * 20
    return [
        f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" {look}/>',
        f'<text x="{x + 30}" y="{y}" font-size="11">{escape(name)}</text>',
    ]
