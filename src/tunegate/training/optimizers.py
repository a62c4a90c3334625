"""The optimizer that the parameters name. Its learning rate is set by whoever steps it. Does not know the loop."""

from collections.abc import Mapping
from typing import Any

import torch

from tunegate.models.quantisation import silence
from tunegate.params import Train


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
