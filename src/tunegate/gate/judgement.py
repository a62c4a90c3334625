"""From results to the verdict: which reasons there are, how heavy each is, and what follows.

All guards must hold (an intersection-union test: no correction is needed), and whatever is doubtful never passes in
silence.
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
    unchanged: bool
    """Whether the candidate is the baseline."""
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


def judge(findings: Findings) -> Verdict:
    """The verdict."""
    reasons = sorted(_reasons(findings), key=lambda reason: _LEVELS.index(reason.level))
    outcome = _outcome(reasons, findings.approvals)
    contamination = {"exact": _pairs(findings.exact), "near": _pairs(findings.near)}
    return Verdict(
        outcome=outcome,
        headline=_headline(outcome, reasons, findings),
        reasons=reasons,
        revisions=findings.revisions,
        unchanged=findings.unchanged,
        rescored=findings.rescored,
        approvals=sorted(set(findings.approvals)),
        policy_sha256=findings.policy_sha256,
        alpha=findings.policy.alpha,
        resamples=findings.policy.resamples,
        test_set=findings.test_set,
        metrics=list(findings.metrics),
        slices=list(findings.slices),
        guards=list(findings.guards),
        contamination={kind: ids for kind, ids in contamination.items() if ids},
        seeds=findings.seeds,
    )


def _outcome(reasons: Sequence[Reason], approvals: Sequence[str]) -> Outcome:
    levels = {reason.level for reason in reasons}
    if "refused" in levels:
        return "refused"
    if "inconclusive" in levels or ("approval" in levels and not approvals):
        return "inconclusive"
    return "pass"


def _reasons(findings: Findings) -> Iterator[Reason]:
    if not findings.unchanged:
        yield from _model_reasons(findings)
    for guard in findings.guards:
        if not (findings.unchanged and guard.outcome == "pass"):
            yield Reason(level="note" if guard.outcome == "pass" else guard.outcome, text=guard.sentence)
    if findings.ungoverned:
        # Whatever the policy says: otherwise the change itself could waive the approval.
        yield Reason(level="approval", text=f"{FILE} is new: the base has no policy, so the change's own is used")
    for sentence in findings.protected:
        yield Reason(level=_OF_ACTION[findings.policy.protected_change], text=sentence)
    if findings.approvals:
        yield Reason(level="note", text=f"approved by {', '.join(sorted(set(findings.approvals)))}")


def _model_reasons(findings: Findings) -> Iterator[Reason]:
    """What there is to say of a model that is not the baseline's."""
    yield from _metric_reasons(findings)
    yield from _slice_reasons(findings)
    yield from _contamination_reasons(findings)
    yield from _test_set_reasons(findings)


def _metric_reasons(findings: Findings) -> Iterator[Reason]:
    policy, rows = findings.policy, findings.test_set
    deciding = [name for name, metric in policy.metrics.items() if metric.role != "info"]
    few = [metric.name for metric in findings.metrics if metric.too_few]
    least = min(policy.of(name).min_rows for name in deciding)
    if few or rows.rows < least or rows.clusters < policy.min_clusters:
        # Whatever the policy does with an inconclusive metric: one with too few rows never passes.
        of = ", ".join(few or deciding)
        text = f"{rows.rows} test rows in {rows.clusters} independent groups are too few for {of}"
        yield Reason(level="inconclusive", text=text)
    for metric in findings.metrics:
        level: Level = "refused" if metric.outcome == "refused" else "note"
        if metric.outcome == "inconclusive":
            level = _OF_ACTION[policy.inconclusive]
        yield Reason(level=level, text=metric.sentence)
    if findings.seeds < 2:
        text = "one training seed: this tests the checkpoint, not the recipe (`tunegate noise` measures the recipe)"
        yield Reason(level="note", text=text)


def _slice_reasons(findings: Findings) -> Iterator[Reason]:
    for part in findings.slices:
        if part.outcome in ("refused", "warning"):
            yield Reason(level="refused" if part.outcome == "refused" else "warning", text=part.sentence)


def _contamination_reasons(findings: Findings) -> Iterator[Reason]:
    near: Level = "refused" if findings.policy.contamination.action == "refuse" else "warning"
    kinds: list[tuple[Sequence[Match], Level, str]] = [
        (findings.exact, "refused", "are among the training rows"),
        (findings.near, near, "nearly equal a training row"),
        (
            findings.known_to_baseline,
            "approval",
            "were among the baseline's training rows: the comparison favours the baseline",
        ),
    ]
    for matches, level, words in kinds:
        if matches:
            shown = listed(_pairs(matches), _SHOWN)
            yield Reason(level=level, text=f"{len(matches)} of {findings.test_set.rows} test rows {words}: {shown}")


def _test_set_reasons(findings: Findings) -> Iterator[Reason]:
    uses, budget = findings.test_set.uses, findings.test_set.budget
    if uses > budget:
        text = f"this test set was used {uses} times, the budget is {budget}: it is worn out; put new rows into it"
        yield Reason(level="warning", text=text)
    else:
        yield Reason(level="note", text=f"use {uses} of {budget} of this test set")
    if findings.shallow:
        text = "this clone is shallow: uses of the test set and recorded times are only those it has (fetch-depth: 0)"
        yield Reason(level="warning", text=text)


def _headline(outcome: Outcome, reasons: Sequence[Reason], findings: Findings) -> str:
    if outcome == "pass":
        primary = next(metric for metric in findings.metrics if metric.role == "primary")
        warnings = sum(reason.level == "warning" for reason in reasons)
        suffix = "" if not warnings else f", with {warnings} warning{'s' if warnings > 1 else ''}"
        if findings.unchanged:
            equal = f"the same weights and the same answers to {findings.test_set.rows} test rows"
            return f"Unchanged: pass{suffix}; the model is the baseline's, with {equal}"
        return f"Pass{suffix}: {primary.sentence}"
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
