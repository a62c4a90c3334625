"""Effect sizes of the difference between two distributions, with intervals.

What is resampled is the pair of both sides: an id that neither side changed moves neither, so that equal data has no
shift at all, while an added row adds uncertainty. The interval is a bias-corrected percentile bootstrap (Efron and
Tibshirani 1993, chapter 10.6): distances are never below 0, and their mean over resamples of few rows is too high by
what that mean says.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Verdict = Literal["none", "small", "large", "too few rows to tell", "not computed"]
Floats = npt.NDArray[np.float64]

RESAMPLES = 400
LEAST = 20
"""Independent observations below which no effect is given."""
_SEED = 20261121
_CHUNK_CELLS = 4_000_000


class Effect(NamedTuple):
    """An effect size from 0 to 1 with its 95 % interval; None where there are too few observations."""

    value: float | None
    low: float | None
    high: float | None

    def verdict(self, small: float, large: float) -> Verdict:
        """None, small or large only where the whole interval lies on one side of the threshold.

        More rows narrow the interval and so decide what was open; they do not turn `none` into `small`.
        """
        if self.low is None or self.high is None:
            return "too few rows to tell"
        if self.high < small:
            return "none"
        if self.low >= large:
            return "large"
        return "small" if self.low >= small else "too few rows to tell"


UNKNOWN = Effect(None, None, None)


def effect_of_cells(
    sides: tuple[Floats, Floats], cells: Floats, observations: int, distance: Callable[[Floats, Floats], Floats]
) -> Effect:
    """The effect of a joint table: `cells[i]` rows were in category `sides[0][i]` and are in `sides[1][i]`; -1 is none.

    All three arrays have one entry per cell. `observations` is the number of independent ones among the rows: their
    groups. `distance` takes two arrays of shares (resamples x categories) and gives a number for each resample.
    """
    if observations < LEAST or not all((side >= 0).any() for side in sides):
        return UNKNOWN
    categories = int(max(side.max() for side in sides)) + 1
    before, after = (_indicator(side, categories) for side in sides)
    rng = np.random.default_rng(_SEED)
    share = cells / cells.sum()
    drawn = []
    for count in _chunks(RESAMPLES, max(len(cells), categories)):
        weights = rng.multinomial(observations, share, size=count).astype(np.float64)
        drawn.append(distance(shares(_counts(weights, before)), shares(_counts(weights, after))))
    measured = distance(shares(_counts(cells[None, :], before)), shares(_counts(cells[None, :], after)))
    return interval(float(measured[0]), np.concatenate(drawn))


def interval(measured: float, resampled: Floats) -> Effect:
    """The effect from its plug-in value and those of resamples; squared distances are corrected, as they add up."""
    bias = max(0.0, float(np.mean(resampled**2)) - measured**2)
    ends = np.quantile(np.sqrt(np.maximum(resampled**2 - 2 * bias, 0)), (0.025, 0.975))
    value = math.sqrt(max(measured**2 - bias, 0.0))
    # Rounded, so that the order of sums on another machine does not show.
    return Effect(round(value, 4), round(float(ends[0]), 4), round(float(ends[1]), 4))


def cohens_w(before: Floats, after: Floats) -> Floats:
    """Cohen's w (1988, chapter 7) of two sides of equal weight, 0 to 1; with two sides it is Cramer's V.

    Equal weights, so that it does not depend on how many rows a side has: half of Vincze's and Le Cam's distance.
    """
    total = before + after
    parts = np.divide((before - after) ** 2, total, out=np.zeros_like(total), where=total > 0)
    return _array(np.sqrt(parts.sum(axis=-1) / 2))


def cliffs_delta(before: Floats, after: Floats) -> Floats:
    """Cliff's delta (1993) without its sign, of shares in ordered categories: |P(more) - P(less)|."""
    below = np.cumsum(before, axis=-1) - before
    above = 1 - below - before
    return _array(np.abs((after * (below - above)).sum(axis=-1)))


def jensen_shannon(before: Floats, after: Floats) -> Floats:
    """The Jensen-Shannon distance: the root of the divergence (Lin 1991) in bits, 0 to 1."""
    middle = (before + after) / 2
    parts = sum(
        np.where(side > 0, side * np.log2(np.where(side > 0, side, 1) / np.where(middle > 0, middle, 1)), 0)
        for side in (before, after)
    )
    return _array(np.sqrt(np.maximum(np.asarray(parts).sum(axis=-1) / 2, 0)))


def _indicator(column: Floats, categories: int) -> Any:
    """Categories x cells, sparse: 500 values that each became each other are 250,000 cells."""
    from scipy.sparse import csr_matrix

    present = np.flatnonzero(column >= 0)
    places = (column[present].astype(np.int64), present)
    return csr_matrix((np.ones(len(present)), places), shape=(categories, len(column)))


def _counts(weights: Floats, indicator: Any) -> Floats:
    return _array((indicator @ weights.T).T)


def shares(counts: Floats) -> Floats:
    """Counts (... x categories) as shares of their sum; all 0 where that is 0."""
    total = counts.sum(axis=-1, keepdims=True)
    return _array(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0))


def _chunks(total: int, width: int) -> list[int]:
    size = max(1, min(total, _CHUNK_CELLS // max(width, 1)))
    return [min(size, total - start) for start in range(0, total, size)]


def _array(value: object) -> Floats:
    return np.asarray(value, dtype=np.float64)
