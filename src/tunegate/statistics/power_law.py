"""Error by amount of data: error(n) = a * n^-b + c, fitted, resampled, and continued to twice the rows.

The form is that of Hestness et al., arXiv 1712.00409. `a` may be negative: a recipe that gets worse with more rows must
be able to show it, or "more rows help" would come out by chance every second time. For a given b the least squares are
linear, so b goes through a grid and every resample is solved at once; nothing is random but the seeded resampling.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunegate.statistics.bootstrap import cluster_sums, resampled_sums

Floats = npt.NDArray[np.float64]

LEAST_POINTS = 3
RESAMPLES = 2000
_EXPONENTS = np.geomspace(0.05, 2.0, 60)
_SEED = 7


@dataclasses.dataclass(frozen=True)
class Fit:
    """What the curve is, and how sure it is: bounds hold for 95 of 100 test sets like this one."""

    a: float
    """Of n in units of the largest amount measured: the error that more rows would take away, in the end."""
    b: float
    c: float
    """The error that no amount of rows takes away."""
    errors: list[float]
    """Mean error at every amount, and its bounds."""
    lows: list[float]
    highs: list[float]
    gain: float
    """How much the error falls from the largest amount to twice as much, and its bounds."""
    gain_low: float
    gain_high: float

    def error(self, multiple: float) -> float:
        """The fitted error at `multiple` times the largest amount."""
        return self.c + self.a * float(multiple**-self.b)


def fit(rows: Sequence[int], errors: Floats, groups: Sequence[str], *, most: float | None) -> Fit:
    """Fit the mean of `errors` (test rows x amounts) by `rows`, the amounts in ascending order.

    `groups` are drawn together; `most` is the largest possible error, None where there is none.
    """
    clusters = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)
    table = cluster_sums(np.column_stack([errors, np.ones(len(errors))]), clusters)
    sums = np.concatenate(list(resampled_sums(table, RESAMPLES, np.random.default_rng(_SEED))))
    resampled = sums[:, :-1] / sums[:, -1:]
    amounts = np.asarray(rows, dtype=np.float64) / rows[-1]
    a, b, c = (float(value[0]) for value in _solved(amounts, errors.mean(axis=0)[None, :], most))
    again = _solved(amounts, resampled, most)
    gains = again[0] * (1 - 2.0 ** -again[1])
    gain_low, gain_high = np.quantile(gains, (0.025, 0.975)).tolist()
    lows, highs = np.quantile(resampled, (0.025, 0.975), axis=0).tolist()
    return Fit(a, b, c, errors.mean(axis=0).tolist(), lows, highs, a * (1 - 2**-b), gain_low, gain_high)


def _solved(amounts: Floats, errors: Floats, most: float | None) -> tuple[Floats, Floats, Floats]:
    """a, b and c with the least squares for every row of `errors` (resamples x amounts)."""
    best = (np.zeros(len(errors)), np.zeros(len(errors)), np.zeros(len(errors)))
    least = np.full(len(errors), np.inf)
    for exponent in _EXPONENTS:
        x = amounts**-exponent
        centred = x - x.mean()
        a = errors @ centred / (centred @ centred)
        floor = errors.mean(axis=1) - a * x.mean()
        c = np.clip(floor, 0.0, most)
        a = np.where(c == floor, a, (errors - c[:, None]) @ x / (x @ x))
        squares = ((errors - c[:, None] - a[:, None] * x) ** 2).sum(axis=1)
        better = squares < least - 1e-15
        least = np.where(better, squares, least)
        best = (np.where(better, a, best[0]), np.where(better, exponent, best[1]), np.where(better, c, best[2]))
    return best
