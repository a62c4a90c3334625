"""Checks that run the model: batches do not leak, accumulation is exact, one batch can be overfit.

Each leaves the model's weights as they were.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.preflight.checks import Finding, Status, finding_of
from tunegate.training.adapter import trainable
from tunegate.training.batching import grouped
from tunegate.training.optimizers import optimizer_of
from tunegate.training.technique import Technique

STEPS = 16
"""Of the overfit-one-batch check."""
LEARNED = 0.8
"""The loss of one batch must fall below this share of its start within these steps."""
RISEN = 1.5
"""Meanwhile it must not rise above this multiple of its start."""
_TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2}
"""Largest difference of gradients relative to their norm. bf16 keeps three digits of every product."""
_RATES = {"full": (1e-7, 1e-3), "head": (1e-5, 1e-1)}
_RATES_OF_ADAPTERS = (1e-5, 1e-2)
"""Published learning rates for AdamW: full fine-tuning 1e-6 to 1e-4, adapters some ten times as much."""


def autocast(settings: Train) -> Any:
    """The arithmetic that training uses."""
    return torch.autocast(settings.device, dtype=torch.bfloat16, enabled=settings.precision == "bf16")


def gradients(model: Any, technique: Technique, settings: Train, batches: Sequence[Any]) -> tuple[float, torch.Tensor]:
    """(mean loss, all gradients as one vector) of the batches together."""
    loss = backward(model, technique, settings, batches)
    parameters = trainable(model).values()
    flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters])
    model.zero_grad(set_to_none=True)
    return loss, flat.detach()


def backward(model: Any, technique: Technique, settings: Train, batches: Sequence[Any]) -> float:
    """Fill the gradients of the batches together; the mean loss."""
    model.zero_grad(set_to_none=True)
    units, total = sum(batch.units for batch in batches), 0.0
    for batch in batches:
        with autocast(settings):
            loss = technique.loss(model, batch)
        (loss.total / units).backward()
        total += float(loss.total.detach())
    return float(total / units)


def batching_checked(model: Any, technique: Technique, settings: Train, rows: Sequence[Example]) -> Iterator[Finding]:
    """Loss and gradients of the rows in one batch against those of one row after the other."""
    model.eval()
    whole, parts = (
        [technique.collate(group).to(settings.device) for group in groups] for groups in ([rows], [[r] for r in rows])
    )
    (loss, at_once), (alone, added) = (gradients(model, technique, settings, batches) for batches in (whole, parts))
    limit = _TOLERANCE[settings.precision]
    remedy = f"more than {limit:g}: report it, with the base model"
    leak = abs(loss - alone) / max(abs(alone), 1e-12)
    result = f"the loss of {len(rows)} rows in one batch and alone differs by {leak:.1e}"
    yield finding_of("batching", leak <= limit, result, remedy)
    difference = float((at_once - added).norm() / at_once.norm().clamp(min=1e-12))
    result = f"gradients of one batch and of {len(rows)} added up differ by {difference:.1e}"
    yield finding_of("accumulation", difference <= limit, result, remedy)


def overfit_checked(model: Any, technique: Technique, settings: Train, rows: Sequence[Example]) -> Finding:
    """Whether a batch of these rows can be overfit at the learning rate that training will use."""
    with _restored(model) as parameters:
        losses = list(_overfit_losses(model, technique, settings, rows, parameters))
    first, last, worst = losses[0], losses[-1], max(losses)
    result = f"loss of {len(rows)} rows goes from {first:.3f} to {last:.3f} in {len(losses) - 1} steps"
    if worst > RISEN * first:
        result += f"; the highest was {worst:.3f}"
    elif last < LEARNED * first:
        return Finding("one batch", "ok", result)
    status: Status = "warning" if last < first else "refused"
    remedy = f"train.learning_rate ({settings.learning_rate:g}) is too low, too high, or nothing is trained"
    return Finding("one batch", status, result, remedy)


def rate_checked(settings: Train) -> Finding:
    """Whether the learning rate is a usual one for such an adapter."""
    low, high = _RATES.get(settings.adapter, _RATES_OF_ADAPTERS)
    holds = low <= settings.learning_rate <= high or settings.optimizer == "sgd"
    result = f"{settings.learning_rate:g} with {settings.optimizer} and adapter {settings.adapter}"
    return finding_of("learning rate", holds, result, f"usual are {low:g} to {high:g}", otherwise="warning")


def _overfit_losses(
    model: Any,
    technique: Technique,
    settings: Train,
    rows: Sequence[Example],
    parameters: dict[str, torch.nn.Parameter],
) -> Iterator[float]:
    optimizer = optimizer_of(parameters, settings)
    group = grouped(rows, settings.tokens_per_batch or settings.tokens_per_step)[0]
    batch = technique.collate(group).to(settings.device)
    model.eval()
    for _ in range(STEPS + 1):
        with autocast(settings):
            loss = technique.loss(model, batch).total / batch.units
        yield float(loss.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), settings.max_grad_norm)
        optimizer.step()


@contextlib.contextmanager
def _restored(model: Any) -> Iterator[dict[str, torch.nn.Parameter]]:
    parameters = trainable(model)
    kept = [parameter.detach().clone() for parameter in parameters.values()]
    try:
        yield parameters
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters.values(), kept, strict=True):
                parameter.copy_(value)
