"""Each metric of both models on the same rows, with the distribution of their difference.

On the full sample the numbers are those of `tunegate.evaluation.metrics`. Does not know the policy.
"""

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from tunegate.gate.scores import Bools, Paired, Side
from tunegate.statistics.paired import PairedDifference
from tunegate.statistics.paired_bootstrap import (
    ClassAnswers,
    class_counts,
    macro_average,
    macro_differences,
    mean_difference,
)

MEANS = ("accuracy", "exact_match", "nll")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """One metric of two models."""

    rows: int
    clusters: int
    candidate: float
    baseline: float | None
    difference: PairedDifference | None
    """candidate - baseline; None without a baseline, and with fewer than two clusters."""
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
    results: dict[str, Estimate] = {}
    for kind, group in [*((name, [name]) for name in names if name in MEANS), ("macro", macros)]:
        if group:
            part = paired.select(rows_of(paired, group[0]))
            rng = np.random.default_rng([seed, zlib.crc32(f"{kind}/{salt}".encode())])
            results |= _estimated(part, group, resamples, rng)
    return results


def _estimated(part: Paired, names: Sequence[str], resamples: int, rng: np.random.Generator) -> dict[str, Estimate]:
    candidate, baseline = part.candidate, part.baseline
    clusters = len(np.unique(part.clusters))
    differences: dict[str, PairedDifference] = {}
    if baseline and clusters > 1:
        differences = _differences(part, baseline, names, resamples, rng)
    return {
        name: Estimate(
            rows=len(part.ids),
            clusters=clusters,
            candidate=_value(part, candidate, name),
            baseline=_value(part, baseline, name) if baseline else None,
            difference=differences.get(name),
            fixed=int((candidate.correct & ~baseline.correct).sum()) if baseline else 0,
            broken=int((baseline.correct & ~candidate.correct).sum()) if baseline else 0,
        )
        for name in names
    }


def _differences(
    part: Paired, baseline: Side, names: Sequence[str], resamples: int, rng: np.random.Generator
) -> dict[str, PairedDifference]:
    candidate, name = part.candidate, names[0]
    if name in MEANS:
        share = name != "nll"
        before, after = (side.correct.astype(np.float64) if share else side.nll for side in (baseline, candidate))
        return {name: mean_difference(before, after, part.clusters, share=share, resamples=resamples, rng=rng)}
    change = candidate.correct.astype(np.float64) - baseline.correct
    answers = ClassAnswers(part.references, baseline.answered, candidate.answered, change, len(part.classes))
    return macro_differences(answers, part.clusters, names, resamples=resamples, rng=rng)


def _value(part: Paired, side: Side, name: str) -> float:
    if name in MEANS:
        return float(np.mean(side.nll if name == "nll" else side.correct))
    return float(macro_average(class_counts(part.references, side.answered, len(part.classes)).sum(axis=0), name))
