"""`tunegate verify`: is every entry of dvc.lock a run that happened, on what stands at the commit?

Reads git, DVC's cache and remote; leaves the working tree alone. A stage that the run cache cannot hold is run again in
a scratch checkout.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.errors import RefusedError, UsageError
from tunegate.files import to_json
from tunegate.repository.lock import FILE
from tunegate.repository.snapshot import Snapshot

if TYPE_CHECKING:
    from tunegate.repository.proof import StageProof

_REMEDY = "run `tunegate lock repair`, `dvc repro` and `dvc push --run-cache`, and commit dvc.lock"


def verify(
    merge: Annotated[
        str | None, typer.Option(metavar="REV", help="Verify the result of merging HEAD into this, as a forge would.")
    ] = None,
    head: Annotated[str | None, typer.Option(metavar="REV", help="Verify this commit, not the working tree.")] = None,
    rescore: Annotated[
        int, typer.Option(metavar="N", min=0, help="Score N random test rows again with the locked model.")
    ] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run no stage again: of some it then only says they fit.")
    ] = False,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Let stages be that must run yet: before a push that CI trains for.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Prove that every entry of dvc.lock is a run that happened. Example: tunegate verify --merge origin/main

    The working tree is its tracked files as they are; what git does not know is not part of it. Exits with 3, and names
    the stages, when one is not proven or a score does not reproduce.
    """
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.proof import prove
    from tunegate.repository.revisions import open_repository

    if rescore and (quick or allow_stale):
        raise UsageError("--rescore needs the whole proof", remedy="drop --quick and --allow-stale")
    repository = open_repository()
    commit = repository.resolve(head) if head else None
    if merge:
        commit = repository.merge_commit(merge, commit or "HEAD")
    with open_outputs(repository.root) as outputs:
        snapshot = Snapshot(repository, commit, outputs)
        proofs = prove(snapshot, quick=quick)
        bad = [proof for proof in proofs if not (proof.proven or (allow_stale and proof.waits))]
        sentence = _rescored(snapshot, rescore) if rescore and not bad else ""
    print(_as_json(proofs, sentence) if as_json else proofs_as_text(proofs, sentence))
    if bad:
        names = ", ".join(proof.stage for proof in bad)
        problem = f"not proven to be a run of this commit: {names}"
        raise RefusedError(problem, place=snapshot.place(FILE), remedy=_REMEDY)


def _as_json(proofs: Sequence["StageProof"], sentence: str) -> str:
    found: dict[str, Any] = {"proven": all(proof.proven for proof in proofs)}
    found["stages"] = [proof.as_json() for proof in proofs]
    return to_json(found | ({"rescored": sentence} if sentence else {})).rstrip()


def proofs_as_text(proofs: Sequence["StageProof"], sentence: str = "") -> str:
    """A table of the stages, with what proves each or what is wrong with it; `sentence` stands below."""
    width = max(len(proof.stage) for proof in proofs)
    lines = [f"{'stage'.ljust(width)}  proof"]
    for proof in proofs:
        said = (
            [proof.how] if proof.proven else [f"NOT PROVEN ({proof.state}): {proof.problems[0]}", *proof.problems[1:]]
        )
        lines += [f"{(proof.stage if line is said[0] else '').ljust(width)}  {line}" for line in said]
    return "\n".join([*lines, *filter(None, [sentence])])


def _rescored(snapshot: Snapshot, rows: int) -> str:
    from tunegate.evaluation.rescoring import check_sample

    return check_sample(snapshot, rows=rows)
