"""Whether a run still learns: refuses numbers that are none, a loss that runs away, and one that cannot change.

Judges by the records of the run alone, so that a resumed run is judged alike. Thresholds are lax: a run that is stopped
here could not have come to anything. Reads and writes nothing.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.errors import RefusedError

PATIENCE = 20
"""Steps in a row that must look wrong. A spike is shorter: runs recover from those (arXiv 2204.02311, section 5.1)."""

_START = 5
"""The first steps, in which the learning rate is still low: their median is where the loss started."""

_SPREAD = 10
"""Deviations from its start, in medians of the first steps' own, within which a loss only varies."""

_LEAST = 1.0
"""Nats per unit that any loss may rise: those of reinforcement start at zero."""

_SHOWN = 8

Records = Sequence[Mapping[str, Any]]


def ceiling(records: Records, steps: int) -> float | None:
    """The loss above which a run has run away, if the last `steps` records are all above it; else None.

    Twice the loss at the start; or the start itself, once half of it was reached; and some room for how much it varies.
    """
    first = [record["loss"] for record in records[:_START]]
    start = statistics.median(first)
    spread = statistics.median(abs(loss - start) for loss in first)
    room = max(_SPREAD * spread, _LEAST)
    last = [record["loss"] for record in records[-steps:]]
    if min(last) <= start + room:
        return None
    losses = [record["loss"] for record in records]
    lowest = min(statistics.median(losses[index : index + _START]) for index in range(len(losses) - _START + 1))
    limit = start + (room if lowest <= start / 2 else max(abs(start), room))
    return limit if min(last) > limit else None


def is_suspicious(records: Records) -> bool:
    """Whether the last loss is above the ceiling: a checkpoint of such a step would replace a good one."""
    return len(records) > _START and ceiling(records, 1) is not None


def check(records: Records, rows: Sequence[str]) -> None:
    """Raise RefusedError when the last `PATIENCE` records show a run that has diverged, or one that does not learn.

    `rows` are those of the last step.
    """
    if len(records) < PATIENCE + _START:
        return
    last = records[-PATIENCE:]
    step, loss, norm = (last[-1][name] for name in ("step", "loss", "grad_norm"))
    limit = ceiling(records, PATIENCE)
    if limit is not None:
        lowest = min(record["loss"] for record in records)
        problem = (
            f"diverged: for {PATIENCE} steps the loss was above {limit:.3g}, at step {step} it is {loss:.3g}; "
            f"it started at {records[0]['loss']:.3g} and was {lowest:.3g} at its lowest; rows {listed(rows)}"
        )
        raise _refused(problem, "lower train.learning_rate, raise train.warmup_share, or look at the rows")
    if loss != 0 and all(record["loss"] == loss or record["grad_norm"] == 0 for record in last):
        problem = (
            f"dead: for {PATIENCE} steps nothing was learned, at step {step} the loss is {loss:.3g} and the "
            f"gradient's norm {norm:.3g}; rows {listed(rows)}"
        )
        raise _refused(problem, "raise train.learning_rate, or train other modules (train.target_modules)")


def require_finite(what: str, value: float, where: str) -> None:
    """Raise RefusedError unless the value is a number; `where` names the rows."""
    if not math.isfinite(value):
        raise _refused(f"{what} is {value} {where}", "look at these rows, or lower train.learning_rate")


def listed(rows: Sequence[str]) -> str:
    """The first rows by id, and how many more."""
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(rows[:_SHOWN]) + more


def _refused(problem: str, remedy: str) -> RefusedError:
    return RefusedError(problem, place="train", remedy=remedy)
