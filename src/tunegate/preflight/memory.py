"""How much memory and time a training will take, from batches that are measured here.

What weights, gradients and the optimizer take is counted; what activations take is measured at two sizes and carried on
along a line to the largest batch. On a CPU the peak of the process is measured, allocator and libraries included. For a
GPU only the tensors that autograd keeps are counted: a guess that was not measured on one. The time is that of a whole
batch where memory and patience allow one, or else of the larger of the two.
"""

import contextlib
import ctypes
import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from tunegate.machine import peak_memory
from tunegate.models.resources import bytes_of
from tunegate.models.tokens.examples import Example
from tunegate.params import Train
from tunegate.preflight.probes import autocast, backward
from tunegate.training.adapter import trainable
from tunegate.training.batching import grouped
from tunegate.training.optimizers import state_bytes_per_parameter
from tunegate.training.out_of_memory import free_of
from tunegate.training.technique import Step, Technique

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SIZES = (0.2, 0.4)
"""Shares of the largest batch that are measured."""
_PATIENCE = 5.0
"""Seconds that a whole batch may take to be tried."""
_WARM, _TRIES = 2, 5
"""The first times, kernels are made for its shape; the median of the others counts."""
GPUS = (
    ("T4", 16), ("A10G or L4", 24), ("A100 40GB", 40), ("L40S", 48), ("A100 80GB or H100", 80), ("H200", 141),
)  # fmt: skip
"""Names people know, by GB of memory, from their makers' data sheets."""
CONTEXT = 600_000_000
"""Bytes that CUDA and its libraries take before the first tensor, about."""


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Bytes, seconds and steps."""

    weights: int
    """With those of a teacher, or of a copy that losses are held to."""
    gradients: int
    optimizer: int
    """With the moving average and the best weights, where they are kept."""
    activations: int
    """Of the largest batch."""
    rest: int
    """Interpreter, libraries and what they keep."""
    peak: int
    """Of the process on a CPU."""
    gpu: int
    """Of a GPU, not measured."""
    largest_batch: int
    """Tokens."""
    steps: int
    tokens: int
    """Of all steps."""
    tokens_per_second: float
    seconds: float

    @property
    def gpu_name(self) -> str:
        """The smallest GPU with room for it."""
        return next((name for name, size in GPUS if self.gpu < 0.92 * size * 1e9), "several GPUs (docs/scaling.md)")


@dataclasses.dataclass(frozen=True)
class _Work:
    largest: Sequence[Example]
    steps: int
    tokens: int


@dataclasses.dataclass(frozen=True)
class _Measurement:
    tokens: int
    peak: int
    kept: int
    seconds: float


def forecast(model: Any, technique: Technique, settings: Train, plan: Sequence[Step]) -> Forecast:
    """The forecast of a plan in one process, in tokens of its rows. Leaves the weights as they are."""
    groups, phases = _batches(plan, settings), technique.phases
    tokens = sum(_tokens(group) for group in groups)
    work = _Work(max(groups, key=_tokens), phases * len(plan), phases * tokens)
    measurements = [_measured(model, technique, settings, part) for part in _parts(work.largest)]
    estimate = _forecast_of(model, technique, settings, measurements, work)
    needed = estimate.gpu if settings.device == "cuda" else estimate.peak
    if estimate.largest_batch / estimate.tokens_per_second > _PATIENCE or needed > free_of(settings.device)[0]:
        return estimate
    tries = [_seconds(model, technique, settings, work.largest) for _ in range(_TRIES)]
    speed = estimate.largest_batch / statistics.median(tries[_WARM:])
    return dataclasses.replace(estimate, tokens_per_second=speed, seconds=estimate.tokens / speed)


def _forecast_of(
    model: Any, technique: Technique, settings: Train, measurements: Sequence[_Measurement], work: _Work
) -> Forecast:
    largest = _tokens(work.largest)
    trained = sum(parameter.numel() for parameter in trainable(model).values())
    weights = bytes_of(model) + technique.extra_bytes
    optimizer = round(trained * state_bytes_per_parameter(settings))
    kept = max(0, _line(measurements, lambda s: s.kept)(largest))
    activations = max(0, _line(measurements, lambda s: s.peak)(largest) - _line(measurements, lambda s: s.peak)(0))
    if len({part.tokens for part in measurements}) == 1:  # a batch of one row was measured as it is: there is no line
        activations = kept
    if settings.activation_checkpointing:  # hides from autograd's hooks what it computes anew
        kept = max(kept, activations)
    peak = _line(measurements, lambda s: s.peak)(largest) + optimizer
    fixed = weights + 4 * trained + optimizer
    speed = measurements[-1].tokens / measurements[-1].seconds
    return Forecast(
        weights=weights,
        gradients=4 * trained,
        optimizer=optimizer,
        activations=activations,
        rest=max(0, peak - fixed - activations),
        peak=peak,
        gpu=round(1.1 * (fixed + kept)) + CONTEXT,
        largest_batch=largest,
        steps=work.steps,
        tokens=work.tokens,
        tokens_per_second=speed,
        seconds=work.tokens / speed,
    )


def _measured(model: Any, technique: Technique, settings: Train, rows: Sequence[Example]) -> _Measurement:
    model.train()
    warm_up_step(model, technique, settings, rows)  # the first time, libraries lay out the weights anew
    gc.collect()
    _forget_peak()
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        seconds = _seconds(model, technique, settings, rows)
    return _Measurement(_tokens(rows), _peak(), sum(kept.values()), seconds)


def _seconds(model: Any, technique: Technique, settings: Train, rows: Sequence[Example]) -> float:
    started = time.perf_counter()
    warm_up_step(model, technique, settings, rows)
    if settings.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def warm_up_step(model: Any, technique: Technique, settings: Train, rows: Sequence[Example]) -> None:
    """What a step does with these rows, but for the step itself: answers are sampled, gradients first and forgotten."""
    if technique.compute_gradients is not None:
        technique.compute_gradients(model, rows, lambda: autocast(settings))
        model.zero_grad(set_to_none=True)
        return
    with autocast(settings):
        items = rows if technique.prepare is None else technique.prepare(model, rows, 0)
    model.train()
    backward(model, technique, settings, [technique.collate(items).to(settings.device)])
    model.zero_grad(set_to_none=True)


def _line(measurements: Sequence[_Measurement], value: Callable[[_Measurement], int]) -> Callable[[int], int]:
    """What the value would be at another number of tokens, along the line through two that were measured."""
    (few, many) = measurements
    slope = (value(many) - value(few)) / max(1, many.tokens - few.tokens)
    return lambda tokens: round(value(many) + slope * (tokens - many.tokens))


def _batches(plan: Sequence[Step], settings: Train) -> list[Sequence[Example]]:
    limit = settings.tokens_per_batch
    return [group for step in plan for group in ([step.examples] if limit is None else grouped(step.examples, limit))]


def _tokens(rows: Sequence[Example]) -> int:
    return sum(row.length for row in rows)


def _parts(rows: Sequence[Example]) -> list[Sequence[Example]]:
    """Two parts of a batch, of different sizes where it has more than one row."""
    few, many = (_first(rows, share * _tokens(rows)) for share in _SIZES)
    return [few, many if len(many) > len(few) else rows[: len(few) + 1]]


def _first(rows: Sequence[Example], tokens: float) -> list[Example]:
    first: list[Example] = []
    for row in rows:
        if first and _tokens(first) + row.length > tokens:
            break
        first.append(row)
    return first


def _peak() -> int:
    """Largest memory of this process since it was last forgotten, in bytes; elsewhere than on Linux since its start."""
    if not _STATUS.is_file():
        return peak_memory()
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _forget_peak() -> None:
    # glibc keeps what was freed, and a batch that fits into it would seem to take nothing.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    # 5: the peak is what is used now (Linux, Documentation/filesystems/proc.rst). A container may not allow it.
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
