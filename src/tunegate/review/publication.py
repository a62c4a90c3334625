"""The status and the comment of a change, decided from its commits alone.

This runs where secrets are, so nothing of the change is executed: its files are read through git and DVC by the code
that is installed here, which a workflow takes from the default branch. No stage runs, no file that the change's own
jobs wrote is believed. Writes to DVC's cache only.
"""

import dataclasses
import traceback
from collections.abc import Sequence
from pathlib import Path

from tunegate.errors import RefusedError, TunegateError
from tunegate.evaluation.rescoring import PREDICTIONS
from tunegate.gate.verdict import Verdict
from tunegate.reporting.evidence import Evidence
from tunegate.reporting.markdown import prose
from tunegate.reporting.params_changes import ENVIRONMENT
from tunegate.reporting.pull_request import proofs_shown, pull_request_of
from tunegate.reporting.pull_request_page import render_markdown
from tunegate.repository.outputs import open_outputs
from tunegate.repository.proof import StageProof, prove
from tunegate.repository.revisions import Repository, open_repository
from tunegate.repository.snapshot import Snapshot
from tunegate.review.evidence import open_evidence
from tunegate.review.forges.interface import Change, State, shortened
from tunegate.review.proofs import refuse_unproven, waiting_stages

_STATES: dict[str, State] = {"pass": "success", "refused": "failure", "inconclusive": "failure"}
_MESSAGE_LIMIT = 500
FORK_REMEDY = "a maintainer pushes the commits to a branch of this repository (docs/ci.md, Forks)"


@dataclasses.dataclass(frozen=True)
class Publication:
    """A status and a comment."""

    state: State
    description: str
    markdown: str
    touches_model: bool = True
    """Whether the change locks another run than its base: otherwise there is little to say."""


def publication_of(change: Change, approvals: Sequence[str], *, rescore: int, root: Path = Path()) -> Publication:
    """Judge the change's head against its base, and score `rescore` test rows again."""
    try:
        proofs, merged = _proofs(open_repository(root), change)
        waiting = waiting_stages(proofs)
        if waiting:
            return _without_report("pending", _waiting_sentence(change, waiting))
        refuse_unproven([*proofs, *merged])
        with open_evidence(root, base=change.base, head=change.head, approvals=approvals) as evidence:
            touches = evidence.baseline is None or evidence.candidate.lock != evidence.baseline.lock
            sample = _sample(evidence, change, rescore) if touches and rescore else _Sample()
            markdown = render_markdown(pull_request_of(evidence, proofs_shown(proofs)))
        state, description = state_of(evidence.verdict)
        if state == "success" and sample.waits:
            state, description = "pending", sample.sentence
        return Publication(state, description, _with_sample(markdown, sample.sentence), touches)
    except RefusedError as error:
        return _without_report("failure", _sentence(error))
    except TunegateError as error:
        if change.is_fork:
            return _without_report("pending", f"{_sentence(error)}. A maintainer has to run this: docs/ci.md, Forks")
        return _without_report("error", _sentence(error))
    except Exception as error:
        # Data that a library chokes on in its own way: without a status nobody would know why the change waits.
        traceback.print_exc()
        return _without_report("error", f"unexpected {type(error).__name__}: {shortened(str(error), _MESSAGE_LIMIT)}")


def state_of(verdict: Verdict) -> tuple[State, str]:
    """The status and its description; a verdict that only waits for an approval is pending."""
    levels = {reason.level for reason in verdict.reasons}
    if verdict.outcome == "inconclusive" and "inconclusive" not in levels:
        return "pending", verdict.headline
    return _STATES[verdict.outcome], verdict.headline


def _proofs(repository: Repository, change: Change) -> tuple[list[StageProof], list[StageProof]]:
    """Of the head and, where the base moved on, of the merge of both."""
    with open_outputs(repository.root) as outputs:
        proofs = prove(Snapshot(repository, change.head, outputs), quick=True)
        if waiting_stages(proofs) or repository.is_ancestor(change.base, change.head):
            return proofs, []
        merged = repository.merge_commit(change.base, change.head)
        return proofs, prove(Snapshot(repository, merged, outputs), quick=True)


@dataclasses.dataclass(frozen=True)
class _Sample:
    sentence: str = ""
    waits: bool = False
    """Whether somebody has to approve that the claim does not reproduce here."""


def _sample(evidence: Evidence, change: Change, rows: int) -> _Sample:
    """Score a sample of the claim with the code that is installed here, the default branch's.

    Raises RefusedError where it does not reproduce, and the change's code is not the reason.
    """
    from tunegate.evaluation.rescoring import check_sample

    try:
        return _Sample(check_sample(evidence.candidate, rows=rows) + ".")
    except RefusedError as error:
        paths = _changed_scoring_code(evidence.candidate, change)
        if not paths:
            raise
        approvals = evidence.verdict.approvals
        outcome = f"approved by {', '.join(approvals)}" if approvals else "needs approval"
        reason = f"{error.problem}; the change edits scoring code: {', '.join(paths)}"
        sentence = f"The claim cannot be reproduced by the default branch's code ({reason}): {outcome}"
        return _Sample(sentence, waits=not approvals)


def _changed_scoring_code(candidate: Snapshot, change: Change) -> list[str]:
    """The files of evaluate's code that differ from the base's."""
    git = candidate.repository
    with open_outputs(git.root) as outputs:
        locks = [candidate.lock, Snapshot(git, change.base, outputs).lock]
    entries = [entry for lock in locks for entry in lock.values() if PREDICTIONS in entry.outs]
    paths = {path for entry in entries for path in entry.deps if path.startswith("src/") or path == ENVIRONMENT}
    if not paths:
        return []
    options = ("--name-only", change.base, change.head, "--", *sorted(paths))
    return git.run("--literal-pathspecs", "diff", *options).splitlines()


def _waiting_sentence(change: Change, waiting: Sequence[str]) -> str:
    problem = f"dvc.lock has no run yet of {', '.join(waiting)}"
    who = "a maintainer has to run this (docs/ci.md, Forks)" if change.is_fork else "the job train makes it"
    return f"{problem}; {who}"


def _sentence(error: TunegateError) -> str:
    return f"{error.place}: {error.problem}" if error.place else error.problem


def _without_report(state: State, sentence: str) -> Publication:
    word = {"pending": "Waiting", "failure": "Refused", "error": "Error", "success": "Pass"}[state]
    return Publication(state, sentence, f"## {word}\n\n{prose(sentence)}\n")


def _with_sample(markdown: str, sample: str) -> str:
    return f"{markdown.rstrip()}\n\n{prose(sample)}\n" if sample else markdown
