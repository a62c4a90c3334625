"""`tunegate verify`: is every entry of dvc.lock a run that happened, on what stands at the commit?

Reads git, DVC's cache and remote; leaves the working tree alone. A stage that the run cache cannot hold is run again in
a scratch checkout.
"""

import sys
from typing import Annotated, Any

import typer

from tunegate.errors import RefusedError, UsageError
from tunegate.files import to_json
from tunegate.repository.lock import FILE
from tunegate.repository.snapshot import Snapshot

_HEAD = ("stage", "proof")
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
        bad = [proof for proof in proofs if not (proof.proven or (allow_stale and proof.state in ("stale", "missing")))]
        sentence = _rescored(snapshot, rescore) if rescore and not bad else ""
    found: dict[str, Any] = {"proven": not bad, "stages": [proof.as_json() for proof in proofs]}
    if sentence:
        found["rescored"] = sentence
    if as_json:
        print(to_json(found), end="")
    else:
        rows = [(proof.stage, proof.how or f"NOT PROVEN ({proof.state}): {proof.problems[0]}") for proof in proofs]
        print(_table([_HEAD, *rows]))
        print(sentence, end="\n" if sentence else "")
    if bad:
        for proof in bad:
            for problem in proof.problems[1:]:
                print(f"{proof.stage}: {problem}", file=sys.stderr)
        names = ", ".join(proof.stage for proof in bad)
        raise RefusedError(
            f"not proven to be a run of this commit: {names}", place=snapshot.place(FILE), remedy=_REMEDY
        )


def _rescored(snapshot: Snapshot, rows: int) -> str:
    from tunegate.gate.rescoring import check_sample

    return check_sample(snapshot, rows=rows)


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in rows)
