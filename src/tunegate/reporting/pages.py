"""The smaller pages: data diff, preflight, compared runs. Each is one file without scripts.

All text is escaped but our own drawings.
"""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tunegate.reporting.numbers import difference, duration, size
from tunegate.reporting.rendering import environment
from tunegate.reporting.svg import Scale, svg, ticks
from tunegate.text import words

if TYPE_CHECKING:
    from tunegate.data.diff.result import DataDiff
    from tunegate.evaluation.trajectory import Point
    from tunegate.preflight.memory import Forecast
    from tunegate.preflight.run import Preflight
    from tunegate.tracking.comparison import Comparison

_TONES = {"ok": "better", "warning": "same", "refused": "worse", "skipped": "same"}
_MARKS = {"ok": "✓", "warning": "look", "refused": "✗ refused", "skipped": "skipped"}
_WIDTH, _HEIGHT = 720.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 18.0, 16.0, 40.0
_HUES = (214, 22, 150, 285, 48, 340)


def render_data_page(diff: "DataDiff") -> str:
    """The page of `tunegate data diff --html`."""
    from tunegate.reporting.data_changes import data_view

    template = environment().get_template("data_diff.html.j2")
    return str(template.render(data=data_view(diff), difference=difference, words=words, revision=_revision))


def render_preflight(preflight: "Preflight") -> str:
    """The page of `tunegate preflight --html`."""
    template = environment().get_template("preflight.html.j2")
    costs = costs_of(preflight.forecast) if preflight.forecast else []
    return str(template.render(preflight=preflight, tones=_TONES, marks=_MARKS, costs=costs))


def costs_of(forecast: "Forecast") -> list[tuple[str, str]]:
    """The forecast as rows of (name, value), the same on the terminal and on the page."""
    parts = ("weights", "gradients", "optimizer", "activations", "rest")
    return [
        *((name, size(getattr(forecast, name))) for name in parts),
        ("peak memory on this machine", size(forecast.peak)),
        ("on a GPU (not measured)", f"{size(forecast.gpu)}: {forecast.gpu_name}"),
        ("largest batch", f"{forecast.largest_batch:,} tokens"),
        ("work", f"{forecast.steps:,} steps, {forecast.tokens:,} tokens"),
        ("time on this machine", f"{duration(forecast.seconds)} at {forecast.tokens_per_second:,.0f} tokens/s"),
    ]


def render_runs(comparison: "Comparison", trajectories: "Sequence[Sequence[Point]]") -> str:
    """The page of `tunegate runs compare --html`; `trajectories` are those of the runs."""
    plot = loss_curves(comparison, trajectories)
    template = environment().get_template("runs.html.j2")
    return str(template.render(comparison=comparison, plot=plot, colour=colour_of, shown=_shown))


def loss_curves(comparison: "Comparison", trajectories: "Sequence[Sequence[Point]]") -> str:
    """Training loss as a thin line and validation loss with dots, over the steps, in one colour per run."""
    points = [point for trajectory in trajectories for point in trajectory]
    losses = [point[name] for point in points for name in ("loss", "valid_loss") if name in point]
    x = Scale(0, max([1.0, *(point["step"] for point in points)]), _LEFT, _WIDTH - _RIGHT)
    marks = ticks(0, max(losses, default=1.0), 5)
    y = Scale(0, marks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid_line(y(mark), f"{mark:g}") for mark in marks]
    parts += [_below(x(step), 18, f"{step:g}") for step in ticks(0, x.high, 6) if step <= x.high]
    parts.append(_below((_LEFT + _WIDTH - _RIGHT) / 2, 3, "optimizer step"))
    for number, (record, trajectory) in enumerate(zip(comparison.runs, trajectories, strict=True)):
        colour = colour_of(number)
        for column, style in (("loss", 'stroke-width="1" opacity=".45"'), ("valid_loss", 'stroke-width="2.2"')):
            drawn = [(x(point["step"]), y(point[column])) for point in trajectory if column in point]
            place = " ".join(f"{a:.1f},{b:.1f}" for a, b in drawn)
            title = f"<title>{escape(record.id[:8])}: {column}</title>"
            parts.append(f'<polyline style="stroke:{colour}" {style} points="{place}">{title}</polyline>')
            if column == "valid_loss":
                parts += [f'<circle style="fill:{colour}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in drawn]
    return svg("curve", _WIDTH, _HEIGHT, f"loss curves of {len(trajectories)} runs", parts)


def colour_of(number: int) -> str:
    """The colour of a run, visible on light and on dark paper."""
    return f"hsl({_HUES[number % len(_HUES)]} 72% 52%)"


def _grid_line(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _below(x: float, above_edge: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{_HEIGHT - above_edge}" text-anchor="middle">{text}</text>'


def _revision(name: str) -> str:
    return name if " " in name else name[:12]


def _shown(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value or "\N{EN DASH}"
