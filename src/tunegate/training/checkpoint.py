"""Checkpoints: everything the next step depends on, written atomically, resumed exactly or refused.

A checkpoint is a folder named after its step: safetensors and JSON, with the fingerprint of the run that made it and
the trajectory so far. The first process of a team writes it; all read it. Checkpoints live in tunegate's own untracked
folder, because DVC empties a stage's outputs before it runs.
"""

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.files import STATE, atomic_folder, read_json, write_json
from tunegate.training.distributed import ALONE, Team
from tunegate.training.state import Tensors, Trained
from tunegate.training.technique import State

FOLDER = STATE / "checkpoint"
TENSORS = "state.safetensors"
RUN = "run.json"


@dataclasses.dataclass
class Progress:
    """How far a run is, what it has recorded, and how long it took."""

    step: int = 0
    """Optimizer steps done."""
    phase: int = 0
    """Phases done."""
    phase_step: int = 0
    """Steps of the current phase done."""
    state: State = dataclasses.field(default_factory=dict)
    """What the technique knows beyond the weights."""
    records: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """One record per step, as in the trajectory."""
    seconds: float = 0.0
    """Spent on these steps; those of steps that a kill threw away are not among them."""
    resumed: bool = False
    """Whether it came from a checkpoint."""


def save(
    progress: Progress,
    trained: Trained,
    fingerprint: dict[str, Any],
    *,
    team: Team = ALONE,
    keep: int = 1,
    folder: Path = FOLDER,
) -> None:
    """Write the state after `progress.step` steps, then drop all but the newest `keep` checkpoints.

    Every process of the team must call this. Raises MachineError when the disk does not take it; the checkpoints before
    it are then as they were.
    """
    tensors = trained.tensors(team)
    if not team.is_first:
        return
    run = {"fingerprint": fingerprint, "optimizer": trained.numbers()} | dataclasses.asdict(progress)
    try:
        with atomic_folder(folder / f"{progress.step:08d}") as new:
            save_file(tensors, new / TENSORS)
            write_json(new / RUN, run)
    except (OSError, SafetensorError) as error:
        raise _unwritten(progress.step, error, folder) from None
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old)


def resume(trained: Trained, fingerprint: dict[str, Any], *, team: Team = ALONE, folder: Path = FOLDER) -> Progress:
    """Load the newest checkpoint that can be read, if there is any, into what is trained and torch's random state.

    Raises RefusedError with the differences when another run made it: resuming with other data or parameters would give
    a model that no commit describes; and when there are checkpoints, but none that can be read.
    """
    run, tensors = _newest(folder, team)
    team.agree({f"{folder} (the folder must be one that all nodes share)": run.get("step")})
    if not run:
        return Progress()
    if changed := differences(run["fingerprint"], fingerprint):
        problem = "a killed run left a checkpoint that does not fit this one:\n  " + "\n  ".join(changed)
        remedy = f"restore what changed to resume, or delete {folder} to start again from step 0"
        raise RefusedError(problem, place=str(folder), remedy=remedy)
    trained.restore(tensors, run["optimizer"], team)
    known = {name: run[name] for name in ("step", "phase", "phase_step", "state", "records", "seconds")}
    return Progress(**known, resumed=True)


def discard(folder: Path = FOLDER) -> None:
    """Remove all checkpoints: the run is complete."""
    shutil.rmtree(folder, ignore_errors=True)


def newest(folder: Path = FOLDER) -> Path | None:
    """The folder of the newest checkpoint."""
    return next(iter(_newest_first(folder)), None)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`key: old → new` for every key whose value differs."""
    keys = sorted(old.keys() | new.keys())
    return [f"{key}: {_short(old.get(key))} → {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)]


def _newest(folder: Path, team: Team) -> tuple[dict[str, Any], Tensors]:
    """What the newest readable checkpoint holds; says on stderr which newer ones are broken."""
    broken = []
    for each in _newest_first(folder):
        try:
            return read_json(each / RUN), load_file(each / TENSORS)
        except (InputError, SafetensorError, OSError) as error:
            what = error.problem if isinstance(error, InputError) else str(error).splitlines()[0]
            broken.append(f"{each}: {what}")
            if team.is_first:
                print(f"train: a broken checkpoint is passed over: {broken[-1]}", file=sys.stderr)  # noqa: T201
    if broken:
        problem = "no checkpoint of a killed run can be read:\n  " + "\n  ".join(broken)
        remedy = f"delete {folder} to start again from step 0; train.keep_checkpoints keeps older ones too"
        raise RefusedError(problem, place=str(folder), remedy=remedy)
    return {}, {}


def _newest_first(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in found if path.name.isdecimal()), reverse=True)


def _unwritten(step: int, error: Exception, folder: Path) -> MachineError:
    last = newest(folder)
    then = f"it resumes after step {int(last.name)}" if last else "it starts again, for there is none before it"
    problem = f"the checkpoint of step {step} cannot be written: {str(error).splitlines()[0]}"
    return MachineError(problem, place=str(folder), remedy=f"make room on the disk and run `dvc repro`: {then}")


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
