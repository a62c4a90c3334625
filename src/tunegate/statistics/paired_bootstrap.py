"""The difference of a metric between two models on the same rows, resampled by clusters.

Means are ratios of sums over clusters; macro averages are computed for both models on the same resamples. Two
pseudo-clusters, one all won and one all lost, are added to shares (`tunegate.statistics.paired` says why). Arrays have
one entry per row: `clusters` are integers, rows with equal ones are one observation; `before` and `after` are what the
two models got.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunegate.statistics.bootstrap import cluster_sums, resampled_sums
from tunegate.statistics.paired import Counts, PairedDifference

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FARTHEST = 100.0
"""Standard errors that a difference counts as in a resample that has no spread at all."""


def mean_difference(
    before: Floats, after: Floats, clusters: Ints, *, share: bool, resamples: int, rng: np.random.Generator
) -> PairedDifference:
    """The studentised cluster bootstrap of a ratio of sums, linearised (Cochran 1977, chapter 6).

    A `share` (values 0 and 1) has its two pseudo-clusters in every resample. A loss has no largest value to make
    clusters of: its standard error counts the farthest cluster three times instead, which holds for skewed losses on
    50 clusters. `clusters` must have two different values or more.
    """
    change = np.asarray(after - before, dtype=np.float64)
    won, size = cluster_sums(np.stack([change, np.ones_like(change)], axis=1), clusters).T
    rows, total = len(change), float(won.sum())
    pseudo = _typical_size(size) if share else 0.0  # rows of each of the two pseudo-clusters
    centre = total / (rows + 2 * pseudo)
    rest = won - centre * size
    spread = float(rest @ rest) + 2 * pseudo**2 * (1 + centre**2)
    count = len(size) + (2 if share else 0)
    error = float(np.sqrt(spread * count / (count - 1))) / (rows + 2 * pseudo)
    roots = np.zeros(resamples)
    if error > 0:
        table = np.stack([rest, size, rest * rest, rest * size, size * size], axis=1)
        sums = np.concatenate(list(resampled_sums(table, resamples, rng))).T
        # The pseudo-clusters are in every resample and so do not vary: without this the roots are too narrow.
        narrowed = np.sqrt(spread / max(float(rest @ rest), spread / 4))
        roots = np.sort(narrowed * _roots(sums, pseudo=pseudo, centre=centre, count=count, error=error))
    added = 2 * pseudo**2 if share else 2 * float(np.abs(rest).max()) ** 2
    return PairedDifference(
        rows=rows,
        value=total / rows,
        centre=centre,
        error=error if share else float(np.hypot(error, np.sqrt(added) / rows)),
        freedom=len(size) - 1,
        roots=roots,
        variance=float(rest @ rest) / rows,
        added=added,
        counts=_counts(change, clusters, 1.0) if share else None,
    )


@dataclasses.dataclass(frozen=True)
class ClassAnswers:
    """What two models answered to rows with a class; one entry per row."""

    references: Ints
    """The right class, from 0."""
    before: Ints
    """The first model's class, -1 for none."""
    after: Ints
    """The second model's."""
    change: Floats
    """+1 where only the second model is right, -1 where only the first is, else 0."""
    classes: int
    """How many classes there are."""


def macro_differences(
    rows: ClassAnswers, clusters: Ints, names: Sequence[str], *, resamples: int, rng: np.random.Generator
) -> dict[str, PairedDifference]:
    """The cluster bootstrap of the macro averages `names`, both models on the same resamples."""
    before, after = (class_counts(rows.references, side, rows.classes) for side in (rows.before, rows.after))
    width = before.shape[1]
    table = cluster_sums(np.concatenate([after, before], axis=1), clusters)

    def differences(sums: Floats, name: str) -> Floats:
        return macro_average(sums[:, :width], name) - macro_average(sums[:, width:], name)

    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for sums in resampled_sums(table, resamples, rng):
        for name in names:
            drawn[name].append(differences(sums, name))
    whole = table.sum(axis=0, keepdims=True)
    support = np.bincount(rows.references)
    support = support[support > 0]
    return {
        name: _macro(float(differences(whole, name)[0]), np.concatenate(chunks), support, rows.change, clusters)
        for name, chunks in drawn.items()
    }


def class_counts(references: Ints, answered: Ints, classes: int) -> Floats:
    """Rows x (3 x classes): reference, hit and answer of each class as ones and zeros."""
    numbers = np.arange(classes)
    referred, given = references[:, None] == numbers, answered[:, None] == numbers
    return np.concatenate([referred, referred & given, given], axis=1).astype(np.float64)


def macro_average(sums: Floats, name: str) -> Floats:
    """`macro_recall`, `macro_precision` or `macro_f1` from sums of `class_counts`: (..., 3 x classes) to (...).

    Averages over the classes that occur among the references; 0 where a class was never answered (scikit-learn's
    `zero_division=0`).
    """
    support, hits, answers = np.split(sums, 3, axis=-1)
    whole = {"macro_recall": support, "macro_precision": answers, "macro_f1": (support + answers) / 2}[name]
    scores = np.divide(hits, whole, out=np.zeros_like(hits), where=whole > 0)
    present = support > 0
    total: Floats = (scores * present).sum(axis=-1) / present.sum(axis=-1)
    return total


def _roots(sums: Floats, *, pseudo: float, centre: float, count: int, error: float) -> Floats:
    """Studentised differences of resamples, from the sums that `mean_difference` tabulates, pseudo-clusters in each."""
    rest, size, rest2, cross, size2 = sums
    rows = size + 2 * pseudo
    shift = (rest - 2 * pseudo * centre) / rows
    spread = rest2 - 2 * shift * cross + shift**2 * size2 + 2 * pseudo**2 * (1 + (centre + shift) ** 2)
    errors = np.sqrt(np.maximum(spread, 0) * count / (count - 1)) / rows
    roots: Floats = shift / np.maximum(errors, error / _FARTHEST)
    return roots


def _macro(value: float, drawn: Floats, support: Ints, change: Floats, clusters: Ints) -> PairedDifference:
    """The distribution of a macro average, from its differences in the resamples.

    A row of a rare class moves a macro average more than others; two pseudo-clusters of average classes are counted
    in, as for shares. `roots` give the percentile bound, centred, wherever it is the wider one.
    """
    rows, sizes = len(change), np.bincount(clusters)
    count = int((sizes > 0).sum())
    weight = rows * float((1 / support).sum()) / len(support) ** 2  # mean square of a row's weight; 1 if classes equal
    added = 2 * _typical_size(sizes) ** 2 * weight
    variance = float(drawn.var()) * count / (count - 1) * rows
    return PairedDifference(
        rows=rows,
        value=value,
        centre=value,
        error=float(np.sqrt(variance / rows + added / rows**2)),
        freedom=count - 1,
        roots=np.sort((drawn.mean() - drawn) / max(float(drawn.std()), np.finfo(float).tiny)),
        variance=variance,
        added=added,
        counts=_counts(change, clusters, weight),
    )


def _counts(change: Floats, clusters: Ints, weight: float) -> Counts:
    """Rows won and lost, divided by the design effect (of the data with both pseudo-clusters) and by `weight`."""
    won, size = cluster_sums(np.stack([change, np.ones_like(change)], axis=1), clusters).T
    pseudo, mean = _typical_size(size), float(change.mean())
    rest = won - mean * size
    clustered = float(rest @ rest) + 2 * pseudo**2 * (1 + mean**2)
    single = float(((change - mean) ** 2).sum()) + 2 * pseudo * (1 + mean**2)
    fewer = max(1.0, clustered / single) * weight
    return Counts(float((change < 0).sum()) / fewer, float((change > 0).sum()) / fewer, len(change) / fewer)


def _typical_size(size: Floats | Ints) -> float:
    """Rows of the cluster that a row is in, on average."""
    return float((size.astype(np.float64) ** 2).sum() / size.sum())
