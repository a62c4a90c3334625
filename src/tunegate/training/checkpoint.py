"""Checkpoints: everything the next step depends on, written atomically, resumed exactly or refused.

A checkpoint holds the adapter, AdamW's moments, the random states of all processes and the trajectory so far, as
safetensors and JSON, with the fingerprint of the run that made it. The first process of a team writes it, with whole
tensors also where each process holds a part of them; all read it. It lives in tunegate's own untracked folder, because
DVC empties a stage's outputs before it runs.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tunegate.errors import RefusedError
from tunegate.files import STATE, atomic_folder, read_json, write_json
from tunegate.training.distributed import ALONE, Team, part_of, whole
from tunegate.training.technique import State

FOLDER = STATE / "checkpoint"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


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
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    fingerprint: dict[str, Any],
    *,
    team: Team = ALONE,
    folder: Path = FOLDER,
) -> None:
    """Replace the checkpoint by the state after `progress.step` steps. Every process of the team must call this."""
    tensors = _random_states(team)
    for name, parameter in parameters.items():
        tensors[f"weight.{name}"] = whole(parameter.detach()).cpu().contiguous()
        for moment in _MOMENTS:
            if parameter in optimizer.state:
                tensors[f"{moment}.{name}"] = whole(optimizer.state[parameter][moment].detach()).cpu().contiguous()
    if not team.is_first:
        return
    with atomic_folder(folder) as new:
        save_file(tensors, new / "state.safetensors")
        write_json(new / "run.json", {"fingerprint": fingerprint} | dataclasses.asdict(progress))


def resume(
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    fingerprint: dict[str, Any],
    *,
    team: Team = ALONE,
    folder: Path = FOLDER,
) -> Progress:
    """Load the checkpoint, if there is one, into parameters, optimizer and torch's random state.

    Raises RefusedError with the differences when another run made it: resuming with other data or parameters would give
    a model that no commit describes.
    """
    run = read_json(folder / "run.json") if folder.exists() else {}
    team.agree({f"{folder} (the folder must be one that all nodes share)": run.get("step")})
    if not run:
        return Progress()
    if changed := differences(run["fingerprint"], fingerprint):
        problem = "a killed run left a checkpoint that does not fit this one:\n  " + "\n  ".join(changed)
        remedy = f"restore what changed to resume, or delete {folder} to start again from step 0"
        raise RefusedError(problem, place=str(folder), remedy=remedy)
    tensors = load_file(folder / "state.safetensors")
    for name, parameter in parameters.items():
        with torch.no_grad():
            parameter.copy_(part_of(tensors[f"weight.{name}"], parameter))
        moments = {m: tensors[f"{m}.{name}"] for m in _MOMENTS if f"{m}.{name}" in tensors}
        if moments:
            optimizer.state[parameter] = {m: t if m == "step" else part_of(t, parameter) for m, t in moments.items()}
    torch.set_rng_state(tensors[f"random.{team.rank}"])
    if torch.cuda.is_available() and f"random.cuda.{team.rank}" in tensors:
        torch.cuda.set_rng_state(tensors[f"random.cuda.{team.rank}"])
    known = {name: run[name] for name in ("step", "phase", "phase_step", "state", "records", "seconds")}
    return Progress(**known, resumed=True)


def _random_states(team: Team) -> dict[str, torch.Tensor]:
    """Those of all processes, by rank: they draw different numbers, for dropout and answers."""
    states = {f"random.{rank}": state for rank, state in enumerate(team.gathered(torch.get_rng_state()))}
    if torch.cuda.is_available():
        found = team.gathered(torch.cuda.get_rng_state())
        states |= {f"random.cuda.{rank}": state for rank, state in enumerate(found)}
    return states


def discard(folder: Path = FOLDER) -> None:
    """Remove the checkpoint: the run is complete."""
    shutil.rmtree(folder, ignore_errors=True)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`key: old → new` for every key whose value differs."""
    keys = sorted(old.keys() | new.keys())
    return [f"{key}: {_short(old.get(key))} → {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)]


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
