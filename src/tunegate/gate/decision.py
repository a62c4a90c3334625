"""What the policy makes of each metric and each slice: pass, refused or inconclusive, with one sentence why.

A metric passes if the bound of its loss is within the margin, is refused if even the bound of its gain is not, or if
its value breaks the floor, and is inconclusive otherwise; too few rows never pass. Does not weigh metrics against each
other: `tunegate.gate.judgement` does.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from tunegate.errors import InputError
from tunegate.gate import wording
from tunegate.gate.estimates import Estimate, estimate, estimates, rows_of
from tunegate.gate.policy import FILE, Cluster, MetricPolicy, Policy
from tunegate.gate.scores import Paired
from tunegate.gate.verdict import McNemar, MetricResult, Outcome, SliceResult
from tunegate.statistics.paired import PairedDifference, holm, mcnemar

_BINARY = ("accuracy", "exact_match")
_DIGITS = 6
_ACTIONS: dict[str, Literal["refused", "warning"]] = {"refuse": "refused", "warn": "warning"}


@dataclasses.dataclass(frozen=True)
class _Decision:
    outcome: Outcome
    why: str
    needed: int | None = None


@dataclasses.dataclass(frozen=True)
class _SliceEstimate:
    """The primary metric on the rows with one value of a slice; `p` is None where there are too few to test."""

    name: str
    value: str
    estimate: Estimate
    p: float | None


def decide_metrics(
    paired: Paired,
    policy: Policy,
    *,
    unchanged: bool = False,
    seeds: Mapping[str, float] | None = None,
    resamples: int | None = None,
) -> list[MetricResult]:
    """One result per metric of the policy, in its order; each with its own alpha, cluster and least number of rows.

    `unchanged`: the candidate is the baseline, and every metric passes. `seeds`: the standard deviation of each metric
    between training seeds, where recorded. `resamples`: for simulations, which may take fewer than a policy can. Raises
    InputError for a metric that the test rows cannot have.
    """
    estimated = _estimates(paired, policy, resamples or policy.resamples)
    floors = any(metric.floor is not None for metric in policy.metrics.values() if metric.role != "info")
    results = []
    for name, metric in policy.metrics.items():
        own = policy.of(name)
        decision = _Decision("pass", "unchanged")
        if not unchanged:
            decision = _decide_metric(name, metric, estimated[name], own, floors=floors)
        results.append(_metric_result(name, metric, estimated[name], own, decision, (seeds or {}).get(name)))
    return results


def decide_slices(paired: Paired, policy: Policy, *, resamples: int | None = None) -> list[SliceResult]:
    """The primary metric in every value of the policy's slices; none without a baseline.

    A slice is refused (or warned of) if it is significantly worse than its margin, after Holm's correction: slices are
    small, and one that merely cannot be proven good would stop every change. Raises InputError for a slice that no test
    row has.
    """
    if paired.baseline is None:
        return []
    policy = policy.of(policy.primary)
    parts = list(_slice_estimates(paired.clustered(policy.cluster), policy, resamples or policy.resamples))
    corrected = iter(holm([part.p for part in parts if part.p is not None]))
    return [_slice_result(part, None if part.p is None else next(corrected), policy) for part in parts]


def _estimates(paired: Paired, policy: Policy, resamples: int) -> dict[str, Estimate]:
    """Every metric in its own clusters."""
    names: dict[Cluster, list[str]] = {}
    for name in policy.metrics:
        _require(paired, name)
        names.setdefault(policy.of(name).cluster, []).append(name)
    by_name: dict[str, Estimate] = {}
    for cluster, group in names.items():
        by_name |= estimates(paired.clustered(cluster), group, resamples=resamples, seed=policy.seed)
    return by_name


def _require(paired: Paired, name: str) -> None:
    if not rows_of(paired, name).any():
        kind = "free text (no label)" if name == "exact_match" else "labelled"
        remedy = f"drop it from {FILE}, or give the test set such rows"
        raise InputError(
            f"no test row is {kind}, so there is no {name}", place=f"{FILE}: metrics.{name}", remedy=remedy
        )


def _decide_metric(name: str, metric: MetricPolicy, estimated: Estimate, policy: Policy, *, floors: bool) -> _Decision:
    if metric.role == "info":
        return _Decision("pass", "shown for information")
    sign = 1 if metric.direction == "higher" else -1
    if metric.floor is not None and sign * (estimated.candidate - metric.floor) < 0:
        return _Decision("refused", wording.below_floor(name, metric.floor))
    if estimated.baseline is None:
        return _decide_first(metric, estimated, policy, floors=floors)
    return _decide_difference(name, metric, estimated, _turned(estimated.difference, sign), policy)


def _decide_difference(
    name: str, metric: MetricPolicy, estimated: Estimate, good: PairedDifference | None, policy: Policy
) -> _Decision:
    """`good` is the difference, turned such that more is better."""
    if good and good.high(policy.alpha) < -metric.margin:
        return _Decision("refused", f"worse by more than the margin of {wording.size(name, metric.margin)}")
    needed = _needed(estimated, good, metric.margin, policy)
    if _too_few(estimated, policy):
        return _Decision("inconclusive", wording.too_few(estimated, policy, needed), needed)
    low = good.low(policy.alpha) if good else None
    if low is not None and low > -metric.margin:
        return _Decision("pass", wording.passed(name, metric, better=low > 0))
    worst = None if low is None else -low
    return _Decision("inconclusive", wording.undecided(name, metric, worst, needed, estimated.rows), needed)


def _decide_first(metric: MetricPolicy, estimated: Estimate, policy: Policy, *, floors: bool) -> _Decision:
    """Without a baseline floors decide; where no deciding metric has one, there is nothing to pass."""
    if not floors:
        return _Decision("inconclusive", "inconclusive: no baseline to compare with and no metric with a floor")
    if _too_few(estimated, policy):
        least = _least(estimated, policy)
        return _Decision("inconclusive", wording.too_few(estimated, policy, least), least)
    return _Decision("pass", "no baseline yet, " + ("no floor" if metric.floor is None else "the floor holds"))


def _turned(difference: PairedDifference | None, sign: int) -> PairedDifference | None:
    """The difference such that more is better."""
    return difference.mirrored() if difference and sign < 0 else difference


def _too_few(estimated: Estimate, policy: Policy) -> bool:
    return estimated.rows < policy.min_rows or estimated.clusters < policy.min_clusters


def _least(estimated: Estimate, policy: Policy) -> int:
    """Rows that the policy's minimum of rows and clusters needs, with clusters as large as these."""
    return max(policy.min_rows, math.ceil(policy.min_clusters * estimated.rows / estimated.clusters))


def _needed(estimated: Estimate, good: PairedDifference | None, margin: float, policy: Policy) -> int | None:
    if good is None:
        return _least(estimated, policy)
    needed = good.needed_rows(good.value + margin, alpha=policy.alpha, power=policy.power)
    return max(needed, _least(estimated, policy)) if needed is not None else None


def _metric_result(
    name: str, metric: MetricPolicy, estimated: Estimate, policy: Policy, decision: _Decision, deviation: float | None
) -> MetricResult:
    low, high = wording.bounds(estimated, policy) if estimated.difference else (None, None)
    binary = name in _BINARY and estimated.baseline is not None
    test = McNemar(
        fixed=estimated.fixed, broken=estimated.broken, p=_rounded(mcnemar(estimated.fixed, estimated.broken))
    )
    sentence = f"{wording.comparison(name, estimated, policy)}: {decision.why}"
    return MetricResult(
        name=name,
        role=metric.role,
        direction=metric.direction,
        margin=metric.margin,
        floor=metric.floor,
        candidate=_rounded(estimated.candidate),
        baseline=_rounded_or_none(estimated.baseline),
        difference=None if estimated.baseline is None else _rounded(estimated.candidate - estimated.baseline),
        low=_rounded_or_none(low),
        high=_rounded_or_none(high),
        outcome=decision.outcome,
        too_few=_too_few(estimated, policy) and metric.role != "info",
        alpha=policy.alpha,
        needed_rows=decision.needed,
        mcnemar=test if binary else None,
        seed_deviation=_rounded_or_none(deviation),
        sentence=sentence if deviation is None else f"{sentence}; {wording.seeds(name, deviation)}",
    )


def _slice_estimates(paired: Paired, policy: Policy, resamples: int) -> Iterator[_SliceEstimate]:
    primary, rules = policy.primary, policy.slices
    sign = 1 if policy.metrics[primary].direction == "higher" else -1
    counted = rows_of(paired, primary)
    for name in rules.by:
        values = paired.slices.get(name, [])
        if not any(value is not None for value in values):
            names = ", ".join(sorted(paired.slices)) or "none"
            remedy = f"the test rows have: {names}"
            raise InputError(f"no test row has the slice {name!r}", place=f"{FILE}: slices.by", remedy=remedy)
        for value in sorted({v for v, counts in zip(values, counted, strict=True) if v is not None and counts}):
            chosen = np.array([v == value for v in values], dtype=np.bool_)
            salt = f"{name}={value}"
            estimated = estimate(paired.select(chosen), primary, resamples=resamples, seed=policy.seed, salt=salt)
            good = _turned(estimated.difference, sign)
            tested = good is not None and estimated.rows >= rules.min_rows
            yield _SliceEstimate(name, value, estimated, good.p_not_below(-rules.margin) if good and tested else None)


def _slice_result(part: _SliceEstimate, p: float | None, policy: Policy) -> SliceResult:
    estimated, primary = part.estimate, policy.primary
    assert estimated.baseline is not None
    low, high = wording.bounds(estimated, policy) if p is not None else (None, None)
    bad = p is not None and p <= policy.alpha
    margin = wording.size(primary, policy.slices.margin)
    why = f"worse by more than the slices' margin of {margin}" if bad else "not significantly worse than its margin"
    if p is None:
        why = f"too few rows to test ({estimated.rows})"
    return SliceResult(
        slice=part.name,
        value=part.value,
        rows=estimated.rows,
        candidate=_rounded(estimated.candidate),
        baseline=_rounded(estimated.baseline),
        difference=_rounded(estimated.candidate - estimated.baseline),
        low=_rounded_or_none(low),
        high=_rounded_or_none(high),
        p=_rounded_or_none(p),
        outcome="untested" if p is None else "pass" if not bad else _ACTIONS[policy.slices.action],
        sentence=f"{part.name} {part.value}: {wording.comparison(primary, estimated, policy)}: {why}",
    )


def _rounded_or_none(number: float | None) -> float | None:
    return None if number is None else _rounded(number)


def _rounded(number: float) -> float:
    return round(float(number), _DIGITS) + 0.0
