"""How far two samples of rows are apart: their word frequencies, and whether a classifier can tell them apart.

Rows come in groups, which are resampled whole: rows of a group are not independent. Groups are integers from 0.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tunegate.statistics.effect_sizes import LEAST, RESAMPLES, UNKNOWN, Effect, Floats, interval, jensen_shannon, shares

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FOLDS = 5
_SEED = 20261121
_CHUNK = 50


def frequency_effect(before: Any, after: Any, groups: Ints) -> Effect:
    """The Jensen-Shannon distance between the word frequencies of two samples, with its bootstrap interval.

    `before` and `after` are sparse counts (rows x words) of the same rows; a row that a side lacks is all zeros.
    """
    if groups.max() + 1 < LEAST:
        return UNKNOWN
    sides = (before, after)
    measured = jensen_shannon(*(shares(np.asarray(side.sum(axis=0), dtype=np.float64)) for side in sides))
    drawn = [
        jensen_shannon(*(shares(np.asarray((side.T @ weights[:, groups].T).T)) for side in sides))
        for weights in _group_weights(groups)
    ]
    return interval(float(measured[0]), np.concatenate(drawn))


def classifier_effect(features: Any, is_after: Bools, groups: Ints) -> Effect:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017) as an effect size: 2 AUC - 1, not below 0.

    `features` is sparse (rows x features), `is_after` says which sample a row is of. A linear classifier scores only
    rows whose group it was not trained on.
    """
    samples = (~is_after, is_after)
    if min(len(np.unique(groups[sample])) for sample in samples) < LEAST:
        return UNKNOWN
    scores = np.round(_held_out_scores(features, is_after, groups), 9)
    levels, rank = np.unique(scores, return_inverse=True)
    ranks, members = [rank[sample] for sample in samples], [groups[sample] for sample in samples]
    whole = np.ones((1, int(groups.max()) + 1))
    measured = float(_superiority(ranks, members, whole, len(levels))[0])
    drawn = np.concatenate([_superiority(ranks, members, weights, len(levels)) for weights in _group_weights(groups)])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Effect(*(round(max(0.0, float(value)), 4) for value in (measured, low, high)))


def _held_out_scores(features: Any, is_after: Bools, groups: Ints) -> Floats:
    from sklearn.linear_model import LogisticRegression

    fold = np.array([zlib.crc32(str(group).encode()) for group in groups.tolist()]) % _FOLDS
    scores = np.zeros(len(groups))
    for number in range(_FOLDS):
        train, test = fold != number, fold == number
        if test.any() and len(np.unique(is_after[train])) == 2:
            model = LogisticRegression(solver="liblinear", class_weight="balanced")
            scores[test] = model.fit(features[train], is_after[train]).decision_function(features[test])
    return scores


def _superiority(ranks: list[Ints], groups: list[Ints], weights: Floats, levels: int) -> Floats:
    """P(second sample's score is higher) - P(first's is), for each row of `weights` (resamples x groups)."""
    from scipy.sparse import csr_matrix

    parts = []
    for rank, group in zip(ranks, groups, strict=True):
        table = csr_matrix((np.ones(len(rank)), (rank, np.arange(len(rank)))), shape=(levels, len(rank)))
        parts.append(shares((table @ weights[:, group].T).T))
    below = np.cumsum(parts[0], axis=1) - parts[0]
    return np.asarray((parts[1] * (2 * below + parts[0] - 1)).sum(axis=1), dtype=np.float64)


def _group_weights(groups: Ints) -> Iterator[Floats]:
    """How often each group is drawn, chunk by chunk: resamples x groups."""
    count = int(groups.max()) + 1
    rng = np.random.default_rng(_SEED)
    for _ in range(RESAMPLES // _CHUNK):
        yield rng.multinomial(count, np.full(count, 1 / count), size=_CHUNK).astype(np.float64)
