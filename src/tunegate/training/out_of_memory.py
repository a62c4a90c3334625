"""Out of memory, as an error that says what was needed, what is free, and which setting to change.

Counts what can be counted, and measures no activations: that is what a preflight does.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from tunegate.errors import MachineError
from tunegate.machine import free_memory, memory_limit
from tunegate.params import Train
from tunegate.training.optimizers import state_bytes_per_parameter
from tunegate.training.technique import Batch

_CPU = "DefaultCPUAllocator"


@contextlib.contextmanager
def explained(
    model: Any,
    settings: Train,
    when: str,
    batches: Sequence[Batch] = (),
    *,
    longest: int = 0,
    sharded: bool = False,
) -> Iterator[None]:
    """Raise MachineError with the numbers of the largest batch when the block runs out of memory.

    `when` says in the error what was done; `longest` are the tokens of the longest row in the batches.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        largest = max(batches, key=lambda batch: batch.tokens, default=None)
        size = (
            "" if largest is None else f", in which the largest batch has {largest.tokens} tokens in {_rows(largest)}"
        )
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        problem = f"out of memory {when}{size}: {reason}\n  {_needed(model, settings)}\n  {_available(settings.device)}"
        remedy = "; or ".join(_remedies(settings, largest, longest, sharded))
        remedy += ". `tunegate preflight` forecasts what it takes; docs/training.md says what each costs"
        raise MachineError(problem, place="train", remedy=remedy) from None


def _is_shortage(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _CPU in str(error)


def _rows(batch: Batch) -> str:
    return f"{len(batch.rows)} rows" if len(batch.rows) > 1 else f"the row {batch.rows[0]}"


def _needed(model: Any, settings: Train) -> str:
    """What this process holds whatever the batch."""
    parts = [(_here(parameter), parameter.requires_grad) for parameter in model.parameters()]
    weights = sum(part.numel() * part.element_size() for part, _ in parts)
    trained = sum(part.numel() for part, is_trained in parts if is_trained)
    state = round(trained * state_bytes_per_parameter(settings))
    return (
        f"needed before any batch: {_gb(weights + 4 * trained + state)} (weights {_gb(weights)}, gradients "
        f"{_gb(4 * trained)}, optimizer {_gb(state)}); the rest is for the batch"
    )


def _here(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def free_of(device: str) -> tuple[int, int]:
    """Bytes of memory that are free, and those that this process may have at all."""
    if device == "cuda":
        return torch.cuda.mem_get_info()
    return free_memory(), memory_limit()


def _available(device: str) -> str:
    free, total = free_of(device)
    return f"available: {_gb(free)} free of {_gb(total)} " + ("on the GPU" if device == "cuda" else "for this process")


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _remedies(settings: Train, largest: Batch | None, longest: int, sharded: bool) -> Iterator[str]:
    """The settings that would help and are possible, those first that cost least."""
    if settings.precision == "fp32":
        yield "set train.precision to bf16"
    tokens = largest.tokens if largest else settings.tokens_per_batch or settings.tokens_per_step
    # A longer row is a batch of its own.
    less = min(max(8, longest, tokens // 2), settings.tokens_per_step)
    if settings.technique == "fewshot":
        yield "lower train.fewshot.shots"
    elif less < tokens and (largest is None or len(largest.rows) > 1):
        yield f"set train.tokens_per_batch to {less}"
    else:
        yield "lower tokenize.max_length"
    if not settings.activation_checkpointing and settings.adapter != "head":
        yield "set train.activation_checkpointing to true"
    if settings.adapter == "full":
        yield "set train.adapter to lora"
    elif settings.adapter not in ("qlora", "head") and not settings.has_head and not sharded:
        yield "set train.adapter to qlora"
    if settings.adapter == "full" and settings.optimizer == "adamw" and not sharded:
        yield "set train.optimizer to adamw_8bit"
    yield "use a machine with more memory"
