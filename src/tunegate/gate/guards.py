"""Bounds on what the metrics do not see: time per answer, size of the package, trained tokens, dropped rows.

Pure: decides on measured numbers. Seconds are compared with the slowest recorded on the same hardware, because one
measurement says little. A bound whose number is missing refuses.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What the guards compare; only what the policy bounds has to be there."""

    p95_seconds: float = math.nan
    """95th percentile of the candidate's seconds per answer."""
    hardware: str | None = None
    """On which they were measured; None if that was not recorded."""
    recorded_p95_seconds: Sequence[float] | None = None
    """The same of earlier models on this hardware; None without a baseline."""
    package_bytes: int | None = None
    """None if no package is locked."""
    baseline_package_bytes: int | None = None
    trained_token_share: float = math.nan
    rows_in: int = 0
    """Rows ingested."""
    rows_out: int = 0
    """Rows in some split."""


def decide_guards(policy: GuardPolicy, measured: Measurements) -> list[GuardResult]:
    """A result per bound of the policy, in its order; none for a comparison that a first model does not have."""
    return [result for result in _results(policy, measured) if result]


def percent(share: float) -> str:
    """`12.3 %`."""
    return f"{100 * share:.1f} %"


def _results(policy: GuardPolicy, measured: Measurements) -> Iterator[GuardResult | None]:
    if policy.latency_ratio is not None:
        yield _latency(policy.latency_ratio, measured)
    if policy.package_ratio is not None:
        yield _package(policy.package_ratio, measured)
    if policy.trained_token_share is not None:
        share, limit = measured.trained_token_share, policy.trained_token_share
        sentence = f"share of training tokens with a loss: {percent(share)} (at least {percent(limit)})"
        yield _result("trained tokens", share >= limit, sentence, share, None, limit)
    if policy.dropped_row_share is not None:
        limit = policy.dropped_row_share
        share = 1 - measured.rows_out / measured.rows_in if measured.rows_in else 1.0
        sentence = f"dropped rows: {percent(share)} of {measured.rows_in:,} (at most {percent(limit)})"
        yield _result("dropped rows", share <= limit, sentence, share, None, limit)


def _latency(limit: float, measured: Measurements) -> GuardResult | None:
    seconds, recorded = measured.p95_seconds, measured.recorded_p95_seconds
    if recorded is None:
        return None
    if measured.hardware is None:
        sentence = "p95 of an answer: the hardware it was measured on is not recorded; run `dvc repro evaluate`"
        return _result("latency", False, sentence, seconds, None, limit)
    if not recorded:
        sentence = f"p95 of an answer: {seconds:.3f} s; none recorded before on {measured.hardware}"
        result = _result("latency", True, sentence, seconds, None, limit)
        return result.model_copy(update={"outcome": "warning"})
    slowest = max(recorded)
    ratio = seconds / slowest if slowest > 0 else math.inf
    times = "time" if len(recorded) == 1 else "times"
    sentence = f"p95 of an answer: {seconds:.3f} s, {ratio:.2f} times the slowest of {len(recorded)} recorded {times}"
    return _result("latency", ratio <= limit, f"{sentence} on this hardware (limit {limit:g})", seconds, slowest, limit)


def _package(limit: float, measured: Measurements) -> GuardResult | None:
    size, before = measured.package_bytes, measured.baseline_package_bytes
    if size is None:
        sentence = "size of the package: none is locked; run `dvc repro package`"
        return _result("package", False, sentence, None, None, limit)
    if before is None:
        return None
    ratio = size / before if before else math.inf
    sentence = f"size of the package: {size / 1e6:,.1f} MB, {ratio:.2f} times the baseline's (limit {limit:g})"
    return _result("package", ratio <= limit, sentence, size, before, limit)


def _result(
    name: str, holds: bool, sentence: str, candidate: float | None, baseline: float | None, limit: float
) -> GuardResult:
    outcome = "pass" if holds else "refused"
    values = {"candidate": candidate, "baseline": baseline, "limit": limit}
    return GuardResult.model_validate({"name": name, "outcome": outcome, "sentence": sentence, **values})
