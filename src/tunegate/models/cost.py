"""What a stage cost: seconds, memory and the hardware they were spent on; models/train_cost.json, evaluate_cost.json.

Like timings, costs differ from run to run of the same commit, on the same machine too. They are outputs of their own
for that reason: equal runs give equal bytes everywhere else. This module measures the process it runs in and writes
nothing; it does not know which stage asks. Reading a cost needs no torch.
"""

import contextlib
import dataclasses
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from tunegate.files import read_json
from tunegate.params import Closed, parse

_CPU_INFO = Path("/proc/cpuinfo")


class Cost(Closed):
    """What a stage cost."""

    hardware: str
    """The class of machine: costs of different classes do not compare."""
    seconds: Annotated[float, Field(ge=0)]
    """Of the work itself, without imports and loading."""
    peak_memory_bytes: Annotated[int, Field(ge=0)]
    """Largest memory of the process; on a GPU, the largest that tensors took there."""


class TrainCost(Cost):
    """What a training cost, from its first step to its last, however often it was resumed."""

    tokens: Annotated[int, Field(ge=0)]
    """Tokens seen: those of the training rows, times epochs."""
    steps: Annotated[int, Field(ge=0)]
    resumed: bool
    """Whether it was interrupted: the seconds are then a sum, the memory is that of the last part."""


Kind = TypeVar("Kind", bound=Cost)


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


def read_cost(path: Path, kind: type[Kind]) -> Kind:
    """The cost of that kind in `path`. Raises InputError when the file holds none."""
    return parse(kind, read_json(path), place=str(path), remedy="run the stage that writes it again")


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
