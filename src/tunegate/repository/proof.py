"""Proof of run: that every entry of dvc.lock is a run that happened, on what stands at the commit.

A stage is proven when its entry is about the commit (same command, parameters, dependencies; `pipeline`), the run is
remembered by DVC's run cache here or on the remote (`runs`), and its outputs that git keeps are what came out. A stage
that the run cache cannot hold is run again in a scratch checkout; one whose definition forbids a proof has none. The
definition is the change's own word. Writes nothing into the project. It proves nothing
against a person who may write to cache or remote, and so can fake a run: scoring again does.
"""

import dataclasses
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, Literal

from tunegate.errors import InputError
from tunegate.repository import lock as locks
from tunegate.repository.pipeline import Pipeline, Stage, open_pipeline
from tunegate.repository.runs import Runs
from tunegate.repository.scratch import place_outputs, run_stages, scratch
from tunegate.repository.snapshot import Snapshot

AGAIN = "run again here"
NOT_RUN_AGAIN = "fits, not run again"
JUDGED = "models/predictions.parquet"
"""What the gate judges. No input of it passes without a proof, `quick` or not."""

_UNREMEMBERED = f"DVC remembers no run of it, and {JUDGED} depends on it: `tunegate verify` runs it again to prove it"

State = Literal["proven", "missing", "stale", "unproven", "different"]


@dataclasses.dataclass(frozen=True)
class StageProof:
    """The proof of one stage's entry in dvc.lock."""

    stage: str
    state: State
    """`missing`: no entry. `stale`: its run was on something else. `unproven`: no such run is remembered.
    `different`: something else came out, or stands in git."""
    how: str = ""
    """What proves it: the run cache here or on the remote, or that it was run again."""
    problems: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether the run happened, on what stands at the commit, and gave what the entry says."""
        return self.state == "proven"

    @property
    def waits(self) -> bool:
        """Whether its run is still to be made."""
        return self.state in ("missing", "stale")

    def as_json(self) -> dict[str, Any]:
        """For `tunegate verify --json`."""
        return {**dataclasses.asdict(self), "problems": list(self.problems)}


def prove(snapshot: Snapshot, *, quick: bool = False) -> list[StageProof]:
    """The proof of every stage of dvc.yaml, in its order, and of what dvc.lock has beyond them.

    `quick` runs no stage again: of one that the run cache cannot hold it is only said that it fits, or, where the
    gate's answers depend on it, that it is not proven. Raises InputError for a damaged run cache or a dvc.yaml that
    DVC cannot read, MachineError when the remote is silent.
    """
    commit = snapshot.commit or snapshot.repository.working_commit()
    fixed = dataclasses.replace(snapshot, commit=commit)
    text = fixed.text(locks.FILE)
    lock = {} if text is None else locks.parse_lock(text, place=snapshot.place(locks.FILE))
    pipeline = open_pipeline(snapshot.repository, commit, snapshot.outputs, place=snapshot.place("dvc.yaml"))
    runs = Runs(snapshot.repository.root)
    needed = pipeline.upstream(JUDGED) if quick else frozenset()
    proofs = [_prove(stage, lock, pipeline, runs, needed) for stage in pipeline.stages.values()]
    if not quick:
        waiting = [pipeline.stages[proof.stage] for proof in proofs if proof.how == NOT_RUN_AGAIN]
        proofs = _with(proofs, _run_again(fixed, waiting))
    extra = [name for name in lock if name not in pipeline.stages]
    return [*proofs, *(StageProof(name, "stale", problems=("is not a stage of dvc.yaml",)) for name in extra)]


def _prove(stage: Stage, lock: locks.Lock, pipeline: Pipeline, runs: Runs, needed: Set[str]) -> StageProof:
    entry = lock.get(stage.name)
    if entry is None:
        return StageProof(stage.name, "missing", problems=("dvc.lock has no run of it",))
    stale, edited = pipeline.outdated(stage, entry, lock), pipeline.edited(stage, entry)
    where, why = _remembered_run(stage, entry, runs)
    if why:
        return StageProof(stage.name, "unproven", problems=(*why, *stale))
    if edited:
        return StageProof(stage.name, "different", problems=(*edited, *stale))
    if stale:
        return StageProof(stage.name, "stale", problems=tuple(stale))
    if where == NOT_RUN_AGAIN and stage.name in needed:
        return StageProof(stage.name, "unproven", problems=(_UNREMEMBERED,))
    return StageProof(stage.name, "proven", where)


def _remembered_run(stage: Stage, entry: locks.Entry, runs: Runs) -> tuple[str, tuple[str, ...]]:
    """Where the run is remembered, or why nothing can prove it."""
    if stage.unprovable:
        return "", stage.unprovable
    where = runs.find(entry) if stage.remembered else NOT_RUN_AGAIN
    if where:
        return where, ()
    remote = f"; {runs.no_remote}" if runs.no_remote else ", nor on the DVC remote"
    return "", (f"no such run in the run cache here{remote}",)


def _run_again(snapshot: Snapshot, stages: Sequence[Stage]) -> list[StageProof]:
    if not stages:
        return []
    with scratch(snapshot.repository, snapshot.commit) as folder:
        return [_again(snapshot, stage, folder) for stage in stages]


def _again(snapshot: Snapshot, stage: Stage, folder: Path) -> StageProof:
    inputs = [
        locked for path in stage.deps.values() if (locked := snapshot.locked(path)) and not (folder / path).exists()
    ]
    for locked in inputs:
        snapshot.outputs.path_of(locked)
    place_outputs(folder, [locked.path for locked in inputs])
    try:
        run_stages(folder, ["--single-item", "--force", stage.name])
    except InputError as error:
        return StageProof(stage.name, "different", problems=(f"run again, it fails: {error.problem}",))
    rerun = locks.parse_lock((folder / locks.FILE).read_text(encoding="utf-8"), place=locks.FILE)[stage.name]
    problems = [
        f"{path}: {out.md5} was locked, {rerun.outs[path].md5} came out when run again"
        for path, out in snapshot.lock[stage.name].outs.items()
        if rerun.outs[path].md5 != out.md5
    ]
    if problems:
        return StageProof(stage.name, "different", problems=tuple(problems))
    return StageProof(stage.name, "proven", AGAIN)


def _with(proofs: Sequence[StageProof], newer: Sequence[StageProof]) -> list[StageProof]:
    by_name = {proof.stage: proof for proof in newer}
    return [by_name.get(proof.stage, proof) for proof in proofs]
