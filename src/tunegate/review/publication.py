"""What is said in public of a change: the commit's status and the comment, found out from the commits alone.

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

_STATES: dict[str, State] = {"pass": "success", "refused": "failure", "inconclusive": "failure"}
_MESSAGE_LIMIT = 500


@dataclasses.dataclass(frozen=True)
class Publication:
    """A status and a comment."""

    state: State
    description: str
    markdown: str
    touches_model: bool = True
    """Whether the change locks another run than its base: otherwise there is little to say."""


def publication_of(change: Change, approvals: Sequence[str], *, rescore: int, root: Path = Path()) -> Publication:
    """Judge the change's head against its base, score `rescore` test rows again, and put it into words."""
    try:
        proofs, merged = _proofs(open_repository(root), change)
        waiting = waiting_of(proofs)
        if waiting:
            return _said("pending", _how_it_goes_on(change, waiting))
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
        return _said("failure", _sentence(error))
    except TunegateError as error:
        if change.is_fork:
            return _said("pending", f"{_sentence(error)}. A maintainer has to run this: docs/ci.md, Forks")
        return _said("error", _sentence(error))
    except Exception as error:
        # Data that a library chokes on in its own way: without a status nobody would know why the change waits.
        traceback.print_exc()
        return _said("error", f"unexpected {type(error).__name__}: {shortened(str(error), _MESSAGE_LIMIT)}")


def state_of(verdict: Verdict) -> tuple[State, str]:
    """The status that a verdict is, and its words: what waits for nothing but a person is pending."""
    levels = {reason.level for reason in verdict.reasons}
    if verdict.outcome == "inconclusive" and "inconclusive" not in levels:
        return "pending", verdict.headline
    return _STATES[verdict.outcome], verdict.headline


def waiting_of(proofs: Sequence[StageProof]) -> list[str]:
    """The stages whose run is still to be made."""
    return [proof.stage for proof in proofs if proof.waits]


def refuse_unproven(proofs: Sequence[StageProof]) -> None:
    """Raise RefusedError with the stages whose entry in dvc.lock is not a run that happened, on what stands there."""
    wrong = {proof.stage: proof.problems for proof in proofs if not proof.proven}
    if wrong:
        problem = "; ".join(f"{stage}: {', '.join(problems)}" for stage, problems in wrong.items())
        remedy = "`dvc push --run-cache` where it was run, or `tunegate lock repair`, `dvc repro` and commit dvc.lock"
        raise RefusedError(f"not proven: {problem}", place="dvc.lock", remedy=remedy)


def _proofs(repository: Repository, change: Change) -> tuple[list[StageProof], list[StageProof]]:
    """Of the head and, where the base moved on, of the merge of both."""
    with open_outputs(repository.root) as outputs:
        proofs = prove(Snapshot(repository, change.head, outputs), quick=True)
        if waiting_of(proofs) or repository.is_ancestor(change.base, change.head):
            return proofs, []
        merged = repository.merge_commit(change.base, change.head)
        return proofs, prove(Snapshot(repository, merged, outputs), quick=True)


@dataclasses.dataclass(frozen=True)
class _Sample:
    sentence: str = ""
    waits: bool = False
    """Whether somebody has to approve that the claim does not come out here."""


def _sample(evidence: Evidence, change: Change, rows: int) -> _Sample:
    """Score a sample of the claim with the code that is installed here, the default branch's.

    Raises RefusedError where it does not reproduce, and the change's code is not the reason.
    """
    from tunegate.evaluation.rescoring import check_sample

    try:
        return _Sample(check_sample(evidence.candidate, rows=rows) + ".")
    except RefusedError as error:
        code = _code_of_its_own(evidence.candidate, change)
        if not code:
            raise
        approvals = evidence.verdict.approvals
        outcome = f"approved by {', '.join(approvals)}" if approvals else "needs approval"
        what = f"its scoring code is its own: {', '.join(code)}"
        sentence = f"The claim cannot be reproduced by the default branch's code ({error.problem}; {what}): {outcome}"
        return _Sample(sentence, waits=not approvals)


def _code_of_its_own(candidate: Snapshot, change: Change) -> list[str]:
    """The files of evaluate's code that are not the base's."""
    git = candidate.repository
    with open_outputs(git.root) as outputs:
        locks = [candidate.lock, Snapshot(git, change.base, outputs).lock]
    entries = [entry for lock in locks for entry in lock.values() if PREDICTIONS in entry.outs]
    paths = {path for entry in entries for path in entry.deps if path.startswith("src/") or path == ENVIRONMENT}
    if not paths:
        return []
    found = git.run("--literal-pathspecs", "diff", "--name-only", change.base, change.head, "--", *sorted(paths))
    return found.splitlines()


def _how_it_goes_on(change: Change, waiting: Sequence[str]) -> str:
    problem = f"dvc.lock has no run yet of {', '.join(waiting)}"
    who = "a maintainer has to run this (docs/ci.md, Forks)" if change.is_fork else "the job train makes it"
    return f"{problem}; {who}"


def _sentence(error: TunegateError) -> str:
    return f"{error.place}: {error.problem}" if error.place else error.problem


def _said(state: State, sentence: str) -> Publication:
    word = {"pending": "Waiting", "failure": "Refused", "error": "Error", "success": "Pass"}[state]
    return Publication(state, sentence, f"## {word}\n\n{prose(sentence)}\n")


def _with_sample(markdown: str, sample: str) -> str:
    return f"{markdown.rstrip()}\n\n{prose(sample)}\n" if sample else markdown
