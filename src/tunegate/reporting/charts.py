"""The report's plots as inline SVG: colours come from the page's style, so one drawing serves light and dark.

Equal input gives equal bytes: coordinates have one decimal, and nothing in a drawing is random or dated. Pure functions
over plain values; all text is escaped here.
"""

import collections
import math
from collections.abc import Sequence
from html import escape

from tunegate.evaluation.metrics import OTHER, Pair
from tunegate.evaluation.trajectory import Point

_WIDTH, _HEIGHT = 720.0, 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 12.0, 34.0
_CELL = 14.0
_CHARACTER = 5.6
_MAX_NAME = 34

MAX_CLASSES = 45
"""More classes than this do not fit on a page: the most confused ones are drawn."""


def loss_curve(points: Sequence[Point]) -> str:
    """Training loss (every step, and smoothed) and validation loss over the optimizer steps; empty without points."""
    if not points:
        return ""
    loss = [(point["step"], point["loss"]) for point in points]
    valid = [(point["step"], point["valid_loss"]) for point in points if "valid_loss" in point]
    steps = _ticks(0, max(step for step, _ in loss), 6)
    losses = _ticks(0, max(value for _, value in loss + valid), 5)
    x, y = _Scale(steps[-1], _LEFT, _WIDTH - _RIGHT), _Scale(losses[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(losses, y), _steps(steps, x)]
    parts.append(_line("raw", loss, x, y))
    parts.append(_line("train", _smooth(loss), x, y))
    if valid:
        parts.append(_line("valid", valid, x, y))
        parts += [f'<circle class="valid" cx="{x(s):.1f}" cy="{y(v):.1f}" r="3"/>' for s, v in valid]
    title = f"Loss from {loss[0][1]:.2f} at the first step to {loss[-1][1]:.2f} at the last"
    return _svg("curve", _WIDTH, _HEIGHT, title, parts)


def confusion_matrix(pairs: Sequence[Pair]) -> str:
    """References down, answers across; a cell's shade is its share of the reference's rows. Empty without pairs."""
    classes = drawn_classes(pairs)
    if not classes:
        return ""
    columns = [*classes, OTHER]
    counts = collections.Counter((pair.reference, pair.answer) for pair in pairs)
    totals = collections.Counter(pair.reference for pair in pairs)
    gutter = _CHARACTER * max(len(_name(name)) for name in columns) + 10
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
    return _svg("matrix", gutter + width + gutter * 0.6, head + height + 4, title, parts)


def drawn_classes(pairs: Sequence[Pair]) -> list[str]:
    """The classes of the matrix, sorted: all of them, or the `MAX_CLASSES` with the most mistakes."""
    names = sorted({pair.reference for pair in pairs})
    wrong = collections.Counter(pair.reference for pair in pairs if pair.answer != pair.reference)
    return sorted(sorted(names, key=lambda name: -wrong[name])[:MAX_CLASSES])


class _Scale:
    """From 0..`most` to pixels."""

    def __init__(self, most: float, start: float, end: float) -> None:
        self.most, self.start, self.end = most, start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * value / self.most


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to at least `high`."""
    raw = max(high - low, 1e-9) / about
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    return [low + step * n for n in range(math.ceil((high - low) / step - 1e-9) + 1)] if high > low else [low, low + 1]


def _smooth(points: Sequence[tuple[float, float]], weight: float = 0.8) -> list[tuple[float, float]]:
    """Exponential moving average, corrected for its start (as in Adam, arXiv 1412.6980, section 3)."""
    found, mean = [], 0.0
    for number, (step, value) in enumerate(points, 1):
        mean = weight * mean + (1 - weight) * value
        found.append((step, mean / (1 - weight**number)))
    return found


def _grid(values: Sequence[float], y: _Scale) -> str:
    lines = (
        f'<line class="grid" x1="{_LEFT:.1f}" x2="{_WIDTH - _RIGHT:.1f}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{_LEFT - 8:.1f}" y="{y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in values
    )
    return "".join(lines)


def _steps(values: Sequence[float], x: _Scale) -> str:
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    marks = (f'<text x="{x(v):.1f}" y="{_HEIGHT - 18:.1f}" text-anchor="middle">{v:g}</text>' for v in values)
    return "".join(marks) + f'<text x="{middle:.1f}" y="{_HEIGHT - 3:.1f}" text-anchor="middle">optimizer step</text>'


def _line(kind: str, points: Sequence[tuple[float, float]], x: _Scale, y: _Scale) -> str:
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
    return f'<text x="{gutter - 6:.1f}" y="{y + _CELL - 4:.1f}" text-anchor="end">{escape(_name(name))}</text>'


def _column_name(name: str, x: float, head: float) -> str:
    place = f"{x + _CELL / 2 + 3:.1f},{head - 4:.1f}"
    return f'<text transform="translate({place}) rotate(-55)">{escape(_name(name))}</text>'


def _name(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def _svg(kind: str, width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-label="{escape(title)}"'
        f' style="--natural:{width:.0f}px">{"".join(parts)}</svg>'
    )
