"""The training loop: phases of steps, exact resume, a recorded trajectory, validation, an answer to signals.

Every optimizer step takes whole examples. A signal lets the current step finish, saves a checkpoint and leaves with
128 + its number; between phases it ends the run at once, for a checkpoint was saved then. What is learned, and from
what, is the technique's. This module reads and writes nothing but checkpoints.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from tunegate.errors import InputError
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint, divergence, signals
from tunegate.training.adapter import trainable
from tunegate.training.fast import path as fast_path
from tunegate.training.optimizer_step import Stepper
from tunegate.training.optimizers import learning_rate, optimizer_of
from tunegate.training.parallel import sharding
from tunegate.training.parallel.team import ALONE, Team
from tunegate.training.selection import Selection, has_stalled
from tunegate.training.state import Trained
from tunegate.training.technique import Step, Technique


def run(  # noqa: PLR0913 (what is trained, on what, how, and by whom)
    model: Any,
    train: Sequence[Example],
    valid: Sequence[Example],
    settings: Train,
    technique: Technique,
    fingerprint: dict[str, Any],
    *,
    team: Team = ALONE,
) -> checkpoint.Progress:
    """Train the trainable parameters of `model` in place, from the checkpoint if there is one; return the progress.

    Raises RefusedError when the checkpoint is another run's, the divergence detector stops the run, or the processes
    of the team do not train the same; InputError when a split has no rows; MachineError when memory or disk run out.
    """
    sharding.require(settings, team)
    team.require_agreement({key: value for key, value in fingerprint.items() if key != "machine"})
    team.seed_by_rank(settings.seed)
    if technique.rows is not None:
        train, valid = technique.rows(train, valid)
    _require_rows(train=train, valid=valid)
    fast_path.install(model)
    stepper = _stepper(model, settings, technique, team)
    trained = Trained(stepper.parameters, stepper.optimizer, Selection(stepper.parameters, settings))
    progress = checkpoint.resume(trained, fingerprint, team=team)
    for phase in range(progress.phase, technique.phases):
        if progress.phase_step == 0 and technique.begin is not None:
            with stepper.explained(f"before phase {phase + 1}"):
                progress.state = team.broadcast(technique.begin(stepper.model, train, phase))
        plan = technique.plan(train, settings, progress.state)
        if progress.step == 0:
            stepper.probe_memory(plan)
        _phase(stepper, trained, plan, valid, progress, fingerprint)
    trained.selection.finish()
    sharding.unshard(stepper.model, team)
    fast_path.uninstall(stepper.model)
    return progress


def _require_rows(**splits: Sequence[Example]) -> None:
    for split, rows in splits.items():
        if not rows:
            remedy = "add rows, or change what the stages before drop: the ledger.json of each counts it"
            raise InputError("no rows", place=f"split {split}", remedy=remedy)


def _stepper(model: Any, settings: Train, technique: Technique, team: Team) -> Stepper:
    precision = "bf16" if settings.precision == "bf16" else "no"
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision=precision)
    if team.sharded:
        model = sharding.shard(model, accelerator)
    parameters = trainable(model)
    optimizer = optimizer_of(parameters, settings)
    return Stepper(model.to(accelerator.device), parameters, optimizer, accelerator, settings, technique, team)


def _phase(
    stepper: Stepper,
    trained: Trained,
    plan: list[Step],
    valid: Sequence[Example],
    progress: checkpoint.Progress,
    fingerprint: dict[str, Any],
) -> None:
    settings, team = stepper.settings, stepper.team

    def save() -> None:
        # A checkpoint saved on a signal while the loss is suspicious replaces no good one.
        keep = None if divergence.is_suspicious(progress.records) else settings.keep_checkpoints
        checkpoint.save(progress, trained, fingerprint, team=team, keep=keep)

    with signals.noted(impatient=team.size == 1) as caught, _bar(len(plan), progress.phase_step, team) as bar:
        for step in plan[progress.phase_step :]:
            # Checked before a step, not after one: a run that is killed in between then stops at the same step.
            if has_stalled(_of_phase(progress), settings.early_stopping):
                break
            started = time.perf_counter()
            _step(stepper, trained, plan, step, valid, progress)
            progress.seconds += time.perf_counter() - started
            _show(bar, progress.records[-1])
            # A signal to one process stops all of them after the same step.
            signalled = team.maximum(caught[0] if caught else 0)
            is_due = progress.step % settings.checkpoint_every == 0 and not divergence.is_suspicious(progress.records)
            if signalled or is_due:
                save()
            if signalled:
                signals.leave(signalled, progress.step)
        progress.phase, progress.phase_step = progress.phase + 1, 0
        if progress.phase < stepper.technique.phases:
            # What begins the next phase may take long, and a signal ends it at once.
            save()
            if signalled := team.maximum(caught[0] if caught else 0):
                signals.leave(signalled, progress.step)


def _step(
    stepper: Stepper,
    trained: Trained,
    plan: list[Step],
    step: Step,
    valid: Sequence[Example],
    progress: checkpoint.Progress,
) -> None:
    rate = learning_rate(progress.phase_step, len(plan), stepper.settings)
    measured = stepper.step(step.examples, progress.step, rate)
    progress.step += 1
    progress.phase_step += 1
    trained.selection.follow(progress.step)
    record: dict[str, Any] = {"step": progress.step, "epoch": step.epoch, "valid_loss": None} | measured
    progress.records.append(record)
    divergence.check(progress.records, [example.id for example in step.examples])
    if stepper.technique.watch is not None:
        stepper.technique.watch(progress.records)
    if _measures(stepper.settings, step, progress, len(plan)):
        with trained.selection.kept():
            record["valid_loss"] = stepper.mean_loss(valid)
    trained.selection.remember(progress.records)


def _measures(settings: Train, step: Step, progress: checkpoint.Progress, steps: int) -> bool:
    """Whether the validation rows are measured after this step. The last one always is: it may be the one kept."""
    if settings.validate_every is None:
        return step.ends_epoch or progress.phase_step == steps
    return progress.step % settings.validate_every == 0 or progress.phase_step == steps


def _of_phase(progress: checkpoint.Progress) -> list[dict[str, Any]]:
    return progress.records[len(progress.records) - progress.phase_step :]


@contextlib.contextmanager
def _bar(total: int, done: int, team: Team) -> Iterator["tqdm[Any]"]:
    bar = tqdm(total=total, initial=done, desc="train", unit="step", mininterval=1.0, disable=not team.is_first)
    bar.started, bar.units, bar.valid = time.monotonic(), 0, ""
    with bar:
        yield bar


def _show(bar: Any, record: dict[str, Any]) -> None:
    bar.units += record["units"]
    speed = bar.units / (time.monotonic() - bar.started)
    if record["valid_loss"] is not None:
        bar.valid = f", valid {record['valid_loss']:.3f}"
    bar.set_postfix_str(f"loss {record['loss']:.3f}{bar.valid}, {speed:,.0f} trained/s", refresh=False)
    bar.update()
