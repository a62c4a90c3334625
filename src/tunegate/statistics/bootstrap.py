"""The cluster bootstrap: sums over resampled clusters, many at once and in bounded memory.

A metric that is made of sums over rows needs, per resample, only the sums of its columns; those are one matrix product
of the resample's weights and the clusters' sums. Knows neither metrics nor bounds.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELLS = 2_000_000
"""Weights held at once; with their random numbers some 50 MB."""

_EXACT = 2**24
"""Whole numbers up to this are exact in single precision, which multiplies twice as fast."""

_FEW = 16
"""Clusters per distinct cluster from which a multinomial draw is cheaper than drawing clusters one by one."""


def cluster_sums(values: Floats, clusters: Ints) -> Floats:
    """Sums of `values` (rows x columns) within each cluster that occurs; clusters in ascending order."""
    numbers, position = np.unique(clusters, return_inverse=True)
    columns = [np.bincount(position, weights=column, minlength=len(numbers)) for column in values.T]
    return np.stack(columns, axis=1)


def resampled_sums(table: Floats, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Column sums of as many clusters drawn with replacement as `table` (clusters x columns) has, in chunks.

    Equal clusters are drawn together, which is the same distribution: binary scores of thousands of clusters have only
    a handful of distinct ones. Sorting them also makes the result independent of the order of the rows.
    """
    distinct, counts = np.unique(table, axis=0, return_counts=True)
    total, few = len(table), len(distinct) * _FEW <= len(table)
    if not few:
        distinct, counts = np.repeat(distinct, counts, axis=0), np.ones(total, dtype=np.int64)
    size = max(1, CELLS // len(distinct))
    whole = bool((distinct == np.rint(distinct)).all()) and total * float(np.abs(distinct).max()) < _EXACT
    factor = distinct.astype(np.float32 if whole else np.float64)
    for start in range(0, resamples, size):
        chunk = min(size, resamples - start)
        weights = rng.multinomial(total, counts / total, size=chunk) if few else _drawn(total, chunk, rng)
        yield np.asarray(weights.astype(factor.dtype) @ factor, dtype=np.float64)


def _drawn(total: int, chunk: int, rng: np.random.Generator) -> Ints:
    """How often each of `total` clusters occurs in each of `chunk` resamples."""
    drawn = rng.integers(0, total, size=(chunk, total), dtype=np.int64)
    drawn += np.arange(chunk, dtype=np.int64)[:, None] * total
    return np.bincount(drawn.ravel(), minlength=chunk * total).reshape(chunk, total)
