"""The pull request's report as plain values: the templates for HTML and Markdown lay the same ones out.

Has no time, machine or path of this moment in it: the same commits give the same bytes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tunegate.gate.policy import Policy
from tunegate.gate.verdict import Reason, Verdict
from tunegate.reporting.changes import Changes, changes_of
from tunegate.reporting.charts import confusion_matrix, loss_curve
from tunegate.reporting.example_changes import counts_of
from tunegate.reporting.verdict_rows import Row, confidence, metric_rows, slice_rows
from tunegate.repository.lineage import Lineage, Parts
from tunegate.repository.proof import NOT_RUN_AGAIN, StageProof

if TYPE_CHECKING:
    from tunegate.reporting.evidence import Evidence

WORDS = {"pass": "Pass", "refused": "Refused", "inconclusive": "Inconclusive"}
LEVELS = {
    "refused": "Refused",
    "inconclusive": "Inconclusive",
    "approval": "Needs approval",
    "warning": "Warning",
    "note": "Note",
}
OUTCOMES = {
    "broken": ("Broken", "the baseline was right, the candidate is wrong"),
    "fixed": ("Fixed", "the baseline was wrong, the candidate is right"),
    "wrong": ("Still wrong", "neither is right"),
    "right": ("Still right", "both are right"),
    "new": ("No baseline answer", "only the candidate was asked"),
}
"""Outcomes of an example with their meaning, in display order."""

_LONG_SLICE = 12
_UNPROVEN = {"missing": "dvc.lock has no run of it", "unproven": "no such run is known"}


@dataclasses.dataclass(frozen=True)
class Proof:
    """Whether a stage's entry in dvc.lock is a run that happened."""

    stage: str
    proven: bool
    note: str
    """What is wrong, or why it is not proven further; may be empty."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the lineage at both commits."""

    name: str
    before: str | None
    after: str
    changed: bool


@dataclasses.dataclass(frozen=True)
class PullRequest:
    """The report, top to bottom."""

    name: str
    verdict: Verdict
    word: str
    """The outcome in one or two words."""
    sentence: str
    """The rest of the headline."""
    reasons: list[Reason]
    """Those that the headline does not contain already, without the notes."""
    notes: list[Reason]
    first: bool
    """Whether there is no baseline."""
    primary: Row
    metrics: list[Row]
    slices: dict[str, list[Row]]
    confidence: str
    counts: dict[str, int]
    """Outcome to how many examples."""
    matrices: tuple[str, str]
    curve: str
    parts: list[Part]
    proofs: Sequence[Proof] | None
    """None where the run was not checked."""
    policy: Policy
    changes: Changes

    @property
    def slice_names(self) -> list[str]:
        """The slices of the examples, without those that only repeat the label."""
        examples = self.changes.examples
        names = sorted({name for example in examples for name in example.slices})
        return [name for name in names if any(e.slices.get(name, e.label) != e.label for e in examples)]

    @property
    def nothing_changed(self) -> bool:
        """Whether no setting differs."""
        changes = self.changes
        return not (changes.files or changes.packages or changes.others)

    @property
    def long_slices(self) -> Mapping[str, bool]:
        """Whether a slice has so many values that it is folded away."""
        return {name: len(rows) > _LONG_SLICE for name, rows in self.slices.items()}


def pull_request_of(evidence: "Evidence", proofs: Sequence[Proof] | None = None) -> PullRequest:
    """The report on what was judged."""
    verdict, changes, policy = evidence.verdict, changes_of(evidence), evidence.policy
    metrics = metric_rows(verdict.metrics)
    word, sentence = _headline(verdict)
    others = [reason for reason in verdict.reasons if reason.text not in verdict.headline]
    return PullRequest(
        name=evidence.candidate.params.score.name,
        verdict=verdict,
        word=word,
        sentence=sentence,
        reasons=[reason for reason in others if reason.level != "note"],
        notes=[reason for reason in others if reason.level == "note"],
        first=evidence.baseline is None,
        primary=next((row for row in metrics if row.role == "primary"), metrics[0]),
        metrics=metrics,
        slices=slice_rows(verdict.slices, policy),
        confidence=confidence({metric.alpha or verdict.alpha for metric in verdict.metrics}),
        counts=counts_of(changes.examples),
        matrices=(confusion_matrix(changes.pairs[0]), confusion_matrix(changes.pairs[1])),
        curve=loss_curve(changes.trajectories[1], changes.trajectories[0]),
        parts=_parts(*changes.lineages),
        proofs=proofs,
        policy=policy,
        changes=changes,
    )


def proofs_shown(proofs: Sequence[StageProof]) -> list[Proof]:
    """The proofs without where each was found: that differs from machine to machine."""
    return [Proof(p.stage, p.proven, _proof_note(p)) for p in proofs]


def _proof_note(proof: StageProof) -> str:
    if proof.proven:
        return NOT_RUN_AGAIN if proof.how == NOT_RUN_AGAIN else ""
    return _UNPROVEN.get(proof.state, "; ".join(proof.problems))


def _headline(verdict: Verdict) -> tuple[str, str]:
    """What stands before the headline's first colon, and what follows; the outcome and all of it where there is none.

    The first words are ours only up to that colon when they are short.
    """
    word, colon, rest = verdict.headline.partition(": ")
    if colon and len(word) <= 40:
        return word, rest[:1].upper() + rest[1:]
    return WORDS[verdict.outcome], verdict.headline


def _parts(before: Lineage | None, after: Lineage | None) -> list[Part]:
    if after is None:
        return []
    parts = []
    for name in ("key", *Parts.model_fields):
        old, new = (None if one is None else _part(one, name) for one in (before, after))
        parts.append(Part(name, old, str(new), old != new))
    return parts


def _part(lineage: Lineage, name: str) -> str:
    return lineage.key if name == "key" else str(getattr(lineage.parts, name))
