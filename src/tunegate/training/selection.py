"""Which weights are kept: the last, their moving average, the best on the validation rows; and when to stop.

What is decided depends on the records of the run alone, and what is held is part of every checkpoint: a resumed run
decides alike.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from tunegate.params import Train

Tensors = dict[str, torch.Tensor]
Records = Sequence[Mapping[str, Any]]


class Selection:
    """The weights that are held beside those that are trained."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], settings: Train) -> None:
        self._parameters = parameters
        self._decay = settings.ema
        self._wants_best = settings.select == "best"
        self.held: dict[str, Tensors] = {"ema": _copies(parameters)} if settings.ema is not None else {}
        """By name: `ema`, the moving average; `best`, the best so far."""

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the average towards the weights after `step` steps.

        Its decay grows as (1 + step) / (10 + step) up to the one asked for, or a short run would keep its start.
        """
        if self._decay is None:
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self.held["ema"].items():
            average.lerp_(self._parameters[name].detach(), 1 - decay)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While open, the model has the weights that would be kept now; then those that are trained again."""
        if self._decay is None:
            yield
            return
        trained = _copies(self._parameters)
        self._put(self.held["ema"])
        try:
            yield
        finally:
            self._put(trained)

    def remember(self, records: Records) -> None:
        """Hold what would be kept now, if the last record's validation loss is the lowest of all."""
        if self._wants_best and best_of(records) == len(records) - 1:
            self.held["best"] = _copies(self.held.get("ema", self._parameters))

    def finish(self) -> None:
        """Give the model the weights that are kept."""
        for name in ("best", "ema"):
            if name in self.held:
                self._put(self.held[name])
                return

    @torch.no_grad()
    def _put(self, weights: Tensors) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(weights[name])


def best_of(records: Records) -> int:
    """The index of the record with the lowest validation loss, the first of equals; -1 when none has any."""
    measured = [(record["valid_loss"], index) for index, record in enumerate(records) if _measured(record)]
    return min(measured)[1] if measured else -1


def has_stalled(records: Records, patience: int | None) -> bool:
    """Whether the last `patience` measurements of these records brought no lower validation loss."""
    if patience is None:
        return False
    losses = [record["valid_loss"] for record in records if _measured(record)]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def _measured(record: Mapping[str, Any]) -> bool:
    return record["valid_loss"] is not None


def _copies(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
