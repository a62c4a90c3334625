"""The fast path through a model: installed before training, taken away after it; the same sums as without."""

from typing import Any

import torch

from tunegate.training.fast import attention as fast_attention
from tunegate.training.fast import lora as fast_lora
from tunegate.training.fast import packing


def install(model: Any) -> None:
    """Let `model` train fast. Where a part is not exact for it, it stays as it was."""
    # Determinism does not need it: nothing here reads what it has not written. It costs an eighth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    fast_lora.install(model)
    base = packing.core(model)
    # A model with a head of another kind says nothing about single tokens; what trains it lays out its rows itself.
    if base.get_output_embeddings() is None or not fast_attention.install(base):
        return
    packing.forget(model)
    if not packing.packs(model):
        fast_attention.uninstall(base)
        packing.forget(model)


def uninstall(model: Any) -> None:
    """Leave `model` as transformers and PEFT made it."""
    fast_lora.uninstall(model)
    base = packing.core(model)
    if base.config._attn_implementation == fast_attention.NAME:
        fast_attention.uninstall(base)
        packing.forget(model)
