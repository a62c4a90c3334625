"""The page of `tunegate runs compare --html`: the loss curves of several runs over each other, and their numbers.

One file without scripts; all text is escaped but our own drawing.
"""

from collections.abc import Sequence
from html import escape

from tunegate.evaluation.trajectory import Point
from tunegate.reporting.rendering import environment
from tunegate.reporting.svg import Scale, svg, ticks
from tunegate.tracking.comparison import Comparison

_WIDTH, _HEIGHT = 720.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 14.0, 12.0, 36.0
_HUES = (214, 22, 150, 285, 48, 340)


def render_runs(found: Comparison, courses: Sequence[Sequence[Point]]) -> str:
    """The page's HTML; `courses` are the trajectories of the runs."""
    template = environment().get_template("runs.html.j2")
    return str(template.render(found=found, plot=loss_curves(found, courses), colour=colour_of, shown=_shown))


def loss_curves(found: Comparison, courses: Sequence[Sequence[Point]]) -> str:
    """Training loss as a thin line and validation loss with dots, over the steps, in one colour per run."""
    points = [point for course in courses for point in course]
    x = Scale(0, max([1.0, *(point["step"] for point in points)]), _LEFT, _WIDTH - _RIGHT)
    marks = ticks(0, max((value for point in points for value in _losses(point)), default=1.0), 5)
    y = Scale(0, marks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
        for mark in marks
    ]
    for step in ticks(0, x.high, 6):
        if step <= x.high:
            parts.append(f'<text x="{x(step):.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{step:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 3}" text-anchor="middle">optimizer step</text>')
    for number, (record, course) in enumerate(zip(found.runs, courses, strict=True)):
        colour = colour_of(number)
        for column, more in (("loss", 'stroke-width="1" opacity=".45"'), ("valid_loss", 'stroke-width="2.2"')):
            drawn = [(x(point["step"]), y(point[column])) for point in course if column in point]
            place = " ".join(f"{a:.1f},{b:.1f}" for a, b in drawn)
            name = f"<title>{escape(record.id[:8])}: {column}</title>"
            parts.append(f'<polyline style="stroke:{colour}" {more} points="{place}">{name}</polyline>')
            if column == "valid_loss":
                parts += [f'<circle style="fill:{colour}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in drawn]
    return svg("curve", _WIDTH, _HEIGHT, f"loss curves of {len(courses)} runs", parts)


def colour_of(number: int) -> str:
    """The colour of a run, which can be seen on light and on dark paper."""
    return f"hsl({_HUES[number % len(_HUES)]} 72% 52%)"


def _losses(point: Point) -> list[float]:
    return [point[name] for name in ("loss", "valid_loss") if name in point]


def _shown(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value or "\N{EN DASH}"
