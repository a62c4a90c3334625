"""A few steps of SGD on one task, from a start that is put back afterwards: what few-shot training and its measurement
share.

Works on any model and loss.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch


@contextlib.contextmanager
def restored(parameters: Sequence[torch.nn.Parameter]) -> Iterator[list[torch.Tensor]]:
    """While open, the parameters may change; yields what they were, and puts it back."""
    start = [parameter.detach().clone() for parameter in parameters]
    try:
        yield start
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, start, strict=True):
                parameter.copy_(value)


def descend(
    parameters: Sequence[torch.nn.Parameter],
    batches: Iterable[Any],
    loss: Callable[[Any], torch.Tensor],
    *,
    rate: float,
    max_norm: float,
) -> list[float]:
    """One step of SGD for each batch, in place, its gradient scaled down to `max_norm`; the losses before each.

    `loss` is a mean with a graph.
    """
    losses = []
    for batch in batches:
        value = loss(batch)
        gradients = torch.autograd.grad(value, list(parameters))
        norm = float(torch.nn.utils.get_total_norm(gradients))
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(rate * min(1.0, max_norm / max(norm, 1e-12)) * gradient)
        losses.append(float(value.detach()))
    return losses
