"""The model as it was before training, beside the one that is trained: what some losses hold it to.

With an adapter it is the same model with the adapter switched off, which costs no memory; where the model's own weights
are trained, it is a frozen copy of them.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch

from tunegate.models.resources import bytes_of

Reference = Callable[[], AbstractContextManager[Any]]
"""Opens on the model of before, in evaluation mode, without gradients."""


def reference_of(model: Any) -> Reference:
    """The reference of a model that has not been trained yet, nor resumed."""
    if hasattr(model, "disable_adapter"):
        return lambda: _switched_off(model)
    kept = copy.deepcopy(model).requires_grad_(False).eval()
    return lambda: _as_it_is(kept)


def bytes_of_copy(model: Any) -> int:
    """The memory that `reference_of` takes for this model."""
    return 0 if hasattr(model, "disable_adapter") else bytes_of(model)


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[Any]:
    """The model in evaluation mode and without gradients; afterwards in the mode it was in."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(training)


@contextlib.contextmanager
def _switched_off(model: Any) -> Iterator[Any]:
    with evaluating(model), model.disable_adapter():
        yield model


@contextlib.contextmanager
def _as_it_is(model: Any) -> Iterator[Any]:
    with torch.no_grad():
        yield model
