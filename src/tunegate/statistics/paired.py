"""The difference between two models on the same rows: bounds, p-values, sample sizes.

A difference is second - first model in the metric's own unit. A bound is the widest of three, because at most alpha of
the changes that are exactly as bad as a margin may pass it, also where few answers change and all changes are losses.
There the percentile bootstrap and the plain standard error claim far too much: both claim certainty when no answer
changed.

1. Student's t on clusters of rows (Miller, arXiv 2411.00640), for shares with two pseudo-clusters added, one all won
   and one all lost: the adjustment of Bonett and Price (2012) for paired proportions, carried over to clusters.
2. The studentised cluster bootstrap (Hall 1988) of the same: corrects for skewness, as where losses are rare.
3. For shares, the exact binomial bounds (Clopper and Pearson 1934) of rows lost and won, the other count taken as
   given, rows divided by the design effect. With no row changed it takes each cluster for one row.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

MOST_ROWS = 100_000
"""A difference that needs more rows than this lies at its margin, for all practical purposes."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """Rows won and lost, as counts of a binomial distribution."""

    lost: float
    won: float
    trials: float
    """Rows divided by the design effect, as `lost` and `won` are."""

    def reach(self, alpha: float) -> float:
        """How far below the measured difference its lower bound at level 1 - `alpha` lies (Clopper and Pearson)."""
        lost, won, n = self.lost, self.won, self.trials
        most_lost = float(special.betaincinv(lost + 1, n - lost, 1 - alpha)) if lost < n else 1.0
        least_won = float(special.betaincinv(won, n - won + 1, alpha)) if won > 0 else 0.0
        return max(most_lost - lost / n, won / n - least_won)

    def chance(self, gap: float) -> float:
        """Chance of so many losses, or so few gains, if the true difference is the measured one + `gap`."""
        lost, won, n = self.lost, self.won, self.trials
        losing = min(max(lost / n - gap, 0.0), 1.0)
        winning = min(max(won / n + gap, 0.0), 1.0)
        certain = float(gap <= 0)
        so_many = float(special.betainc(lost, n - lost + 1, losing)) if lost > 0 else certain
        so_few = float(special.betainc(n - won, won + 1, 1 - winning)) if won < n else certain
        return max(so_many, so_few)


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """A measured difference and its sampling distribution, as far as bounds and tests need it."""

    rows: int
    value: float
    """The difference as measured."""
    centre: float
    """The difference, with the pseudo-clusters."""
    error: float
    """Its standard error, with the pseudo-clusters."""
    freedom: int
    """Degrees of freedom of Student's t: clusters - 1."""
    roots: Floats
    """Sorted (centre - true difference) / error of the resamples."""
    variance: float
    """Of one row, without the pseudo-clusters: squared standard error times rows."""
    added: float
    """What the pseudo-clusters add to the squared standard error, times rows squared."""
    counts: Counts | None = None
    """For metrics that are shares, or made of shares."""

    def low(self, alpha: float) -> float:
        """Lower one-sided confidence bound at level 1 - `alpha`."""
        quantile = max(float(np.quantile(self.roots, 1 - alpha)), float(special.stdtrit(self.freedom, 1 - alpha)))
        bound = self.centre - quantile * self.error
        return bound if self.counts is None else max(-1.0, min(bound, self.value - self.counts.reach(alpha)))

    def high(self, alpha: float) -> float:
        """Upper one-sided confidence bound at level 1 - `alpha`."""
        return -self.mirrored().low(alpha)

    def p_not_below(self, bound: float) -> float:
        """p-value of the hypothesis that the true difference is `bound` or more: small if it is clearly less.

        The largest of the three methods' p-values.
        """
        if self.error == 0:
            return 0.0 if self.centre < bound else 1.0
        root = (self.centre - bound) / self.error
        chance = max(self._resampled(root), float(special.stdtr(self.freedom, root)))
        return chance if self.counts is None else max(chance, self.counts.chance(bound - self.value))

    def _resampled(self, root: float) -> float:
        """Share of the resamples, itself counted in, whose root is no larger.

        Where there is none, that share would be 1 / (resamples + 1) however far out `root` is, and after Holm's
        correction over hundreds of slices nothing could be refused. Beyond the farthest resample the tail is therefore
        Student's t, stretched to go through it: it goes on where the counted share ends, and is never below what t
        alone says where the resamples are more skewed than t. Together with t and the exact binomial, of which the
        largest counts, this stays conservative: far out in the tail the binomial is exact for independent rows.
        Resamples that are all alike (every row lost) say nothing: there the other two decide.
        """
        share = (1 + int(np.searchsorted(self.roots, root, side="right"))) / (1 + len(self.roots))
        farthest = float(self.roots[0])
        if root >= farthest:
            return share
        if farthest >= 0:
            return 0.0
        return float(special.stdtr(self.freedom, root / farthest * float(special.stdtrit(self.freedom, share))))

    def mirrored(self) -> "PairedDifference":
        """The same with the two models exchanged."""
        counts = self.counts
        return dataclasses.replace(
            self,
            value=-self.value,
            centre=-self.centre,
            roots=-self.roots[::-1],
            counts=counts and Counts(counts.won, counts.lost, counts.trials),
        )

    def needed_rows(self, gap: float, *, alpha: float, power: float) -> int | None:
        """Rows with which a true distance of `gap` from a margin is detected at `alpha` with probability `power`.

        n = (z_alpha + z_power)^2 variance / gap^2, where the variance includes the pseudo-clusters; rounded up to two
        digits. None above `MOST_ROWS`.
        """
        step = abs(gap) / float(special.ndtri(1 - alpha) + special.ndtri(power))
        least = (self.variance + math.sqrt(self.variance**2 + 4 * self.added * step**2)) / 2
        if least >= MOST_ROWS * step**2:
            return None
        return _two_digits(max(least / step**2, self.rows + 1))


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided p-value of McNemar's exact test: `fixed` of the rows that changed, if chance fixed and broke alike."""
    rarer = min(fixed, broken)
    return min(1.0, 2 * float(special.bdtr(rarer, fixed + broken, 0.5))) if fixed + broken else 1.0


def holm(chances: list[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the given order."""
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    corrected, highest = [0.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[i]))
        corrected[i] = highest
    return corrected


def _two_digits(value: float) -> int:
    step = int(10 ** max(0, math.floor(math.log10(value)) - 1))
    return math.ceil(value / step) * step
