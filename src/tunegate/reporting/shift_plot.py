"""A drawing of one shift of the data: its effect with the interval, and where a small and a large one begin.

Drawn on a root scale from 0 to 1, so that small shifts can be told apart. Equal input gives equal bytes.
"""

import math

from tunegate.data.diff.result import Shift
from tunegate.reporting.svg import Scale, svg

_WIDTH, _HEIGHT, _MIDDLE = 220.0, 26.0, 13.0


def shift_plot(shift: Shift) -> str:
    """The drawing; empty for a shift without numbers."""
    if shift.effect is None or shift.low is None or shift.high is None:
        return ""
    scale = Scale(0, 1, 6, _WIDTH - 6)
    low, middle, high, small, large = (
        scale(math.sqrt(min(1.0, max(0.0, value))))
        for value in (shift.low, shift.effect, shift.high, shift.small, shift.large)
    )
    parts = [
        f'<rect class="begins" x="{small:.1f}" y="3" width="{large - small:.1f}" height="{_HEIGHT - 6:.1f}"/>',
        f'<rect class="beyond" x="{large:.1f}" y="3" width="{_WIDTH - 6 - large:.1f}" height="{_HEIGHT - 6:.1f}"/>',
        f'<line class="grid" x1="6" x2="{_WIDTH - 6:.1f}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>',
        f'<line class="range" x1="{low:.1f}" x2="{max(high, low + 1):.1f}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>',
        f'<circle class="estimate" cx="{middle:.1f}" cy="{_MIDDLE}" r="4"/>',
    ]
    title = f"{shift.name}: {shift.effect:.2f}, interval {shift.low:.2f} to {shift.high:.2f}, {shift.verdict}"
    return svg("interval shift", _WIDTH, _HEIGHT, title, parts)
