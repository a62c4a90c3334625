"""The page of `tunegate preflight --html`, and its costs as words: one file that asks no host for anything.

Lays out what tunegate.preflight found; all text is escaped.
"""

from typing import TYPE_CHECKING

from tunegate.reporting.numbers import duration, size
from tunegate.reporting.rendering import environment

if TYPE_CHECKING:
    from tunegate.preflight.memory import Forecast
    from tunegate.preflight.run import Preflight

_TONES = {"ok": "better", "warning": "same", "refused": "worse", "skipped": "same"}
_MARKS = {"ok": "✓", "warning": "look", "refused": "✗ refused", "skipped": "skipped"}


def render_preflight(found: "Preflight") -> str:
    """The page's HTML."""
    template = environment().get_template("preflight.html.j2")
    costs = costs_of(found.forecast) if found.forecast else []
    return str(template.render(found=found, tones=_TONES, marks=_MARKS, costs=costs))


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
