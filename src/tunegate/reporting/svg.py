"""What every drawing of a report is made of: scales, round ticks, the frame. Callers escape text.

Colours come from the page's style, so one drawing serves light and dark. Equal input gives equal bytes: coordinates
have one decimal.
"""

import dataclasses
import math
from collections.abc import Sequence
from html import escape

from tunegate.text import short

_MAX_NAME = 34


@dataclasses.dataclass(frozen=True)
class Scale:
    """From `low`..`high` to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where `value` lies."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to at least `high`."""
    raw = max(high - low, 1e-9) / about
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    return [low + step * n for n in range(math.ceil((high - low) / step - 1e-9) + 1)] if high > low else [low, low + 1]


def short_name(name: str) -> str:
    """A name that fits beside a drawing."""
    return short(name, _MAX_NAME)


def svg(kind: str, width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """The drawing; `title` is what a screen reader says of it."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-label="{escape(title)}"'
        f' style="--natural:{width:.0f}px">{"".join(parts)}</svg>'
    )
