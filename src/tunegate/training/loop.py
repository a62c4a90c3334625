"""The training loop: padding-free steps, loss on the trained positions only, exact resume, a recorded trajectory.

Every optimizer step is one batch of whole examples; the loss is the mean over its trained tokens. The learning rate is
a function of the step, so that a checkpoint needs no scheduler. A signal lets the current step finish, saves a
checkpoint and leaves with 128 + its number. This module reads and writes nothing but checkpoints.
"""

import contextlib
import dataclasses
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from tunegate.errors import RefusedError, Stopped
from tunegate.models.examples import Example
from tunegate.params import Train
from tunegate.training import checkpoint
from tunegate.training.adapter import trainable
from tunegate.training.batching import Batch, collate, epoch_batches


def loss_of(model: Any, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the batch's trained positions, in nats, as a scalar fp32 tensor.

    The vocabulary projection is computed at those positions only; it is most of a small model's work.
    """
    output = model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        logits_to_keep=batch.trained,
        use_cache=False,
    )
    return torch.nn.functional.cross_entropy(output.logits[0].float(), batch.targets)


def learning_rate(step: int, steps: int, settings: Train) -> float:
    """The rate of step `step` (from 0) of `steps`: linear warm-up, then a cosine down to 0 (arXiv 1608.03983)."""
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@dataclasses.dataclass
class _Engine:
    """What one step needs."""

    model: Any
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    settings: Train
    steps: int

    def step(self, examples: list[Example], step: int) -> dict[str, Any]:
        """Do step `step` (from 0); return what it recorded. Raises RefusedError when the loss is no number."""
        rate = learning_rate(step, self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = collate(examples).to(self.settings.device)
        self.model.train()
        with self.accelerator.autocast():
            loss = loss_of(self.model, batch)
        if not torch.isfinite(loss):
            problem = f"the loss is {float(loss.detach())} at step {step + 1}, on the rows {', '.join(batch.rows)}"
            raise RefusedError(problem, place="train", remedy="lower train.learning_rate, or look at these rows")
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.max_grad_norm)
        self.optimizer.step()
        counts = {"tokens": batch.input_ids.numel(), "trained_tokens": len(batch.targets)}
        return {"loss": float(loss.detach()), "grad_norm": float(norm), "learning_rate": rate} | counts

    @torch.no_grad()
    def mean_loss(self, examples: Sequence[Example]) -> float:
        """Mean loss per trained token over the examples, in nats."""
        self.model.eval()
        total = tokens = 0.0
        for group in epoch_batches(examples, self.settings.tokens_per_step, seed=0, epoch=-1):
            batch = collate(group).to(self.settings.device)
            with self.accelerator.autocast():
                total += float(loss_of(self.model, batch)) * len(batch.targets)
            tokens += len(batch.targets)
        return total / tokens


def run(
    model: Any,
    train: Sequence[Example],
    valid: Sequence[Example],
    settings: Train,
    fingerprint: dict[str, Any],
) -> checkpoint.Progress:
    """Train the adapter in `model` in place, from the checkpoint if there is one; return the trajectory.

    Raises RefusedError when the checkpoint is another run's or the loss stops being a number.
    """
    plan = _plan(train, settings)
    precision = "bf16" if settings.precision == "bf16" else "no"
    accelerator = Accelerator(cpu=settings.device == "cpu", mixed_precision=precision)
    parameters = trainable(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    progress = checkpoint.resume(parameters, optimizer, fingerprint)
    engine = _Engine(model.to(accelerator.device), parameters, optimizer, accelerator, settings, len(plan))
    with _signals() as caught, _bar(len(plan), progress.step) as bar:
        for epoch, ends_epoch, examples in plan[progress.step :]:
            started = time.perf_counter()
            record = engine.step(examples, progress.step)
            progress.step += 1
            valid_loss = engine.mean_loss(valid) if ends_epoch else None
            progress.records.append({"step": progress.step, "epoch": epoch, "valid_loss": valid_loss} | record)
            progress.seconds += time.perf_counter() - started
            _show(bar, record)
            if caught or progress.step % settings.checkpoint_every == 0:
                checkpoint.save(progress, parameters, optimizer, fingerprint)
            if caught:
                _leave(caught[0], progress.step)
    return progress


def _plan(train: Sequence[Example], settings: Train) -> list[tuple[int, bool, list[Example]]]:
    """(epoch from 1, whether it ends the epoch, examples) for every step of the run."""
    plan = []
    for epoch in range(settings.epochs):
        batches = epoch_batches(train, settings.tokens_per_step, seed=settings.seed, epoch=epoch)
        plan += [(epoch + 1, index == len(batches) - 1, batch) for index, batch in enumerate(batches)]
    return plan


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """While open, SIGINT and SIGTERM are only noted, so that a step is done wholly or not at all."""
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _leave(number: int, step: int) -> None:
    print(f"\ntrain: checkpoint saved after step {step}; `dvc repro` resumes there", file=sys.stderr)  # noqa: T201
    raise Stopped(number)


@contextlib.contextmanager
def _bar(total: int, done: int) -> Iterator["tqdm[Any]"]:
    bar = tqdm(total=total, initial=done, desc="train", unit="step", mininterval=1.0)
    bar.started, bar.tokens = time.monotonic(), 0
    with bar:
        yield bar


def _show(bar: Any, record: dict[str, Any]) -> None:
    bar.tokens += record["tokens"]
    speed = bar.tokens / (time.monotonic() - bar.started)
    bar.set_postfix_str(f"loss {record['loss']:.3f}, {speed:,.0f} tokens/s", refresh=False)
    bar.update()
