"""What the proofs of a commit's stages mean for a change: which stages wait for a run, which refuse the change.

Takes what `tunegate.repository.proof` finds; only `refuse_unfinished` reads a commit.
"""

from collections.abc import Sequence

from tunegate.errors import RefusedError
from tunegate.repository.lock import FILE
from tunegate.repository.proof import AGAIN, StageProof
from tunegate.repository.revisions import Repository

_REMEDY = "`dvc push --run-cache` where it was run, or `tunegate lock repair`, `dvc repro` and commit dvc.lock"


def waiting_stages(proofs: Sequence[StageProof]) -> list[str]:
    """The stages that still have to run."""
    return [proof.stage for proof in proofs if proof.waits]


def refuse_unproven(proofs: Sequence[StageProof], *, place: str = FILE, allow_waiting: bool = False) -> None:
    """Raise RefusedError naming the stages whose entry in dvc.lock is not a run of what the commit contains.

    With `allow_waiting`, stages that still have to run are accepted.
    """
    problems = {
        proof.stage: proof.problems for proof in proofs if not (proof.proven or (allow_waiting and proof.waits))
    }
    if problems:
        problem = "; ".join(f"{stage}: {', '.join(reasons)}" for stage, reasons in problems.items())
        raise RefusedError(f"not proven: {problem}", place=place, remedy=_REMEDY)


def refuse_unfinished(repository: Repository, commit: str, proofs: Sequence[StageProof]) -> None:
    """Raise RefusedError if `dvc repro` would run a stage that the proof does not cover.

    Stages that the proof itself ran again do not count: DVC's run cache cannot hold them.
    """
    from tunegate.repository.scratch import scratch, stages_to_run

    ran_again = [proof.stage for proof in proofs if proof.how == AGAIN]
    with scratch(repository, commit) as folder:
        names = [name for name in stages_to_run(folder) if name not in ran_again]
    if names:
        problem = f"`dvc repro` would still run or restore {', '.join(names)}"
        remedy = "run `dvc repro`, and commit every dvc.lock and .dvc file"
        raise RefusedError(problem, place=commit[:12], remedy=remedy)


def proofs_as_text(proofs: Sequence[StageProof], sentence: str = "") -> str:
    """A table of the stages with what proves each, or what is wrong with it; `sentence` is a last line."""
    width = max(len(proof.stage) for proof in proofs)
    lines = [f"{'stage'.ljust(width)}  proof"]
    for proof in proofs:
        texts = [proof.how]
        if not proof.proven:
            texts = [f"NOT PROVEN ({proof.state}): {proof.problems[0]}", *proof.problems[1:]]
        names = [proof.stage, *[""] * (len(texts) - 1)]
        lines += [f"{name.ljust(width)}  {text}" for name, text in zip(names, texts, strict=True)]
    return "\n".join([*lines, *filter(None, [sentence])])
