"""Bounds on what the metrics do not see: time per answer, size of the package, what was trained on, what was dropped.

Reads the small reports that git keeps, of the candidate and of the history; a bound whose numbers are missing refuses.
Seconds are compared only with those recorded on the same hardware, and with the slowest of them: one measurement says
little (the reasoning of Bencher's thresholds).
"""

import math
from collections.abc import Iterator
from typing import Any

from tunegate.errors import InputError
from tunegate.files import parse_json
from tunegate.gate.policy import GuardPolicy
from tunegate.gate.verdict import GuardResult
from tunegate.repository.snapshot import Snapshot

METRICS = "reports/metrics.json"
TIMINGS = "reports/timings.json"
DATA = "reports/data.json"
PACKAGE = "models/package"


def decide_guards(policy: GuardPolicy, candidate: Snapshot, baseline: Snapshot | None) -> list[GuardResult]:
    """What the policy's guards say of the candidate, in the policy's order."""
    return [result for result in _results(policy, candidate, baseline) if result]


def _results(policy: GuardPolicy, candidate: Snapshot, baseline: Snapshot | None) -> Iterator[GuardResult | None]:
    if policy.latency_ratio is not None:
        yield _latency(policy.latency_ratio, candidate, baseline)
    if policy.package_ratio is not None:
        yield _package(policy.package_ratio, candidate, baseline)
    if policy.trained_token_share is not None:
        yield _trained(policy.trained_token_share, candidate)
    if policy.dropped_row_share is not None:
        yield _dropped(policy.dropped_row_share, candidate)


def _latency(ratio: float, candidate: Snapshot, baseline: Snapshot | None) -> GuardResult | None:
    timings = candidate.json(TIMINGS)
    here, hardware = _number(timings, candidate.place(TIMINGS), "tuned", "p95_seconds"), _hardware(timings)
    if baseline is None or baseline.commit is None:
        return None
    before = list(_recorded(baseline, hardware))
    if not before:
        said = f"p95 of an answer: {here:.3f} s; none recorded before on {hardware or 'unknown hardware'}"
        return GuardResult(name="latency", candidate=here, baseline=None, limit=ratio, outcome="warning", sentence=said)
    slowest = max(before)
    measured = here / slowest if slowest > 0 else math.inf
    times = "time" if len(before) == 1 else "times"
    said = f"p95 of an answer: {here:.3f} s, {measured:.2f} times the slowest of {len(before)} recorded {times}"
    return _judged("latency", measured <= ratio, f"{said} on this hardware (limit {ratio:g})", here, slowest, ratio)


def _recorded(baseline: Snapshot, hardware: str | None) -> Iterator[float]:
    assert baseline.commit
    for commit, content in baseline.repository.versions([baseline.commit], TIMINGS).items():
        place = f"{commit[:12]}:{TIMINGS}"
        timings = parse_json(content.decode("utf-8", "replace"), place=place)
        if hardware and isinstance(timings, dict) and _hardware(timings) == hardware:
            yield _number(timings, place, "tuned", "p95_seconds")


def _hardware(timings: dict[str, Any]) -> str | None:
    found = timings.get("evaluate", {}).get("hardware")
    return found if isinstance(found, str) else None


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
    notes: dict[str, Any] = next((s["notes"] for s in _stages(candidate) if s["stage"] == "tokenize"), {})
    found = notes.get("train_tokens_trained_share")
    if found is None or not math.isfinite(found):
        said = f"share of training tokens with a loss: not recorded in {DATA}"
        return _judged("trained tokens", False, said, None, None, share)
    said = f"share of training tokens with a loss: {found:.1%} (at least {share:.1%})"
    return _judged("trained tokens", found >= share, said, found, None, share)


def _dropped(share: float, candidate: Snapshot) -> GuardResult:
    rows = candidate.json(DATA).get("rows", {})
    came, went = (_number(rows, candidate.place(DATA), key) for key in ("in", "out"))
    found = 1 - went / came if came else 1.0
    said = f"rows dropped on the way: {found:.1%} of {came:,.0f} (at most {share:.1%})"
    return _judged("dropped rows", found <= share, said, found, None, share)


def _stages(candidate: Snapshot) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = candidate.json(DATA).get("stages", [])
    return stages


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


def _number(value: Any, place: str, *keys: str) -> float:
    """A finite number in nested objects. Raises InputError where there is none: what is unknown cannot pass."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{'.'.join(keys)} is no finite number (got {value!r})", place=place, remedy="run `dvc repro`")
    return float(value)
