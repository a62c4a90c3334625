"""`tunegate lock`: merge versions of dvc.lock without inventing a run, and drop the runs that never happened.

`merge` is called by git, once `tunegate setup-git` installed it.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tunegate.errors import TunegateError

app = typer.Typer(
    help="Merge or repair dvc.lock, so that it names only runs that happened.",
    epilog="Example: tunegate lock repair && dvc repro",
    no_args_is_help=True,
)

_CONFLICT = 1
"""What git takes from a merge driver as: this is a conflict."""


@app.command()
def merge(
    base: Annotated[Path, typer.Argument(help="The common ancestor's dvc.lock (%O).")],
    ours: Annotated[Path, typer.Argument(help="This side's; the result is written here (%A).")],
    theirs: Annotated[Path, typer.Argument(help="The other side's (%B).")],
    path: Annotated[Path, typer.Option(help="Where it lies in the repository (%P); its folder has the run cache.")] = (
        Path("dvc.lock")
    ),
) -> None:
    """Merge two dvc.lock stage by stage, as git's merge driver. Example: tunegate lock merge old.lock dvc.lock new.lock

    Stages that both sides changed, and those after them, are dropped, or restored from the run cache where it has
    that combination. Exits with 1, and leaves the conflict, where a side is not a dvc.lock.
    """
    from tunegate.files import read_text, write_text
    from tunegate.repository.lock import dump_lock, parse_lock
    from tunegate.repository.lock_merge import merge as merge_locks
    from tunegate.repository.runs import Runs

    sides = ((base, "the common ancestor"), (ours, "ours"), (theirs, "theirs"))
    try:
        texts = [(read_text(file), f"{path} ({side})") for file, side in sides]
        # Where a side has no such file, git hands over an empty one.
        old, mine, other = (parse_lock(text, place=place) if text.strip() else {} for text, place in texts)
        merged = merge_locks(old, mine, other, Runs(path.parent, remote=False).with_key)
    except TunegateError as error:
        print(error, file=sys.stderr)
        sys.exit(_CONFLICT)
    write_text(ours, dump_lock(merged.lock))
    for name, reason in merged.restored.items():
        print(f"{path}: {name}: restored from the run cache ({reason})", file=sys.stderr)
    for name, reason in merged.dropped.items():
        print(f"{path}: {name}: dropped ({reason})", file=sys.stderr)
    if merged.dropped:
        print("run `dvc repro` and commit dvc.lock", file=sys.stderr)


@app.command()
def repair() -> None:
    """Drop entries that no run made, so that `dvc repro` runs them. Example: tunegate lock repair && dvc repro

    `dvc repro` by itself skips such a stage: it compares files, and does not check whether the run happened.
    """
    from tunegate.files import write_text
    from tunegate.repository.lock import FILE, dump_lock
    from tunegate.repository.outputs import open_outputs
    from tunegate.repository.proof import prove
    from tunegate.repository.revisions import open_repository
    from tunegate.repository.snapshot import Snapshot

    repository = open_repository()
    with open_outputs(repository.root) as outputs:
        snapshot = Snapshot(repository, None, outputs)
        bad = {proof.stage: proof for proof in prove(snapshot) if not proof.proven and proof.stage in snapshot.lock}
        kept = {name: entry for name, entry in snapshot.lock.items() if name not in bad}
    if not bad:
        print(f"{FILE} names only runs that happened")
        return
    write_text(repository.root / FILE, dump_lock(kept))
    for name, proof in bad.items():
        print(f"{name}: dropped: {proof.problems[0]}")
    print("run `dvc repro`, and commit dvc.lock")
