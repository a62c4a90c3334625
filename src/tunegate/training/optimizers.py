"""The optimizer and its learning rate, which is a function of the step, so that a checkpoint needs no scheduler."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from tunegate.models.quantisation import silence
from tunegate.params import Train

_MOMENTS = {"adamw": 8.0, "adamw_8bit": 2.06, "sgd": 0.0}
"""Bytes of state for each trained parameter: two numbers of four bytes, two of one byte and their scales, none."""


def state_bytes_per_parameter(settings: Train) -> float:
    """Bytes held for each trained parameter besides its weight and gradient: moments, moving average, best weights."""
    return _MOMENTS[settings.optimizer] + 4 * ((settings.ema is not None) + (settings.select == "best"))


def optimizer_of(parameters: Mapping[str, torch.nn.Parameter], settings: Train) -> torch.optim.Optimizer:
    """The optimizer over these parameters. Weights decay; vectors (norms, biases, magnitudes) do not."""
    matrices = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters.values() if parameter.ndim <= 1]
    decays = ((matrices, settings.weight_decay), (vectors, 0.0))
    groups: list[dict[str, Any]] = [{"params": held, "weight_decay": decay} for held, decay in decays if held]
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
        case "adamw_8bit":
            return _adamw_8bit(groups, settings)
        case "sgd":
            return torch.optim.SGD(groups, lr=settings.learning_rate)


def learning_rate(step: int, steps: int, settings: Train) -> float:
    """The rate of step `step` (from 0) of `steps`: a linear warm-up, then as `settings.schedule` says.

    cosine falls to 0 along half a period (arXiv 1608.03983), linear along a line, constant not at all.
    """
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    falls = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}
    return settings.learning_rate * falls[settings.schedule]


def _adamw_8bit(groups: list[dict[str, Any]], settings: Train) -> torch.optim.Optimizer:
    silence()
    from bitsandbytes.optim import AdamW8bit

    optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=settings.learning_rate)
    return optimizer
