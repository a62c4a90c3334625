"""The optimizer that the parameters name. Its learning rate is set by whoever steps it. Does not know the loop."""

from collections.abc import Mapping
from typing import Any

import torch

from tunegate.models.quantisation import silence
from tunegate.params import Train

_MOMENTS = {"adamw": 8.0, "adamw_8bit": 2.06, "sgd": 0.0}
"""Bytes of state for each trained parameter: two numbers of four bytes, two of one byte and their scales, none."""


def bytes_beside(settings: Train) -> float:
    """Bytes that are held for each trained parameter beside it and its gradient, with the average and the best one."""
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


def _adamw_8bit(groups: list[dict[str, Any]], settings: Train) -> torch.optim.Optimizer:
    silence()
    from bitsandbytes.optim import AdamW8bit

    optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=settings.learning_rate)
    return optimizer
