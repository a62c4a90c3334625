"""Checkpoints: everything the next step depends on, written atomically, resumed exactly or refused.

A checkpoint is a folder named after its step: safetensors and JSON, with the fingerprint of the run that made it, the
trajectory so far, and a seal by which a damaged byte is noticed. The first process of a team writes it; all read it.
Checkpoints live in tunegate's own untracked folder, because DVC empties a stage's outputs before it runs.
"""

import dataclasses
import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.files import STATE, atomic_folder, read_json, sha256_of, to_json, write_json
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.state import Tensors, Trained
from tunegate.training.technique import State

FOLDER = STATE / "checkpoint"
TENSORS = "state.safetensors"
RUN = "run.json"
SEAL = "sha256"
_RESUMED = ("step", "phase", "phase_step", "state", "records", "seconds")
"""Of run.json, what a run goes on with."""


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
    """What the technique holds besides the weights."""
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
    keep: int | None = 1,
    folder: Path = FOLDER,
) -> None:
    """Write the state after `progress.step` steps, then drop all but the newest `keep` checkpoints; None keeps all.

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
            write_json(new / RUN, run | {SEAL: seal_of(run, new / TENSORS)})
    except (OSError, SafetensorError) as error:
        raise _unwritten(progress.step, error, folder) from None
    if keep is not None:
        for old in _newest_first(folder)[keep:]:
            _remove(old)


def resume(trained: Trained, fingerprint: dict[str, Any], *, team: Team = ALONE, folder: Path = FOLDER) -> Progress:
    """Load the newest checkpoint that can be read, if there is any, into what is trained and torch's random state.

    Newer ones that are broken are removed, or they would count as checkpoints; so is what a kill left half-written.
    Raises RefusedError with the differences when another run made it: resuming with other data or parameters would give
    a model that no commit describes; and when there are checkpoints, but none that can be read.
    """
    run, tensors, broken = _newest(folder, team)
    team.require_agreement({f"{folder} (the folder must be one that all nodes share)": run.get("step")})
    if not run:
        _clear(folder, team)
        return Progress()
    if changed := differences(run["fingerprint"], fingerprint):
        problem = "a killed run left a checkpoint that does not fit this one:\n  " + "\n  ".join(changed)
        remedy = f"restore what changed to resume, or delete {folder} to start again from step 0"
        raise RefusedError(problem, place=str(folder), remedy=remedy)
    _clear(folder, team, broken)
    trained.restore(tensors, run["optimizer"], team)
    return Progress(**{name: run[name] for name in _RESUMED}, resumed=True)


def discard(folder: Path = FOLDER) -> None:
    """Remove all checkpoints: the run is complete."""
    if folder.exists():
        _remove(folder)


def newest(folder: Path = FOLDER) -> Path | None:
    """The folder of the newest checkpoint."""
    return next(iter(_newest_first(folder)), None)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`key: old → new` for every key whose value differs."""
    keys = sorted(old.keys() | new.keys())
    return [f"{key}: {_short(old.get(key))} → {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)]


def seal_of(run: dict[str, Any], tensors: Path) -> str:
    """One sha256 over run.json, but for the seal itself, and the tensors."""
    return hashlib.sha256((to_json(run) + sha256_of(tensors)).encode()).hexdigest()


def _newest(folder: Path, team: Team) -> tuple[dict[str, Any], Tensors, list[Path]]:
    """What the newest readable checkpoint holds, and the newer ones that are broken; says on stderr which those are."""
    broken: dict[Path, str] = {}
    for each in _newest_first(folder):
        try:
            return _read(each), load_file(each / TENSORS), list(broken)
        except (InputError, SafetensorError, OSError) as error:
            broken[each] = error.problem if isinstance(error, InputError) else str(error).splitlines()[0]
            if team.is_first:
                print(f"train: a broken checkpoint is passed over: {each}: {broken[each]}", file=sys.stderr)  # noqa: T201
    if broken:
        problem = "no checkpoint of a killed run can be read:\n  " + "\n  ".join(
            f"{each}: {what}" for each, what in broken.items()
        )
        remedy = f"delete {folder} to start again from step 0; train.keep_checkpoints keeps older ones too"
        raise RefusedError(problem, place=str(folder), remedy=remedy)
    return {}, {}, []


def _read(folder: Path) -> dict[str, Any]:
    run, required = read_json(folder / RUN), ("fingerprint", "optimizer", *_RESUMED, SEAL)
    lacking = [name for name in required if not isinstance(run, dict) or name not in run]
    if lacking:
        raise InputError(f"{RUN} lacks {', '.join(lacking)}", place=str(folder))
    if run.pop(SEAL) != seal_of(run, folder / TENSORS):
        raise InputError("its bytes differ from those that were saved", place=str(folder))
    return dict(run)


def _clear(folder: Path, team: Team, broken: Sequence[Path] = ()) -> None:
    """Remove these, and what a run left under a hidden name that was killed while it saved or removed."""
    if not team.is_first:
        return
    for path in broken:
        _remove(path)
    hidden = folder.iterdir() if folder.is_dir() else ()
    for path in [_trash_of(folder), *(path for path in hidden if path.name.startswith("."))]:
        shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a folder so that a kill in between leaves no half of it under its name."""
    trash = _trash_of(path)
    shutil.rmtree(trash, ignore_errors=True)
    path.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def _trash_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _newest_first(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if path.name.isdecimal()), reverse=True)


def _unwritten(step: int, error: Exception, folder: Path) -> MachineError:
    last = newest(folder)
    then = f"it resumes after step {int(last.name)}" if last else "it starts again, for there is none before it"
    problem = f"the checkpoint of step {step} cannot be written: {str(error).splitlines()[0]}"
    return MachineError(problem, place=str(folder), remedy=f"make room on the disk and run `dvc repro`: {then}")


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
