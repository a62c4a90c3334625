"""What the policy makes of each metric and each slice: pass, refused or inconclusive, with one sentence why.

A metric passes if the bound of its loss is within the margin, is refused if even the bound of its gain is not, or if
its value breaks the floor, and is inconclusive otherwise; too few rows never pass. Takes `Paired`, opens nothing, and
does not weigh metrics against each other: `tunegate.gate.judgement` does.
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
from tunegate.statistics.paired import Evidence, holm, mcnemar

_BINARY = ("accuracy", "exact_match")
_DIGITS = 6
_ACTIONS: dict[str, Literal["refused", "warning"]] = {"refuse": "refused", "warn": "warning"}


@dataclasses.dataclass(frozen=True)
class _Ruling:
    outcome: Outcome
    why: str
    needed: int | None = None


@dataclasses.dataclass(frozen=True)
class _Part:
    """A slice's value, with the evidence in the metric's good direction."""

    name: str
    value: str
    found: Estimate
    p: float | None


def decide_metrics(
    paired: Paired, policy: Policy, *, seeds: Mapping[str, float] | None = None, resamples: int | None = None
) -> list[MetricResult]:
    """One result per metric of the policy, in its order; each with its own alpha, cluster and least number of rows.

    `seeds`: the standard deviation of each metric between training seeds, where recorded. `resamples`: for simulations,
    which may take fewer than a policy can. Raises InputError for a metric that the test rows cannot have.
    """
    found = _estimates(paired, policy, resamples or policy.resamples)
    floors = any(metric.floor is not None for metric in policy.metrics.values() if metric.role != "info")
    results = []
    for name, metric in policy.metrics.items():
        own = policy.of(name)
        ruling = _of_metric(name, metric, found[name], own, floors=floors)
        results.append(_result(name, metric, found[name], own, ruling, (seeds or {}).get(name)))
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
    parts = list(_parts(paired.clustered(policy.cluster), policy, resamples or policy.resamples))
    corrected = iter(holm([part.p for part in parts if part.p is not None]))
    return [_of_slice(part, None if part.p is None else next(corrected), policy) for part in parts]


def _estimates(paired: Paired, policy: Policy, resamples: int) -> dict[str, Estimate]:
    """Every metric in its own clusters."""
    names: dict[Cluster, list[str]] = {}
    for name in policy.metrics:
        _require(paired, name)
        names.setdefault(policy.of(name).cluster, []).append(name)
    found: dict[str, Estimate] = {}
    for cluster, alike in names.items():
        found |= estimates(paired.clustered(cluster), alike, resamples=resamples, seed=policy.seed)
    return found


def _require(paired: Paired, name: str) -> None:
    if not rows_of(paired, name).any():
        kind = "free text (no label)" if name == "exact_match" else "labelled"
        remedy = f"drop it from {FILE}, or give the test set such rows"
        raise InputError(
            f"no test row is {kind}, so there is no {name}", place=f"{FILE}: metrics.{name}", remedy=remedy
        )


def _of_metric(name: str, metric: MetricPolicy, found: Estimate, policy: Policy, *, floors: bool) -> _Ruling:
    if metric.role == "info":
        return _Ruling("pass", "shown for information")
    sign = 1 if metric.direction == "higher" else -1
    if metric.floor is not None and sign * (found.candidate - metric.floor) < 0:
        return _Ruling("refused", wording.below_floor(name, metric.floor))
    if found.baseline is None:
        return _of_first(metric, found, policy, floors=floors)
    return _of_difference(name, metric, found, _good(found.evidence, sign), policy)


def _of_difference(name: str, metric: MetricPolicy, found: Estimate, good: Evidence | None, policy: Policy) -> _Ruling:
    """`good` is the evidence such that more is better."""
    if good and good.high(policy.alpha) < -metric.margin:
        return _Ruling("refused", f"worse by more than the margin of {wording.size(name, metric.margin)}")
    needed = _needed(found, good, metric.margin, policy)
    if _too_few(found, policy):
        return _Ruling("inconclusive", wording.too_few(found, policy) + wording.needs(needed, found.rows), needed)
    low = good.low(policy.alpha) if good else None
    if low is not None and low > -metric.margin:
        return _Ruling("pass", wording.passed(name, metric, better=low > 0))
    worst = None if low is None else -low
    return _Ruling("inconclusive", wording.undecided(name, metric, worst, needed, found.rows), needed)


def _of_first(metric: MetricPolicy, found: Estimate, policy: Policy, *, floors: bool) -> _Ruling:
    """Without a baseline floors decide; where no deciding metric has one, there is nothing to pass."""
    if not floors:
        return _Ruling("inconclusive", "inconclusive: no baseline to compare with and no metric with a floor")
    if _too_few(found, policy):
        least = _least(found, policy)
        return _Ruling("inconclusive", wording.too_few(found, policy) + wording.needs(least, found.rows), least)
    return _Ruling("pass", "no baseline yet, " + ("no floor" if metric.floor is None else "the floor holds"))


def _good(evidence: Evidence | None, sign: int) -> Evidence | None:
    """The evidence such that more is better."""
    return evidence.mirrored() if evidence and sign < 0 else evidence


def _too_few(found: Estimate, policy: Policy) -> bool:
    return found.rows < policy.min_rows or found.clusters < policy.min_clusters


def _least(found: Estimate, policy: Policy) -> int:
    """Rows at which the policy's smallest numbers are met, clusters as large as here."""
    return max(policy.min_rows, math.ceil(policy.min_clusters * found.rows / found.clusters))


def _needed(found: Estimate, good: Evidence | None, margin: float, policy: Policy) -> int | None:
    if good is None:
        return _least(found, policy)
    needed = good.needed_rows(good.difference + margin, alpha=policy.alpha, power=policy.power)
    return max(needed, _least(found, policy)) if needed is not None else None


def _result(
    name: str, metric: MetricPolicy, found: Estimate, policy: Policy, ruling: _Ruling, deviation: float | None
) -> MetricResult:
    low, high = wording.bounds(found, policy) if found.evidence else (None, None)
    binary = name in _BINARY and found.baseline is not None
    test = McNemar(fixed=found.fixed, broken=found.broken, p=_rounded(mcnemar(found.fixed, found.broken)))
    said = f"{wording.moved(name, found, policy)}: {ruling.why}"
    return MetricResult(
        name=name,
        role=metric.role,
        direction=metric.direction,
        margin=metric.margin,
        floor=metric.floor,
        candidate=_rounded(found.candidate),
        baseline=_maybe(found.baseline),
        difference=None if found.baseline is None else _rounded(found.candidate - found.baseline),
        low=_maybe(low),
        high=_maybe(high),
        outcome=ruling.outcome,
        too_few=_too_few(found, policy) and metric.role != "info",
        alpha=policy.alpha,
        needed_rows=ruling.needed,
        mcnemar=test if binary else None,
        seed_deviation=_maybe(deviation),
        sentence=said if deviation is None else f"{said}; {wording.seeds(name, deviation)}",
    )


def _parts(paired: Paired, policy: Policy, resamples: int) -> Iterator[_Part]:
    primary, rules = policy.primary, policy.slices
    sign = 1 if policy.metrics[primary].direction == "higher" else -1
    counted = rows_of(paired, primary)
    for name in rules.by:
        values = paired.slices.get(name, [])
        if not any(value is not None for value in values):
            known = ", ".join(sorted(paired.slices)) or "none"
            place = f"{FILE}: slices.by"
            raise InputError(f"no test row has the slice {name!r} (they have: {known})", place=place, remedy="mend it")
        for value in sorted({v for v, counts in zip(values, counted, strict=True) if v is not None and counts}):
            chosen = np.array([v == value for v in values], dtype=np.bool_)
            salt = f"{name}={value}"
            found = estimate(paired.select(chosen), primary, resamples=resamples, seed=policy.seed, salt=salt)
            good = _good(found.evidence, sign)
            tested = good is not None and found.rows >= rules.min_rows
            yield _Part(name, value, found, good.p_not_below(-rules.margin) if good and tested else None)


def _of_slice(part: _Part, p: float | None, policy: Policy) -> SliceResult:
    found, primary = part.found, policy.primary
    assert found.baseline is not None
    low, high = wording.bounds(found, policy) if p is not None else (None, None)
    bad = p is not None and p <= policy.alpha
    margin = wording.size(primary, policy.slices.margin)
    why = f"worse by more than the slices' margin of {margin}" if bad else "not significantly worse than its margin"
    if p is None:
        why = f"too few rows to test ({found.rows})"
    return SliceResult(
        slice=part.name,
        value=part.value,
        rows=found.rows,
        candidate=_rounded(found.candidate),
        baseline=_rounded(found.baseline),
        difference=_rounded(found.candidate - found.baseline),
        low=_maybe(low),
        high=_maybe(high),
        p=_maybe(p),
        outcome="untested" if p is None else "pass" if not bad else _ACTIONS[policy.slices.action],
        sentence=f"{part.name} {part.value}: {wording.moved(primary, found, policy)}: {why}",
    )


def _maybe(number: float | None) -> float | None:
    return None if number is None else _rounded(number)


def _rounded(number: float) -> float:
    return round(float(number), _DIGITS) + 0.0
