"""Bounds on what the metrics do not see: time per answer, size of the package, what was trained on, what was dropped.

The candidate's numbers come from locked outputs whose run can be proven, not from the reports in git, which a hand can
edit; the history's come from the base's reports. A bound whose numbers are missing refuses. Seconds are compared only
with those recorded on the same hardware, and with the slowest of them: one measurement says little (the reasoning of
Bencher's thresholds).
"""

import math
from collections.abc import Iterator
from typing import Any

from tunegate.data.ledger.stage_ledger import combine
from tunegate.errors import InputError
from tunegate.evaluation.metrics import p95_seconds
from tunegate.files import parse_json, read_json
from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult
from tunegate.models.cost import Cost, read_cost
from tunegate.repository.snapshot import Snapshot

METRICS = "reports/metrics.json"
TIMINGS = "reports/timings.json"
COST = "models/evaluate_cost.json"
PACKAGE = "models/package"
TOKENS = "data/tokens"
LEDGERS = ("data/ingested", "data/validated", "data/prepared", TOKENS)
"""Outputs with a ledger, in running order."""


def decide_guards(
    policy: GuardPolicy, candidate: Snapshot, baseline: Snapshot | None, predictions: Any
) -> list[GuardResult]:
    """What the policy's guards say of the candidate and its `predictions` (`pyarrow.Table`), in the policy's order."""
    return [result for result in _results(policy, candidate, baseline, predictions) if result]


def _results(
    policy: GuardPolicy, candidate: Snapshot, baseline: Snapshot | None, predictions: Any
) -> Iterator[GuardResult | None]:
    if policy.latency_ratio is not None:
        yield _latency(policy.latency_ratio, candidate, baseline, predictions)
    if policy.package_ratio is not None:
        yield _package(policy.package_ratio, candidate, baseline)
    if policy.trained_token_share is not None:
        yield _trained(policy.trained_token_share, candidate)
    if policy.dropped_row_share is not None:
        yield _dropped(policy.dropped_row_share, candidate)


def _latency(ratio: float, candidate: Snapshot, baseline: Snapshot | None, predictions: Any) -> GuardResult | None:
    if baseline is None:
        return None
    here = p95_seconds(predictions["tuned_seconds"].to_pylist())
    if candidate.locked(COST) is None:
        return _judged("latency", False, f"p95 of an answer: no {COST} says on which hardware", here, None, ratio)
    hardware = read_cost(candidate.output(COST), Cost).hardware
    before = list(_recorded(baseline, hardware))
    if not before:
        said = f"p95 of an answer: {here:.3f} s; none recorded before on {hardware}"
        return GuardResult(name="latency", candidate=here, baseline=None, limit=ratio, outcome="warning", sentence=said)
    slowest = max(before)
    measured = here / slowest if slowest > 0 else math.inf
    times = "time" if len(before) == 1 else "times"
    said = f"p95 of an answer: {here:.3f} s, {measured:.2f} times the slowest of {len(before)} recorded {times}"
    return _judged("latency", measured <= ratio, f"{said} on this hardware (limit {ratio:g})", here, slowest, ratio)


def _recorded(baseline: Snapshot, hardware: str) -> Iterator[float]:
    assert baseline.commit
    for commit, content in baseline.repository.versions([baseline.commit], TIMINGS).items():
        place = f"{commit[:12]}:{TIMINGS}"
        timings = parse_json(content.decode("utf-8", "replace"), place=place)
        # Reports of a time before costs were recorded name no hardware.
        known = isinstance(timings, dict) and "evaluate" in timings
        if known and text_at(timings, place, "evaluate", "hardware") == hardware:
            yield number_at(timings, place, "tuned", "p95_seconds")


def _package(ratio: float, candidate: Snapshot, baseline: Snapshot | None) -> GuardResult | None:
    now = candidate.locked(PACKAGE)
    if now is None:
        said = "size of the package: none is locked; run `dvc repro package`"
        return _judged("package", False, said, None, None, ratio)
    before = baseline.locked(PACKAGE) if baseline else None
    if before is None:
        return None
    measured = now.size / before.size if before.size else math.inf
    said = f"size of the package: {now.size / 1e6:,.1f} MB, {measured:.2f} times the baseline's (limit {ratio:g})"
    return _judged("package", measured <= ratio, said, now.size, before.size, ratio)


def _trained(share: float, candidate: Snapshot) -> GuardResult:
    path = candidate.output(TOKENS) / "ledger.json"
    found = number_at(read_json(path), f"{TOKENS}/ledger.json", "notes", "train_tokens_trained_share")
    said = f"share of training tokens with a loss: {_percent(found)} (at least {_percent(share)})"
    return _judged("trained tokens", found >= share, said, found, None, share)


def _dropped(share: float, candidate: Snapshot) -> GuardResult:
    rows = combine([candidate.output(path) for path in LEDGERS if candidate.locked(path)])["rows"]
    found = 1 - rows["out"] / rows["in"] if rows["in"] else 1.0
    said = f"rows dropped on the way: {_percent(found)} of {rows['in']:,} (at most {_percent(share)})"
    return _judged("dropped rows", found <= share, said, found, None, share)


def _judged(
    name: str, holds: bool, sentence: str, candidate: float | None, baseline: float | None, limit: float
) -> GuardResult:
    return GuardResult(
        name=name,
        candidate=candidate,
        baseline=baseline,
        limit=limit,
        outcome="pass" if holds else "refused",
        sentence=sentence,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def number_at(value: Any, place: str, *keys: str) -> float:
    """A finite number in nested objects. Raises InputError where there is none: what is unknown cannot pass."""
    found = _at(value, *keys)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputError(f"{'.'.join(keys)} is no finite number (got {found!r})", place=place, remedy="run `dvc repro`")
    return float(found)


def text_at(value: Any, place: str, *keys: str) -> str:
    """A text in nested objects. Raises InputError where there is none."""
    found = _at(value, *keys)
    if not isinstance(found, str):
        raise InputError(f"{'.'.join(keys)} is no text (got {found!r})", place=place, remedy="run `dvc repro`")
    return found


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
