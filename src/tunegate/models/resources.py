"""What work takes on this machine: seconds, memory, and the class of hardware that it runs on."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from tunegate.machine import peak_memory, processor


@dataclasses.dataclass
class Meter:
    """Filled when the measured block ends."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0


def hardware(device: str) -> str:
    """The class of the machine's `device` in one line: the GPU's name, or the processor's and torch's threads."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} {'thread' if threads == 1 else 'threads'}"


def bytes_of(model: Any) -> int:
    """The memory of the model's weights."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


@contextlib.contextmanager
def measured(device: str) -> Iterator[Meter]:
    """Measure the block: its wall seconds, and the peak of memory.

    On the CPU the peak is the process's since its start: the system keeps no other.
    """
    meter = Meter()
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    yield meter
    if device == "cuda":
        # Kernels run behind Python's back.
        torch.cuda.synchronize()
    meter.seconds = round(time.perf_counter() - started, 3)
    meter.peak_memory_bytes = torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory()
