"""The page of `tunegate curve`: the error by amount of training data, as one file without scripts.

Draws the fitted curve, goes on to four times the rows, and says in words what it means. All text is escaped.
"""

import math

from tunegate.experiments.curve import Curve
from tunegate.reporting.rendering import environment
from tunegate.reporting.svg import Scale, svg, ticks

_WIDTH, _HEIGHT = 720.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 18.0, 16.0, 40.0
_BEYOND = 4


def render_curve(curve: Curve) -> str:
    """The page's HTML."""
    template = environment().get_template("curve.html.j2")
    return str(template.render(curve=curve, fit=curve.fit, plot=curve_plot(curve), rows=_rows(curve)))


def curve_plot(curve: Curve) -> str:
    """The measured errors with their intervals, the fit through them, and where it goes; rows on a log scale."""
    fit, largest = curve.fit, curve.rows[-1]
    x = Scale(math.log(curve.rows[0]), math.log(largest * _BEYOND), _LEFT + 14, _WIDTH - _RIGHT - 14)
    inside = _fitted(curve, curve.rows[0] / largest, 1.0)
    beyond = _fitted(curve, 1.0, float(_BEYOND))
    values = [*fit.lows, *fit.highs, *(error for _, error in (*inside, *beyond))]
    marks = ticks(max(0.0, min(values) - 0.02), max(values), 5)
    y = Scale(marks[0], marks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:.3g}</text>'
        for mark in marks
    ]
    for rows in (*curve.rows, 2 * largest, 4 * largest):
        parts.append(f'<text x="{x(math.log(rows)):.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{rows:,}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 4}" text-anchor="middle">training rows</text>')
    for kind, points in (("fit", inside), ("beyond", beyond)):
        place = " ".join(f"{x(math.log(largest * m)):.1f},{y(error):.1f}" for m, error in points)
        parts.append(f'<polyline class="{kind}" points="{place}"/>')
    for rows, error, low, high in zip(curve.rows, fit.errors, fit.lows, fit.highs, strict=True):
        at = x(math.log(rows))
        parts.append(f'<line class="range" x1="{at:.1f}" x2="{at:.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>')
        told = f"<title>{rows:,} rows: {error:.4f} ({low:.4f} to {high:.4f})</title>"
        parts.append(f'<circle class="estimate" cx="{at:.1f}" cy="{y(error):.1f}" r="4.5">{told}</circle>')
    return svg("amount", _WIDTH, _HEIGHT, f"Error by training rows. {curve.sentence}", parts)


def _fitted(curve: Curve, start: float, end: float) -> list[tuple[float, float]]:
    steps = [start * (end / start) ** (step / 40) for step in range(41)]
    return [(multiple, max(0.0, curve.fit.error(multiple))) for multiple in steps]


def _rows(curve: Curve) -> list[tuple[str, ...]]:
    fit = curve.fit
    return [
        (f"{100 * share:g} %", f"{rows:,}", f"{error:.4f}", f"{low:.4f} to {high:.4f}")
        for share, rows, error, low, high in zip(curve.shares, curve.rows, fit.errors, fit.lows, fit.highs, strict=True)
    ]
