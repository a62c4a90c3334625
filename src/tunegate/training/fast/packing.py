"""Whether a model keeps documents apart that lie end to end in one row, measured.

Position ids that start again at 0 tell most models of transformers where a document begins. Some do not listen: learned
positions that count on, convolutions and recurrences that run over the border, no position ids at all. No list of names
would stay right, so two tiny rows are laid end to end: what a document's logits are then, compared with other contents
before it and with being alone, tells. Results are kept for as long as the model lives.
"""

import contextlib
import dataclasses
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import torch

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.01}
"""Largest accepted difference from being alone, relative to the largest logit: what rounding makes, by precision."""
LEAK = 1e-6
"""Largest accepted difference between other contents before it: both batches have one shape, so rounding makes none."""

_exact: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Isolation:
    """How far a document's logits move, relative to the largest, when another one lies before it."""

    leak: float
    """When the one before it has other contents."""
    shift: float
    """When there is one before it at all."""
    tolerance: float
    """Of `shift`, for the model's precision."""

    @property
    def exact(self) -> bool:
        """Whether documents laid end to end are as good as alone."""
        return self.leak <= LEAK and self.shift <= self.tolerance


def isolation_of(model: Any) -> Isolation:
    """Measured by four forward passes over at most 12 tokens; the model is left as it was. Not exact: infinite."""
    dtype = next(parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    tolerance = TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16])
    if "position_ids" not in inspect.signature(core(model).forward).parameters:
        return Isolation(float("inf"), float("inf"), tolerance)
    device, size = model.get_input_embeddings().weight.device, core(model).config.get_text_config().vocab_size
    first_before, other_before, document = (
        torch.arange(first, first + length, device=device).mul(7919) % size
        for first, length in ((1, 5), (9, 5), (17, 7))
    )
    with evaluated(model):
        alone = _logits(model, document)
        after, after_other = (_logits(model, first, document) for first in (first_before, other_before))
    largest = float(alone.abs().max().clamp(min=1e-30))
    leak, shift = (float((after - reference).abs().max()) / largest for reference in (after_other, alone))
    return Isolation(leak, shift, tolerance)


def packs(model: Any) -> bool:
    """Whether documents of a batch may lie end to end. Measured once."""
    if model not in _exact:
        _exact[model] = isolation_of(model).exact
    return _exact[model]


def forget(model: Any) -> None:
    """Measure again: its attention has changed."""
    _exact.pop(model, None)


def core(model: Any) -> Any:
    """The model of transformers inside of a PEFT model, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _logits(model: Any, *documents: torch.Tensor) -> torch.Tensor:
    """Logits of the last document, fp32."""
    from tunegate.training.fast.attention import documents as laid

    positions = torch.cat([torch.arange(len(document), device=document.device) for document in documents])
    with laid([len(document) for document in documents]):
        logits = core(model)(input_ids=torch.cat(documents)[None], position_ids=positions[None], use_cache=False).logits
    return logits[0, -len(documents[-1]) :].float()  # type: ignore[no-any-return]


@contextlib.contextmanager
def evaluated(model: Any) -> Iterator[None]:
    """While open, the model has no dropout and no gradients; then it is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
