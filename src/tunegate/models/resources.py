"""What work takes on this machine: seconds, memory, and the class of hardware that it runs on."""

import contextlib
import dataclasses
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CPU_INFO = Path("/proc/cpuinfo")


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
    return f"{_processor()}, {threads} {'thread' if threads == 1 else 'threads'}"


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
    meter.peak_memory_bytes = torch.cuda.max_memory_allocated() if device == "cuda" else peak_of_process()


def _processor() -> str:
    """The processor's model as the system names it, or the architecture where it does not."""
    lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines() if _CPU_INFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def peak_of_process() -> int:
    """Largest memory of this process since its start, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
