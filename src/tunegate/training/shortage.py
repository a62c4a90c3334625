"""Out of memory, as an error that says which setting to change. Knows how torch says it; does not measure memory."""

import contextlib
from collections.abc import Iterator, Sequence

import torch

from tunegate.errors import MachineError
from tunegate.params import Train
from tunegate.training.technique import Batch

_CPU = "DefaultCPUAllocator"


@contextlib.contextmanager
def explained(settings: Train, step: int, batches: Sequence[Batch]) -> Iterator[None]:
    """Raise MachineError with the numbers of the step's largest batch when the block runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        largest = max(batches, key=lambda batch: batch.tokens, default=None)
        size = (
            "" if largest is None else f", in which the largest batch has {largest.tokens} tokens in {_rows(largest)}"
        )
        problem = f"out of memory at step {step + 1}{size}: {str(error).splitlines()[0][:200]}"
        remedy = "; or ".join(_remedies(settings, largest)) + ". docs/training.md says what each costs"
        raise MachineError(problem, place="train", remedy=remedy) from None


def _is_shortage(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _CPU in str(error)


def _rows(batch: Batch) -> str:
    return f"{len(batch.rows)} rows" if len(batch.rows) > 1 else f"the row {batch.rows[0]}"


def _remedies(settings: Train, largest: Batch | None) -> Iterator[str]:
    """The settings that would help, those first that cost least."""
    if settings.precision == "fp32":
        yield "set train.precision to bf16"
    if largest is not None and len(largest.rows) > 1:
        yield f"set train.tokens_per_batch to {max(8, largest.tokens // 2)}"
    elif largest is not None:
        yield "lower tokenize.max_length"
    if not settings.activation_checkpointing:
        yield "set train.activation_checkpointing to true"
    if settings.adapter == "full":
        yield "set train.adapter to lora, or train.optimizer to adamw_8bit"
    elif settings.adapter not in ("qlora", "head"):
        yield "set train.adapter to qlora"
    yield "use a machine with more memory"
