"""The reports' plots as inline SVG: loss curves, confusion matrix, intervals of differences, shifts of the data.

Equal input gives equal bytes: nothing in a drawing is random or dated. All text is escaped here.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence
from html import escape

from tunegate.data.diff.result import Shift
from tunegate.evaluation.metrics import OTHER, Pair
from tunegate.evaluation.trajectory import Point
from tunegate.reporting.svg import Scale, short_name, svg, ticks

_WIDTH, _HEIGHT = 720.0, 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 12.0, 34.0
_CELL = 14.0
_CHARACTER = 5.6
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_MIDDLE, _SHIFT_HEIGHT = 220.0, 40.0, 14.0, 26.0

MAX_CLASSES = 45
"""More classes than this do not fit on a page: the most confused ones are drawn."""

Curve = list[tuple[float, float]]


def loss_curve(points: Sequence[Point], before: Sequence[Point] = ()) -> str:
    """Training loss (every step, and smoothed) and validation loss over the optimizer steps; empty without points.

    `before` is another training, drawn behind it: smoothed and validation only.
    """
    if not points:
        return ""
    loss, valid = _curve(points, "loss"), _curve(points, "valid_loss")
    old, old_valid = _curve(before, "loss"), _curve(before, "valid_loss")
    every = [*loss, *valid, *old, *old_valid]
    steps = ticks(0, max(step for step, _ in every), 6)
    losses = ticks(0, max(value for _, value in every), 5)
    x, y = Scale(0, steps[-1], _LEFT, _WIDTH - _RIGHT), Scale(0, losses[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(losses, y), _steps(steps, x)]
    if old:
        parts += [_line("before", _smooth(old), x, y), *_marked("valid before", old_valid, x, y)]
    parts += [_line("raw", loss, x, y), _line("train", _smooth(loss), x, y), *_marked("valid", valid, x, y)]
    title = f"Loss from {loss[0][1]:.2f} at the first step to {loss[-1][1]:.2f} at the last"
    title += f"; before from {old[0][1]:.2f} to {old[-1][1]:.2f}" if old else ""
    return svg("curve", _WIDTH, _HEIGHT, title, parts)


def confusion_matrix(pairs: Sequence[Pair]) -> str:
    """References down, answers across; a cell's shade is its share of the reference's rows. Empty without pairs."""
    classes = drawn_classes(pairs)
    if not classes:
        return ""
    columns = [*classes, OTHER]
    counts = collections.Counter((pair.reference, pair.answer) for pair in pairs)
    totals = collections.Counter(pair.reference for pair in pairs)
    gutter = _CHARACTER * max(len(short_name(name)) for name in columns) + 10
    head = gutter * 0.8 + 4
    parts = [_row_name(name, gutter, head + _CELL * i) for i, name in enumerate(classes)]
    parts += [_column_name(name, gutter + _CELL * i, head) for i, name in enumerate(columns)]
    width, height = _CELL * len(columns), _CELL * len(classes)
    parts.append(f'<rect class="frame" x="{gutter:.1f}" y="{head:.1f}" width="{width:.1f}" height="{height:.1f}"/>')
    for i, reference in enumerate(classes):
        for j, answer in enumerate(columns):
            if count := counts[reference, answer]:
                place = (gutter + _CELL * j, head + _CELL * i)
                parts.append(_cell(place, reference, answer, count, totals[reference]))
    title = f"Confusion matrix of {len(classes)} classes"
    return svg("matrix", gutter + width + gutter * 0.6, head + height + 4, title, parts)


def drawn_classes(pairs: Sequence[Pair]) -> list[str]:
    """The classes of the matrix, sorted: all of them, or the `MAX_CLASSES` with the most mistakes."""
    names = sorted({pair.reference for pair in pairs})
    wrong = collections.Counter(pair.reference for pair in pairs if pair.answer != pair.reference)
    return sorted(sorted(names, key=lambda name: -wrong[name])[:MAX_CLASSES])


@dataclasses.dataclass(frozen=True)
class Interval:
    """A difference with its bounds, turned so that larger is better."""

    difference: float
    low: float
    high: float
    limit: float | None
    """The largest accepted loss, as a negative number or 0; None where nothing is asked."""

    @property
    def reach(self) -> float:
        """How far from 0 anything of it lies."""
        return max(abs(self.low), abs(self.high), abs(self.difference), abs(self.limit or 0.0))


def interval_plot(interval: Interval, reach: float, title: str, limit_name: str) -> str:
    """A bar from bound to bound with the estimate on it, over a line at 0 and one at the limit, from -reach to reach.

    What lies left of the limit is shaded. `limit_name` is written under the limit's line.
    """
    x = Scale(-reach, reach, 8, _PLOT_WIDTH - 8)
    low, high, middle = x(interval.low), x(interval.high), x(interval.difference)
    parts = []
    if interval.limit is not None:
        at = x(interval.limit)
        parts.append(f'<rect class="beyond" x="0" y="2" width="{at:.1f}" height="24"/>')
        parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="26"/>')
        parts.append(f'<text x="{at:.1f}" y="38" text-anchor="{_anchor(at)}">{escape(limit_name)}</text>')
    parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="26"/>')
    if interval.limit is None or abs(x(0) - x(interval.limit)) > 34:
        parts.append(f'<text x="{x(0):.1f}" y="38" text-anchor="middle">0</text>')
    parts.append(f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{_PLOT_MIDDLE}" y2="{_PLOT_MIDDLE}"/>')
    for end in (low, high):
        parts.append(f'<line class="range end" x1="{end:.1f}" x2="{end:.1f}" y1="9" y2="19"/>')
    parts.append(f'<circle class="estimate" cx="{middle:.1f}" cy="{_PLOT_MIDDLE}" r="4.5"/>')
    return svg("interval", _PLOT_WIDTH, _PLOT_HEIGHT, title, parts)


def shift_plot(shift: Shift) -> str:
    """A shift of the data with its interval, and where a small and a large one begin; empty without numbers.

    On a root scale from 0 to 1, so that small shifts can be told apart.
    """
    if shift.effect is None or shift.low is None or shift.high is None:
        return ""
    scale = Scale(0, 1, 6, _PLOT_WIDTH - 6)
    low, middle, high, small, large = (
        scale(math.sqrt(min(1.0, max(0.0, value))))
        for value in (shift.low, shift.effect, shift.high, shift.small, shift.large)
    )
    middle_y, height = _SHIFT_HEIGHT / 2, _SHIFT_HEIGHT - 6
    parts = [
        f'<rect class="begins" x="{small:.1f}" y="3" width="{large - small:.1f}" height="{height:.1f}"/>',
        f'<rect class="beyond" x="{large:.1f}" y="3" width="{_PLOT_WIDTH - 6 - large:.1f}" height="{height:.1f}"/>',
        f'<line class="grid" x1="6" x2="{_PLOT_WIDTH - 6:.1f}" y1="{middle_y}" y2="{middle_y}"/>',
        f'<line class="range" x1="{low:.1f}" x2="{max(high, low + 1):.1f}" y1="{middle_y}" y2="{middle_y}"/>',
        f'<circle class="estimate" cx="{middle:.1f}" cy="{middle_y}" r="4"/>',
    ]
    title = f"{shift.name}: {shift.effect:.2f}, interval {shift.low:.2f} to {shift.high:.2f}, {shift.verdict}"
    return svg("interval shift", _PLOT_WIDTH, _SHIFT_HEIGHT, title, parts)


def _anchor(at: float) -> str:
    return "start" if at < 24 else "middle"


def _curve(points: Sequence[Point], column: str) -> Curve:
    return [(point["step"], point[column]) for point in points if column in point]


def _smooth(points: Curve, weight: float = 0.8) -> Curve:
    """Exponential moving average, corrected for its start (as in Adam, arXiv 1412.6980, section 3)."""
    smoothed, mean = [], 0.0
    for number, (step, value) in enumerate(points, 1):
        mean = weight * mean + (1 - weight) * value
        smoothed.append((step, mean / (1 - weight**number)))
    return smoothed


def _grid(values: Sequence[float], y: Scale) -> str:
    lines = (
        f'<line class="grid" x1="{_LEFT:.1f}" x2="{_WIDTH - _RIGHT:.1f}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{_LEFT - 8:.1f}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in values
    )
    return "".join(lines)


def _steps(values: Sequence[float], x: Scale) -> str:
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    marks = (f'<text x="{x(v):.1f}" y="{_HEIGHT - 18:.1f}" text-anchor="middle">{v:g}</text>' for v in values)
    return "".join(marks) + f'<text x="{middle:.1f}" y="{_HEIGHT - 3:.1f}" text-anchor="middle">optimizer step</text>'


def _marked(kind: str, points: Curve, x: Scale, y: Scale) -> list[str]:
    if not points:
        return []
    marks = [f'<circle class="{kind}" cx="{x(s):.1f}" cy="{y(v):.1f}" r="3"/>' for s, v in points]
    return [_line(kind, points, x, y), *marks]


def _line(kind: str, points: Curve, x: Scale, y: Scale) -> str:
    place = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
    return f'<polyline class="{kind}" points="{place}"/>'


def _cell(place: tuple[float, float], reference: str, answer: str, count: int, total: int) -> str:
    kind = "right" if reference == answer else "wrong"
    share = 0.2 + 0.8 * count / total
    return (
        f'<rect class="{kind}" x="{place[0] + 0.5:.1f}" y="{place[1] + 0.5:.1f}" width="{_CELL - 1:.1f}"'
        f' height="{_CELL - 1:.1f}" opacity="{share:.2f}">'
        f"<title>{escape(reference)} answered as {escape(answer)}: {count} of {total}</title></rect>"
    )


def _row_name(name: str, gutter: float, y: float) -> str:
    return f'<text x="{gutter - 6:.1f}" y="{y + _CELL - 4:.1f}" text-anchor="end">{escape(short_name(name))}</text>'


def _column_name(name: str, x: float, head: float) -> str:
    place = f"{x + _CELL / 2 + 3:.1f},{head - 4:.1f}"
    return f'<text transform="translate({place}) rotate(-55)">{escape(short_name(name))}</text>'
