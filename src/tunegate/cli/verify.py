"""`tunegate verify`: is every entry of dvc.lock a run that happened, on what the commit contains?

Reads git, DVC's cache and remote; leaves the working tree alone. A stage that the run cache cannot hold is run again in
a scratch checkout.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunegate.errors import UsageError
from tunegate.files import to_json
from tunegate.repository.lock import FILE
from tunegate.repository.snapshot import Snapshot

if TYPE_CHECKING:
    from tunegate.repository.proof import StageProof


def verify(
    merge: Annotated[
        str | None, typer.Option(metavar="REV", help="Verify the result of merging HEAD into this, as a forge would.")
    ] = None,
    head: Annotated[str | None, typer.Option(metavar="REV", help="Verify this commit, not the working tree.")] = None,
    rescore: Annotated[
        int, typer.Option(metavar="N", min=0, help="Score N random test rows again with the locked model.")
    ] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run no stage again: some are then only found to fit.")
    ] = False,
    allow_stale: Annotated[
        bool,
        typer.Option("--allow-stale", help="Accept stages that still have to run, as CI trains them."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the proofs as JSON.")] = False,
) -> None:
    """Prove that every entry of dvc.lock is a run that happened. Example: tunegate verify --merge origin/main

    The working tree is its tracked files as they are, without untracked ones. Exits with 3, and names the stages, when
    one is not proven or a score does not reproduce.
    """
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.proof import prove
    from tunegate.repository.revisions import open_repository
    from tunegate.review.proofs import proofs_as_text, refuse_unproven

    if rescore and (quick or allow_stale):
        raise UsageError("--rescore needs the whole proof", remedy="drop --quick and --allow-stale")
    repository = open_repository()
    commit = repository.resolve(head) if head else None
    if merge:
        commit = repository.merge_commit(merge, commit or "HEAD")
    with open_outputs(repository.root) as outputs:
        snapshot = Snapshot(repository, commit, outputs)
        proofs = prove(snapshot, quick=quick)
        proven = all(proof.proven for proof in proofs)
        sentence = _rescored(snapshot, rescore) if rescore and proven else ""
    print(_as_json(proofs, sentence) if as_json else proofs_as_text(proofs, sentence))
    refuse_unproven(proofs, place=snapshot.place(FILE), allow_waiting=allow_stale)


def _as_json(proofs: Sequence["StageProof"], sentence: str) -> str:
    report: dict[str, Any] = {"proven": all(proof.proven for proof in proofs)}
    report["stages"] = [proof.as_json() for proof in proofs]
    return to_json(report | ({"rescored": sentence} if sentence else {})).rstrip()


def _rescored(snapshot: Snapshot, rows: int) -> str:
    from tunegate.evaluation.rescoring import check_sample

    return check_sample(snapshot, rows=rows)
