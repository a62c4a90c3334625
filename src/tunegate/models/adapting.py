"""A few steps of SGD on one task, from a start that is put back afterwards: what few-shot training and its measurement
share.

Works on any model and loss; reads and writes nothing.
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
    parameters: Sequence[torch.nn.Parameter], batches: Iterable[Any], loss: Callable[[Any], torch.Tensor], rate: float
) -> list[float]:
    """One step of SGD for each batch, in place; the losses before each. `loss` is a mean with a graph.

    A gradient longer than 1 is scaled down to 1: few rows can have steep losses.
    """
    found = []
    for batch in batches:
        value = loss(batch)
        gradients = list(torch.autograd.grad(value, parameters))
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g.float()) for g in gradients])))
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(rate / max(1.0, norm) * gradient)
        found.append(float(value.detach()))
    return found
