"""The training loop: phases of steps, exact resume, a recorded trajectory, validation, an answer to signals.

Every optimizer step is one batch of whole examples. A signal lets the current step finish, saves a checkpoint and
leaves with 128 + its number. What is learned, and from what, is the technique's. This module reads and writes nothing
but checkpoints.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from tunegate.models.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint, interrupts, sharding
from tunegate.training.adapter import trainable
from tunegate.training.distributed import ALONE, Team
from tunegate.training.schedule import learning_rate
from tunegate.training.stepping import Stepper
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

    Raises RefusedError when the checkpoint is another run's, the loss stops being a number, or the processes of the
    team do not train the same.
    """
    sharding.require(technique, settings, team)
    rows = hashlib.sha256(repr([*train, *valid]).encode()).hexdigest() if team.size > 1 else ""
    team.agree({"rows": rows, **{key: value for key, value in fingerprint.items() if key != "machine"}})
    team.draw_apart(settings.seed)
    if technique.rows is not None:
        train, valid = technique.rows(train, valid)
    stepper = _stepper(model, settings, technique, team)
    progress = checkpoint.resume(stepper.parameters, stepper.optimizer, fingerprint, team=team)
    for phase in range(progress.phase, technique.phases):
        if progress.phase_step == 0 and technique.begin is not None:
            progress.state = team.told(technique.begin(stepper.model, train, phase))
        plan = technique.plan(train, settings, progress.state)
        _phase(stepper, plan, valid, progress, fingerprint)
        progress.phase, progress.phase_step = phase + 1, 0
    sharding.unshard(stepper.model, team)
    return progress


def _stepper(model: Any, settings: Train, technique: Technique, team: Team) -> Stepper:
    precision = "bf16" if settings.precision == "bf16" else "no"
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision=precision)
    if team.sharded:
        model = sharding.shard(model, accelerator)
    parameters = trainable(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return Stepper(model.to(accelerator.device), parameters, optimizer, accelerator, settings, technique, team)


def _phase(
    stepper: Stepper,
    plan: list[Step],
    valid: Sequence[Example],
    progress: checkpoint.Progress,
    fingerprint: dict[str, Any],
) -> None:
    settings = stepper.settings
    with interrupts.noted() as caught, _bar(len(plan), progress.phase_step, stepper.team) as bar:
        for step in plan[progress.phase_step :]:
            started = time.perf_counter()
            rate = learning_rate(progress.phase_step, len(plan), settings)
            record = stepper.step(step.examples, progress.step, rate)
            progress.step += 1
            progress.phase_step += 1
            valid_loss = stepper.mean_loss(valid) if step.ends_epoch else None
            progress.records.append({"step": progress.step, "epoch": step.epoch, "valid_loss": valid_loss} | record)
            progress.seconds += time.perf_counter() - started
            _show(bar, record)
            # A signal to one process stops all of them after the same step.
            signalled = stepper.team.most(caught[0] if caught else 0)
            if signalled or progress.step % settings.checkpoint_every == 0:
                checkpoint.save(progress, stepper.parameters, stepper.optimizer, fingerprint, team=stepper.team)
            if signalled:
                interrupts.leave(signalled, progress.step)


@contextlib.contextmanager
def _bar(total: int, done: int, team: Team) -> Iterator["tqdm[Any]"]:
    bar = tqdm(total=total, initial=done, desc="train", unit="step", mininterval=1.0, disable=not team.is_first)
    bar.started, bar.tokens = time.monotonic(), 0
    with bar:
        yield bar


def _show(bar: Any, record: dict[str, Any]) -> None:
    bar.tokens += record["tokens"]
    speed = bar.tokens / (time.monotonic() - bar.started)
    bar.set_postfix_str(f"loss {record['loss']:.3f}, {speed:,.0f} tokens/s", refresh=False)
    bar.update()
