"""Each metric of both models on the same rows, with the evidence on their difference.

Means (accuracy, exact match, NLL) are ratios of sums over clusters; macro averages are computed for both models on the
same resamples. On the full sample the numbers are those of `tunegate.evaluation.metrics`. Does not know the policy.
"""

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from tunegate.gate.scores import Bools, Floats, Ints, Paired, Side
from tunegate.statistics.bootstrap import cluster_sums, resampled_sums
from tunegate.statistics.paired import Counts, Evidence

MEANS = ("accuracy", "exact_match", "nll")

_FARTHEST = 100.0
"""Standard errors that a difference counts as in a resample that has no spread at all."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One metric of two models."""

    rows: int
    clusters: int
    candidate: float
    baseline: float | None
    evidence: Evidence | None
    """None without a baseline, and with fewer than two clusters."""
    fixed: int
    """Rows that only the candidate answers correctly."""
    broken: int
    """Rows that only the baseline answers correctly."""


def rows_of(paired: Paired, name: str) -> Bools:
    """The rows that metric `name` counts: those with a label, those without, or all."""
    if name == "nll":
        return np.ones_like(paired.labelled)
    return ~paired.labelled if name == "exact_match" else paired.labelled


def estimate(paired: Paired, name: str, *, resamples: int, seed: int, salt: str = "") -> Estimate:
    """Metric `name` on `paired`, which must have a row that it counts."""
    return estimates(paired, [name], resamples=resamples, seed=seed, salt=salt)[name]


def estimates(
    paired: Paired, names: Sequence[str], *, resamples: int, seed: int, salt: str = ""
) -> dict[str, Estimate]:
    """Each metric of `names` on `paired`; those that are made of class counts share the sums of their resamples.

    The resamples depend on `seed`, the kind of metric and `salt` alone: another metric does not move this one.
    """
    macros = [name for name in names if name not in MEANS]
    found: dict[str, Estimate] = {}
    for kind, alike in [*((name, [name]) for name in names if name in MEANS), ("macro", macros)]:
        if alike:
            part = paired.select(rows_of(paired, alike[0]))
            rng = np.random.default_rng([seed, zlib.crc32(f"{kind}/{salt}".encode())])
            found |= _estimated(part, alike, resamples, rng)
    return found


def _estimated(part: Paired, names: Sequence[str], resamples: int, rng: np.random.Generator) -> dict[str, Estimate]:
    own, other = part.candidate, part.baseline
    clusters = len(np.unique(part.clusters))
    evidence: dict[str, Evidence] = {}
    if other and clusters > 1:
        mean = names[0] in MEANS
        evidence = {names[0]: _mean(part, names[0], resamples, rng)} if mean else _macros(part, names, resamples, rng)
    return {
        name: Estimate(
            rows=len(part.ids),
            clusters=clusters,
            candidate=_value(part, own, name),
            baseline=_value(part, other, name) if other else None,
            evidence=evidence.get(name),
            fixed=int((own.correct & ~other.correct).sum()) if other else 0,
            broken=int((other.correct & ~own.correct).sum()) if other else 0,
        )
        for name in names
    }


def macro_of(sums: Floats, name: str) -> Floats:
    """A macro average from class counts: per class (last axis) its references, its hits, and its answers.

    Shape (..., 3 x classes) to (...). Averages over the classes that occur among the references; 0 where a class was
    never answered (scikit-learn's `zero_division=0`).
    """
    support, hits, answers = np.split(sums, 3, axis=-1)
    whole = {"macro_recall": support, "macro_precision": answers, "macro_f1": (support + answers) / 2}[name]
    scores = np.divide(hits, whole, out=np.zeros_like(hits), where=whole > 0)
    present = support > 0
    total: Floats = (scores * present).sum(axis=-1) / present.sum(axis=-1)
    return total


def _value(part: Paired, side: Side, name: str) -> float:
    if name in MEANS:
        return float(np.mean(side.nll if name == "nll" else side.correct))
    return float(macro_of(_class_counts(part, side).sum(axis=0), name))


def _class_counts(part: Paired, side: Side) -> Floats:
    """Rows x (3 x classes): reference, hit and answer as ones and zeros."""
    classes = np.arange(len(part.classes))
    references = part.references[:, None] == classes
    answers = side.answered[:, None] == classes
    return np.concatenate([references, references & answers, answers], axis=1).astype(np.float64)


def _mean(part: Paired, name: str, resamples: int, rng: np.random.Generator) -> Evidence:
    """The studentised cluster bootstrap of a ratio of sums, linearised (Cochran 1977, chapter 6).

    A share has its two made-up clusters in every resample. An NLL has no largest value to make clusters of: its
    standard error counts the farthest cluster three times instead, which holds for skewed losses on 50 clusters.
    """
    assert part.baseline
    share = name != "nll"
    before, after = (np.float64(s.correct) if share else s.nll for s in (part.baseline, part.candidate))
    change = np.asarray(after - before, dtype=np.float64)
    won, size = cluster_sums(np.stack([change, np.ones_like(change)], axis=1), part.clusters).T
    rows, clusters, total = len(change), len(size), float(won.sum())
    made = _typical(size) if share else 0.0  # rows of each of the two made-up clusters
    centre = total / (rows + 2 * made)
    rest = won - centre * size
    spread = float(rest @ rest) + 2 * made**2 * (1 + centre**2)
    count = clusters + (2 if share else 0)
    error = float(np.sqrt(spread * count / (count - 1))) / (rows + 2 * made)
    roots = np.zeros(resamples)
    if error > 0:
        table = np.stack([rest, size, rest * rest, rest * size, size * size], axis=1)
        sums = np.concatenate(list(resampled_sums(table, resamples, rng))).T
        # The made-up clusters are in every resample and so do not vary: without this the roots are too narrow.
        narrowed = np.sqrt(spread / max(float(rest @ rest), spread / 4))
        roots = np.sort(narrowed * _roots(sums, made=made, centre=centre, count=count, error=error))
    made_up = 2 * made**2 if share else 2 * float(np.abs(rest).max()) ** 2
    return Evidence(
        rows=rows,
        difference=total / rows,
        centre=centre,
        error=error if share else float(np.hypot(error, np.sqrt(made_up) / rows)),
        freedom=clusters - 1,
        roots=roots,
        variance=float(rest @ rest) / rows,
        made_up=made_up,
        counts=_counts(part, 1.0) if share else None,
    )


def _roots(sums: Floats, *, made: float, centre: float, count: int, error: float) -> Floats:
    """Studentised differences of resamples, from the sums that `_mean` tabulates; each with both made-up clusters."""
    rest, size, rest2, cross, size2 = sums
    rows = size + 2 * made
    shift = (rest - 2 * made * centre) / rows
    spread = rest2 - 2 * shift * cross + shift**2 * size2 + 2 * made**2 * (1 + (centre + shift) ** 2)
    errors = np.sqrt(np.maximum(spread, 0) * count / (count - 1)) / rows
    roots: Floats = shift / np.maximum(errors, error / _FARTHEST)
    return roots


def _macros(part: Paired, names: Sequence[str], resamples: int, rng: np.random.Generator) -> dict[str, Evidence]:
    """The cluster bootstrap of metrics of class counts, both models on the same resamples."""
    assert part.baseline
    counts = [_class_counts(part, side) for side in (part.candidate, part.baseline)]
    width = counts[0].shape[1]
    table = cluster_sums(np.concatenate(counts, axis=1), part.clusters)

    def differences(sums: Floats, name: str) -> Floats:
        return macro_of(sums[:, :width], name) - macro_of(sums[:, width:], name)

    found: dict[str, list[Floats]] = {name: [] for name in names}
    for sums in resampled_sums(table, resamples, rng):
        for name in names:
            found[name].append(differences(sums, name))
    whole = table.sum(axis=0, keepdims=True)
    return {
        name: _macro(part, float(differences(whole, name)[0]), np.concatenate(chunks), len(table))
        for name, chunks in found.items()
    }


def _macro(part: Paired, difference: float, found: Floats, clusters: int) -> Evidence:
    """The evidence on a macro average, from its differences in the resamples.

    A row of a rare class moves a macro average more than others; two made-up clusters of average classes are counted
    in, as for shares. `roots` give the percentile bound, centred, wherever it is the wider one.
    """
    rows = len(part.ids)
    support = np.bincount(part.references, minlength=len(part.classes))
    support = support[support > 0]
    weight = rows * float((1 / support).sum()) / len(support) ** 2  # mean square of a row's weight; 1 if classes equal
    made_up = 2 * _typical(np.bincount(part.clusters)) ** 2 * weight
    variance = float(found.var()) * clusters / (clusters - 1) * rows
    return Evidence(
        rows=rows,
        difference=difference,
        centre=difference,
        error=float(np.sqrt(variance / rows + made_up / rows**2)),
        freedom=clusters - 1,
        roots=np.sort((found.mean() - found) / max(float(found.std()), np.finfo(float).tiny)),
        variance=variance,
        made_up=made_up,
        counts=_counts(part, weight),
    )


def _counts(part: Paired, weight: float) -> Counts:
    """Rows won and lost, divided by the design effect (of the data with both made-up clusters) and by `weight`."""
    assert part.baseline
    change = part.candidate.correct.astype(np.float64) - part.baseline.correct
    won, size = cluster_sums(np.stack([change, np.ones_like(change)], axis=1), part.clusters).T
    made, mean = _typical(size), float(change.mean())
    rest = won - mean * size
    clustered = float(rest @ rest) + 2 * made**2 * (1 + mean**2)
    single = float(((change - mean) ** 2).sum()) + 2 * made * (1 + mean**2)
    fewer = max(1.0, clustered / single) * weight
    return Counts(float((change < 0).sum()) / fewer, float((change > 0).sum()) / fewer, len(change) / fewer)


def _typical(size: Floats | Ints) -> float:
    """Rows of the cluster that a row is in, on average."""
    return float((size.astype(np.float64) ** 2).sum() / size.sum())
