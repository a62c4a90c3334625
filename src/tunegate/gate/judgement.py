"""From results to the verdict: which reasons there are, how heavy each is, and what follows.

Pure: takes what was found, opens nothing. All guards must hold (an intersection-union test: no correction is needed),
and whatever is doubtful is never a pass by silence.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from tunegate.data.similarity.overlap import Match
from tunegate.gate.policy import FILE, Action, Policy
from tunegate.gate.verdict import (
    GuardResult,
    Level,
    MetricResult,
    Outcome,
    Reason,
    Revisions,
    SliceResult,
    TestSet,
    Verdict,
)
from tunegate.text import listed

_LEVELS: tuple[Level, ...] = ("refused", "inconclusive", "approval", "warning", "note")
_OF_ACTION: dict[Action, Level] = {"block": "inconclusive", "approve": "approval", "warn": "warning"}
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Findings:
    """Everything a verdict is made of."""

    revisions: Revisions
    policy: Policy
    policy_sha256: str
    protected: Sequence[str]
    """Sentences: what the change touches of policy, pipeline, test set and measurement."""
    ungoverned: bool
    """Whether the base has no policy, so that the change's own is used."""
    shallow: bool
    """Whether the clone lacks history."""
    rescored: bool
    test_set: TestSet
    metrics: Sequence[MetricResult]
    slices: Sequence[SliceResult]
    guards: Sequence[GuardResult]
    exact: Sequence[Match]
    """Test rows that the candidate was trained on."""
    near: Sequence[Match]
    known_to_baseline: Sequence[Match]
    """Test rows that the baseline was trained on, exactly or nearly."""
    seeds: int
    approvals: Sequence[str]


def judge(found: Findings) -> Verdict:
    """The verdict."""
    reasons = sorted(_reasons(found), key=lambda reason: _LEVELS.index(reason.level))
    outcome = _outcome(reasons, found.approvals)
    contamination = {"exact": _pairs(found.exact), "near": _pairs(found.near)}
    return Verdict(
        outcome=outcome,
        headline=_headline(outcome, reasons, found),
        reasons=reasons,
        revisions=found.revisions,
        rescored=found.rescored,
        approvals=sorted(set(found.approvals)),
        policy_sha256=found.policy_sha256,
        alpha=found.policy.alpha,
        resamples=found.policy.resamples,
        test_set=found.test_set,
        metrics=list(found.metrics),
        slices=list(found.slices),
        guards=list(found.guards),
        contamination={kind: ids for kind, ids in contamination.items() if ids},
        seeds=found.seeds,
    )


def _outcome(reasons: Sequence[Reason], approvals: Sequence[str]) -> Outcome:
    levels = {reason.level for reason in reasons}
    if "refused" in levels:
        return "refused"
    if "inconclusive" in levels or ("approval" in levels and not approvals):
        return "inconclusive"
    return "pass"


def _reasons(found: Findings) -> Iterator[Reason]:
    yield from _of_metrics(found)
    yield from _of_slices(found)
    for guard in found.guards:
        yield Reason(level="note" if guard.outcome == "pass" else guard.outcome, text=guard.sentence)
    yield from _of_contamination(found)
    if found.ungoverned:
        # Always: else the change would say by itself that it needs nobody.
        yield Reason(level="approval", text=f"{FILE} is new: the base has no policy, so the change's own is used")
    for sentence in found.protected:
        yield Reason(level=_OF_ACTION[found.policy.protected_change], text=sentence)
    yield from _of_test_set(found)
    if found.approvals:
        yield Reason(level="note", text=f"approved by {', '.join(sorted(set(found.approvals)))}")


def _of_metrics(found: Findings) -> Iterator[Reason]:
    policy, rows = found.policy, found.test_set
    deciding = [name for name, metric in policy.metrics.items() if metric.role != "info"]
    few = [metric.name for metric in found.metrics if metric.too_few]
    least = min(policy.of(name).min_rows for name in deciding)
    if few or rows.rows < least or rows.clusters < policy.min_clusters:
        # Whatever the policy does with doubt: a metric with too few rows is never let pass.
        of = ", ".join(few or deciding)
        text = f"{rows.rows} test rows in {rows.clusters} independent groups are too few for {of}"
        yield Reason(level="inconclusive", text=text)
    for metric in found.metrics:
        level: Level = "refused" if metric.outcome == "refused" else "note"
        if metric.outcome == "inconclusive":
            level = _OF_ACTION[policy.inconclusive]
        yield Reason(level=level, text=metric.sentence)
    if found.seeds < 2:
        text = "one training seed: this tests the checkpoint, not the recipe (`tunegate noise` measures the recipe)"
        yield Reason(level="note", text=text)


def _of_slices(found: Findings) -> Iterator[Reason]:
    for part in found.slices:
        if part.outcome in ("refused", "warning"):
            yield Reason(level="refused" if part.outcome == "refused" else "warning", text=part.sentence)


def _of_contamination(found: Findings) -> Iterator[Reason]:
    near: Level = "refused" if found.policy.contamination.action == "refuse" else "warning"
    kinds: list[tuple[Sequence[Match], Level, str]] = [
        (found.exact, "refused", "are among the training rows"),
        (found.near, near, "nearly equal a training row"),
        (found.known_to_baseline, "approval", "were among the baseline's training rows: the comparison favours it"),
    ]
    for matches, level, words in kinds:
        if matches:
            shown = listed(_pairs(matches), _SHOWN)
            yield Reason(level=level, text=f"{len(matches)} of {found.test_set.rows} test rows {words}: {shown}")


def _of_test_set(found: Findings) -> Iterator[Reason]:
    uses, budget = found.test_set.uses, found.test_set.budget
    if uses > budget:
        text = f"this test set was used {uses} times, the budget is {budget}: it is worn out; put new rows into it"
        yield Reason(level="warning", text=text)
    else:
        yield Reason(level="note", text=f"use {uses} of {budget} of this test set")
    if found.shallow:
        text = "this clone is shallow: uses of the test set and recorded times are only those it has (fetch-depth: 0)"
        yield Reason(level="warning", text=text)


def _headline(outcome: Outcome, reasons: Sequence[Reason], found: Findings) -> str:
    if outcome == "pass":
        primary = next(metric for metric in found.metrics if metric.role == "primary")
        warnings = sum(reason.level == "warning" for reason in reasons)
        said = "" if not warnings else f", with {warnings} warning{'s' if warnings > 1 else ''}"
        return f"Pass{said}: {primary.sentence}"
    heaviest = reasons[0]
    if outcome == "refused":
        return f"Refused: {heaviest.text}"
    needs = "Needs approval" if heaviest.level == "approval" else "Inconclusive"
    return f"{needs}: {heaviest.text}"


def _pairs(matches: Sequence[Match]) -> list[str]:
    """Each test row with the training row that it equals or resembles."""
    return [
        f"{m.left} = {m.right}" if m.similarity == 1 else f"{m.left} ≈ {m.right} ({m.similarity:.2f})" for m in matches
    ]
