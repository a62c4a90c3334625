"""Where the batches of a stage are worked on: in this process, or on the machines of a Ray cluster.

A stage maps a pure function over batches; what comes out, and in which order, is the same everywhere. Ray listens on
this machine alone unless RAY_ADDRESS names a cluster.
"""

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tunegate.errors import MachineError, TunegateError
from tunegate.params import Compute

WINDOW = 32
"""Batches that are under way on a cluster at one time: the memory of the machine that reads them is bounded by it."""

Batch = Any
"""A `pyarrow.RecordBatch`."""


def mapped(function: Callable[[Batch], Batch], batches: Iterable[Batch], compute: Compute) -> Iterator[Batch]:
    """`function` of each batch, in order.

    `function` must be pure, give as many rows whichever way rows are cut into batches, and survive being sent to
    another process. Raises MachineError when `compute` wants Ray and it is not installed.
    """
    if compute.engine == "local":
        yield from map(function, batches)
        return
    ray = _started()
    remaining = iter(batches)
    while window := list(itertools.islice(remaining, WINDOW)):
        yield from _on_ray(ray, function, window)


def _on_ray(ray: Any, function: Callable[[Batch], Batch], window: list[Batch]) -> Iterator[Batch]:
    import pyarrow

    def whole(table: Any) -> Any:
        # Ray may hand over a table of several chunks; the function wants one batch.
        done = [function(batch) for batch in table.combine_chunks().to_batches()]
        return pyarrow.Table.from_batches(done)

    dataset = ray.data.from_arrow([pyarrow.Table.from_batches([batch]) for batch in window])
    done = dataset.map_batches(whole, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)
    try:
        for table in done.iter_batches(batch_format="pyarrow", batch_size=None):
            yield from table.combine_chunks().to_batches()
    except ray.exceptions.RayError as error:
        raise _own(error) from None


def _own(error: BaseException) -> BaseException:
    """The error that our function raised on another machine, without what Ray wraps around it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, TunegateError) else error


def _started() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here = not os.environ.get("RAY_ADDRESS")
    if here:
        # Ray's word for "this machine alone": without it, its servers listen on every network interface.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        import ray.data
    except ImportError:
        remedy = "pip install 'tunegate[ray]', or set compute.engine to local"
        raise MachineError("Ray is not installed", place="params.yaml: compute.engine", remedy=remedy) from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if not ray.is_initialized():
        settings: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init(**settings, address="local" if here else None)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    return ray
