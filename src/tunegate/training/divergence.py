"""The divergence detector: stops a run whose numbers are not finite, whose loss diverges, or whose loss never changes.

It looks at the records of the run alone, so that a resumed run is stopped at the same step. Thresholds are lax: a run
that is stopped here could not have succeeded.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tunegate.errors import RefusedError
from tunegate.text import listed

PATIENCE = 20
"""Steps that are looked at together. A spike is shorter: runs recover from those (arXiv 2204.02311, section 5.1)."""

_START = 5
"""The first steps, in which the learning rate is still low: their median is where the loss started."""

_LEAST = 1.0
"""Nats per unit that any loss may rise: those of reinforcement start at zero."""

_SAME = 1e-6
"""Relative difference that comes from adding up the same losses in another order."""

SHOWN = 8
"""Rows that an error names."""

Records = Sequence[Mapping[str, Any]]


def ceiling(losses: Sequence[float]) -> float:
    """The loss above which a run has diverged: twice its start; its start and little more, once half of it was reached;
    and never less than a nat above its start.
    """
    start = statistics.median(losses[:_START])
    lowest = min(statistics.median(losses[index : index + _START]) for index in range(len(losses) - _START + 1))
    return start + (_LEAST if lowest <= start / 2 else max(abs(start), _LEAST))


def is_suspicious(records: Records) -> bool:
    """Whether the last loss is above the ceiling: a checkpoint of such a step would replace a good one."""
    return len(records) > _START and _is_above(records, records[-1]["loss"])


def check(records: Records, rows: Sequence[str]) -> None:
    """Raise RefusedError when the last `PATIENCE` records show a run that has diverged, or one that does not learn.

    `rows` are those of the last step.
    """
    if len(records) < PATIENCE + _START:
        return
    losses = [record["loss"] for record in records[-PATIENCE:]]
    norms = [record["grad_norm"] for record in records[-PATIENCE:]]
    usual, first, step = statistics.median(losses), records[0]["loss"], records[-1]["step"]
    if _is_above(records, usual):
        lowest = min(record["loss"] for record in records)
        problem = (
            f"diverged: the loss is {losses[-1]:.3g} at step {step}, and {usual:.3g} in the median of {PATIENCE} "
            f"steps; it started at {first:.3g} and was {lowest:.3g} at its lowest; rows {listed(rows, SHOWN)}"
        )
        raise _refused(problem, "lower train.learning_rate, raise train.warmup_share, or look at the rows")
    unchanged = max(abs(loss - first) for loss in losses) <= _SAME * abs(first)
    stuck = max(norms) == 0 and usual > first / 2
    # At zero nothing is left to learn.
    if losses[-1] != 0 and (unchanged or stuck):
        problem = (
            f"dead: the loss is {losses[-1]:.3g} at step {step}, as at the start, and the gradient's norm "
            f"{norms[-1]:.3g}; rows {listed(rows, SHOWN)}"
        )
        raise _refused(problem, "raise train.learning_rate, or train other modules (train.target_modules)")


def require_finite(what: str, value: float, where: str) -> None:
    """Raise RefusedError unless the value is finite; `where` names the rows."""
    if not math.isfinite(value):
        raise _refused(f"{what} is {value} {where}", "look at these rows, or lower train.learning_rate")


def _refused(problem: str, remedy: str) -> RefusedError:
    return RefusedError(problem, place="train", remedy=remedy)


def _is_above(records: Records, loss: float) -> bool:
    first = statistics.median(record["loss"] for record in records[:_START])
    # The ceiling is never lower than this; finding where it is takes the whole run.
    return loss > first + _LEAST and loss > ceiling([record["loss"] for record in records])
